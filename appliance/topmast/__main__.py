"""`python -m topmast` and the `topmast` script."""

from topmast.cli import main

if __name__ == "__main__":
    main()
