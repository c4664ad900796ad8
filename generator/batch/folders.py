"""The folder of a batch, and who works in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.batch.leases import FOLDER, Leases, State
from generator.batch.plan import Plan, new_folder_name
from generator.errors import OutputError, ResumeError
from generator.outputs.files import make_folder
from generator.settings import Settings

PROCESS = "process-"
"""Start of the names of leases that processes hold which share out the videos among them, or which are alone."""
_POLL_SECONDS = 0.2
_MOST_ATTEMPTS = 1000
"""Names that are tried for a new folder, one in each second."""


def batch_folder(plan: Plan) -> Path:
    """Return the folder of a resumed batch, or create a new one."""
    return plan.folder or _new_folder(plan.settings)


@contextmanager
def occupied(folder: Path, number: int = 0) -> Iterator[None]:
    """Hold the lease of process ``number`` in ``folder``; the first process keeps other generators out.

    Raises:
        ResumeError: if another generator works there.
        OutputError: if the folder cannot be written.

    """
    leases, name = Leases(folder / FOLDER), f"{PROCESS}{number}"
    if number == 0:
        refuse_beside(folder, leases)
    with leases.taken(name) as lease:
        if lease is None:
            raise at_work(folder, "another generator")
        if number == 0 and leases.held() != [name]:  # somebody came in the meantime
            raise at_work(folder, "another generator")
        yield
    if number == 0:
        leases.clear()


def refuse_beside(folder: Path, leases: Leases, start: str = "") -> None:
    """Raise ResumeError if a process works in the folder; ``start`` is the start of the name of its lease.

    That a process on another machine is dead takes a minute to see.
    """
    if (owner := leases.survivor(start)) is not None:
        raise at_work(folder, f"another generator ({owner})")


def at_work(folder: Path, who: str) -> ResumeError:
    """Return the error of a process that may not work in ``folder`` beside another one."""
    return ResumeError(f"{who} is working in {folder}. Wait until it has ended, or stop it first")


def wait_until_ended(folder: Path, number: int) -> None:
    """Wait until process ``number`` no longer works in ``folder``, however it ended."""
    leases, name = Leases(folder / FOLDER), f"{PROCESS}{number}"
    while leases.state(name, leases.newest().get(name, 0)) is State.HELD:
        time.sleep(_POLL_SECONDS)


def _new_folder(settings: Settings) -> Path:
    """Create a folder that did not exist. Its name ends with the time, so if it is taken, a later one is not.

    Of many generators that begin in one second, one takes the name of each second.
    """
    parent = Path(settings.output)
    make_folder(parent)
    for _attempt in range(_MOST_ATTEMPTS):
        folder = parent / new_folder_name(settings)
        try:
            folder.mkdir()
        except FileExistsError:
            time.sleep(1.0 - time.time() % 1.0)
        except OSError as error:
            raise OutputError(
                f"the folder {folder} cannot be created: {error.strerror}. Choose another --output"
            ) from error
        else:
            return folder
    raise OutputError(f"every name tried for a new folder in {parent} is taken. Choose another --batch-name")
