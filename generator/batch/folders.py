"""The folder of a batch, and the locks of the processes that work in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from generator.batch.plan import Plan, new_folder_name
from generator.errors import OutputError, ResumeError
from generator.outputs.files import make_folder
from generator.settings import Settings

LOCK_FILE = ".generator.lock"
"""Lock of the first or only process."""
_OTHER_LOCKS = ".generator.*.lock"
_POLL_SECONDS = 0.2


def batch_folder(plan: Plan) -> Path:
    """Return the folder of a resumed batch, or create a new one."""
    return plan.folder or _new_folder(plan.settings)


@contextmanager
def claimed(folder: Path, number: int = 0) -> Iterator[None]:
    """Hold the lock of process ``number`` in ``folder``; the first process keeps other generators out.

    Raises:
        ResumeError: if another generator works there.
        OutputError: if the folder cannot be written.

    """
    lock = FileLock(folder / _lock_name(number))
    try:
        lock.acquire(timeout=0)
        if number == 0:
            _refuse_while_others_work(folder)
    except Timeout as error:
        raise ResumeError(
            f"another generator is working in {folder}. Wait until it has ended, or stop it first"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder} cannot be locked: {error.strerror}. Check that it is writable") from error
    try:
        yield
    finally:
        lock.release()


def wait_until_ended(folder: Path, number: int) -> None:
    """Wait until process ``number`` no longer works in ``folder``, however it ended."""
    path = folder / _lock_name(number)
    with FileLock(path).acquire(poll_interval=_POLL_SECONDS):
        path.unlink(missing_ok=True)


def _refuse_while_others_work(folder: Path) -> None:
    """Raise Timeout if another process of the batch still works although the first one has died."""
    for path in folder.glob(_OTHER_LOCKS):
        with FileLock(path).acquire(timeout=0):
            path.unlink(missing_ok=True)


def _lock_name(number: int) -> str:
    return LOCK_FILE if number == 0 else _OTHER_LOCKS.replace("*", str(number))


def _new_folder(settings: Settings) -> Path:
    """Create a folder that did not exist. Its name ends with the time, so if it is taken, a second later it is not."""
    parent = Path(settings.output)
    make_folder(parent)
    for _attempt in range(10):
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
