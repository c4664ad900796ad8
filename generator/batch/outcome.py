"""Says what became of a batch, and how to go on."""

import logging
from pathlib import Path

from generator.batch.documents import COMPLETE_FILE, write_batch_complete
from generator.batch.inventory import is_complete
from generator.batch.plan import Plan
from generator.batch.prepare import PreparedBatch
from generator.batch.reading import read_object
from generator.batch.watchers import hint
from generator.errors import DocumentError

log = logging.getLogger(__name__)


def write_outcome(plan: Plan, folder: Path, flag: str) -> int:
    """Write and log the outcome of the batch, and return the exit code: 1 if a video is missing.

    ``flag`` is the one with which the batch goes on.
    """
    unmade = [video for video in plan.videos if not is_complete(folder, video)]
    failed = sum((folder / video.failure).exists() for video in unmade)
    expected = len(plan.videos)
    complete = expected - len(unmade)
    write_batch_complete(folder, expected=expected, complete=complete, failed=failed)
    if not unmade:
        log.info("%s is complete, %d of %d videos", folder, complete, expected)
        return 0
    log.warning(
        "%s has %d of %d videos; %d failed. Resume with: python -m generator %s %s",
        folder,
        complete,
        expected,
        failed,
        flag,
        folder,
    )
    return 1


def outcome(folder: Path) -> int | None:
    """Return the exit code for the outcome that is written already; None if there is none."""
    try:
        return 0 if read_object(folder / COMPLETE_FILE).get("status") == "complete" else 1
    except (FileNotFoundError, DocumentError):
        return None


def say_how_to_render(batch: PreparedBatch, folder: Path) -> None:
    """Log how to have attention videos rendered, unless a watcher is at work."""
    if (line := hint(batch, folder)) is not None:
        log.info("%s", line)
