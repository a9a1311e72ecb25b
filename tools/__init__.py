"""Small programs for those who work on jnst: `python -m tools.convert_weights --help`, from the checkout."""
