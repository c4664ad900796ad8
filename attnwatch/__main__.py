"""`python -m attnwatch`."""

from attnwatch.cli import main

if __name__ == "__main__":
    main()
