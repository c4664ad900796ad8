"""Entry point of `attnwatch` and `python -m attnwatch`."""

import gc
import os
import signal
import sys

_INTERRUPTED = 130

# Until the program handles interrupts itself, one ends it like any other: with an exit code, not with a traceback.
_HANDLES_INTERRUPTS = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _HANDLES_INTERRUPTS:
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(_INTERRUPTED))
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
    try:
        if _HANDLES_INTERRUPTS:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        open_missing_streams()
        log_everything()
        run_command_line()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
