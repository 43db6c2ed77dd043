"""Run the command line with ``python -m tropnet``."""

from tropnet.cli import main

if __name__ == "__main__":
    main()
