"""What paints the rows of a batch: this process, or the workers of a Ray cluster."""
