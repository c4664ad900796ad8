"""Makes the videos of a batch one after another, each complete on disk before the next one starts.

Several processes share the list of videos. The first one creates the folder, writes the batch's own files and waits
for the others at the end.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from generator.batch.attempt import attempt
from generator.batch.documents import COMPLETE_FILE, write_batch
from generator.batch.folders import batch_folder, occupied, wait_until_ended
from generator.batch.interrupt import StopRequest, stop_on_signals
from generator.batch.inventory import is_complete, missing_videos
from generator.batch.outcome import say_how_to_render, write_outcome
from generator.batch.plan import Plan, PlannedVideo
from generator.batch.prepare import PreparedBatch, described, load_model, log_size, prepare, warn
from generator.batch.progress import BatchProgress, counted, loading, restore_terminal
from generator.batch.sharing.gathering import Gathering, gathered
from generator.batch.sharing.ranks import Rank
from generator.errors import OutputError
from generator.outputs.files import remove_leftovers

log = logging.getLogger(__name__)


def run(plan: Plan, console: Console) -> int:
    """Make all missing videos of ``plan`` and return the exit code.

    Returns:
        0 if the batch is complete, 1 if a video failed, 128 plus the signal's number if it was stopped. Of several
        processes, only the first one reports failures: launchers end all processes after any exit code but 0.

    Raises:
        UsageError: if the model cannot be loaded or cannot do what is asked; nothing was written.
        OutputError: if a file cannot be written; complete videos stay.

    """
    rank = Rank.of(os.environ)
    with gathered(rank) as gathering:
        with loading(console, plan.settings.model.id, shown=rank.is_first):
            model = load_model(plan, rank)
        batch = prepare(plan, model, partial(counted, console, shown=rank.is_first))
        gathering.refuse_other(described(batch))
        if rank.is_first:
            warn(batch)
        with stop_on_signals(partial(restore_terminal, console)) as stop:
            work = _Work(batch, rank, gathering, console, stop)
            return _lead(work) if rank.is_first else _follow(work)


@dataclass(frozen=True)
class _Work:
    """The batch; the rank, console and stop request of one of its processes; and how that agrees with the others."""

    batch: PreparedBatch
    rank: Rank
    gathering: Gathering
    console: Console
    stop: StopRequest


def _lead(work: _Work) -> int:
    """Start the batch, make this process's videos, and end the batch when all processes have ended."""
    plan, rank = work.batch.plan, work.rank
    folder = batch_folder(plan)
    with occupied(folder):
        if plan.resumed is None:
            write_batch(folder, plan, work.batch.words, work.batch.model.revision, work.batch.sources)
        else:
            (folder / COMPLETE_FILE).unlink(missing_ok=True)
            remove_leftovers(folder)
        missing = missing_videos(folder, plan.queue, verify=plan.verify)
        for video in missing:  # until it is made again, nothing says that it is complete
            (folder / video.manifest).unlink(missing_ok=True)
        log.info(
            "%s: generating %d of %d videos with %s", folder, len(missing), len(plan.videos), work.batch.model.name
        )
        log_size(work.batch, folder, missing)
        say_how_to_render(work.batch, folder)
        began = time.time()
        work.gathering.agree([str(folder), *(video.video_id for video in missing)])
        work.gathering.meet()
        _make_videos(work, folder, rank.share(missing), len(plan.videos) - len(missing))
        for number in range(1, rank.size):
            wait_until_ended(folder, number)
            _report_early_end(work, folder, rank.share(missing, number), number, began)
        code = write_outcome(plan, folder, "--resume")
        say_how_to_render(work.batch, folder)
        return work.stop.exit_code if code and work.stop.signal is not None else code


def _follow(work: _Work) -> int:
    """Make this process's videos in the folder that the first process announces."""
    place, *missing = work.gathering.agree([""])
    folder = Path(place)
    if not folder.is_dir():
        raise OutputError(
            f"{work.rank}: found no folder {folder}, in which process 0 has begun the batch. All machines have to see "
            "it under this path: choose another --output, on a file system that they share"
        )
    with occupied(folder, work.rank.number):
        work.gathering.meet()
        videos = {video.video_id: video for video in work.batch.plan.videos}
        _make_videos(work, folder, work.rank.share([videos[name] for name in missing]), 0)
    return work.stop.exit_code if work.stop.signal is not None else 0


def _make_videos(work: _Work, folder: Path, videos: Sequence[PlannedVideo], done: int) -> None:
    """Make ``videos``; a single process counts on from the ``done`` videos that were made before."""
    done = done if work.rank.size == 1 else 0
    with BatchProgress(work.console, len(videos) + done, done, bars=work.rank.size == 1) as progress:
        for video in _until_stopped(videos, work.stop):
            progress.begin(video)
            attempt(work.batch, folder, video, progress, work.stop)


def _until_stopped(videos: Iterable[PlannedVideo], stop: StopRequest) -> Iterator[PlannedVideo]:
    for video in videos:
        if stop.signal is not None:
            return
        yield video


def _report_early_end(work: _Work, folder: Path, videos: Sequence[PlannedVideo], number: int, began: float) -> None:
    """Log an error if a process ended before it had tried all of its videos, unless the batch was stopped."""
    undone = [video for video in videos if not _was_tried(folder, video, began)]
    if undone and work.stop.signal is None:
        log.error(
            "process %d of %d ended early: %d of its %d videos were not tried, starting with %s",
            number,
            work.rank.size,
            len(undone),
            len(videos),
            undone[0].video_id,
        )


def _was_tried(folder: Path, video: PlannedVideo, since: float) -> bool:
    failure = folder / video.failure
    return is_complete(folder, video) or (failure.exists() and failure.stat().st_mtime >= since)
