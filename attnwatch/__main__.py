"""Entry point of `attnwatch` and `python -m attnwatch`."""

import gc

gc.disable()  # imports leave no garbage, and collecting during them takes a fifth of the start-up time
try:
    from attnwatch.cli.app import main as run_command_line
    from attnwatch.report.log import log_everything
    from attnwatch.system.streams import open_missing_streams
finally:
    gc.enable()


def main() -> None:
    """Run the command line and exit."""
    gc.freeze()
    open_missing_streams()
    log_everything()
    run_command_line()


if __name__ == "__main__":
    main()
