"""What is minimised: statistics of feature maps, terms made of them, and the objective."""
