"""Whether a watcher of this machine is alive: cheap, whatever is in the folder."""

import socket
from pathlib import Path

from attnwatch.cli.output import FAILED, OK, show
from attnwatch.report.activity import SILENT_AFTER, read_activities


def health(folder: Path) -> int:
    """Print whether a watcher of this machine, or of this container, is at work in a folder; return the exit code.

    Returns:
        0 if one has shown lately that it is alive, else 1.

    """
    here = [activity for activity in read_activities(folder) if activity.host == socket.gethostname()]
    alive = [activity for activity in here if not activity.silent]
    if alive:
        first = alive[0]
        state = f"paused: {first.paused}" if first.paused else f"{first.rendered:,} rendered, {first.waiting:,} waiting"
        show(f"healthy: {state}")
        return OK
    found = f"the watcher has been silent for more than {SILENT_AFTER:g} s" if here else "no watcher of this machine"
    show(f"not healthy: {found} in {folder}")
    return FAILED
