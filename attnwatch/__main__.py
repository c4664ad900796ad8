"""What `attnwatch` and `python -m attnwatch` call."""

import gc

gc.disable()  # what is imported stays: looking for garbage meanwhile finds none, and takes a fifth of the start
try:
    from attnwatch.cli.app import main as run_command_line
finally:
    gc.enable()


def main() -> None:
    """Run the command line and exit."""
    gc.freeze()
    run_command_line()


if __name__ == "__main__":
    main()
