"""How it is minimised: solvers within bounds."""
