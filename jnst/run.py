"""`python -m jnst.run`: the same as the command `jnst`."""

import sys

from jnst.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
