"""Entry point of `attnwatch` and `python -m attnwatch`."""

import gc

gc.disable()  # imports leave no garbage, and collecting during them takes a fifth of the start-up time
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
