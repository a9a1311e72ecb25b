"""Files: images, weights, records of runs."""
