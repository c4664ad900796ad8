"""Running a batch: one video after the other, each complete on the disk before the next one begins."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from generator import models
from generator.errors import CaptureError, OutputError, PipelineError, ResumeError, VideoError
from generator.families.contract import VideoModel
from generator.files import make_folder, remove_leftovers
from generator.interrupt import Stopped, StopRequest, stop_on_signals
from generator.memory import execution_device, recover
from generator.outputs import COMPLETE_FILE, write_batch, write_batch_complete, write_failure
from generator.plan import Plan, PlannedVideo, new_folder_name
from generator.progress import BatchProgress, restore_terminal
from generator.tokens import cut_off, locate
from generator.video import PreparedBatch, make_video

log = logging.getLogger(__name__)

MOST_WARNINGS = 5
"""Prompts named one by one that are too long."""
LOCK_FILE = ".generator.lock"

# When these end a video, the batch goes on with the next one. Anything else is a mistake in this program and ends it.
VIDEO_FAILURES = (CaptureError, PipelineError, VideoError, MemoryError)


def run(plan: Plan, console: Console) -> int:
    """Make all videos of ``plan`` that are not there yet, and return the exit code.

    Returns:
        0 if the batch is complete, 1 if a video failed, 128 plus the signal's number if it was stopped.

    Raises:
        UsageError: if the model cannot be loaded or cannot do what is asked; nothing was written then.
        OutputError: if files cannot be written; what is complete stays.

    """
    batch = prepare(plan)
    with stop_on_signals(partial(restore_terminal, console)) as stop, _batch_folder(batch.plan) as folder:
        if plan.resumed is None:
            write_batch(folder, batch.plan, batch.words, batch.model.revision)
        else:
            (folder / COMPLETE_FILE).unlink(missing_ok=True)
            remove_leftovers(folder)
        return _make_videos(batch, folder, console, stop)


def prepare(plan: Plan) -> PreparedBatch:
    """Load the model, and do all that can go wrong before something is written."""
    model = models.load(plan.settings.model)
    recorded = (plan.resumed or {}).get("model_revision", model.revision)
    if model.revision != recorded:
        raise ResumeError(
            f"the batch was begun with {model.name} in version {recorded}; found is version {model.revision}. "
            "Install the libraries that it was begun with, or start a new batch"
        )
    video = plan.settings.video.over(model.recommended)
    model.check(video.sampling())
    used = plan.settings.model.model_copy(update={"device": execution_device(model.pipe), "dtype": model.dtype})
    plan = replace(plan, settings=plan.settings.model_copy(update={"video": video, "model": used}))
    words = {variation.number: locate(variation, model.clean, model.tokenise) for variation in plan.variations}
    _warn_of_cut_off_prompts(plan, model)
    if not any(words.values()):
        log.warning("no word of the template is in (parentheses): the videos are made, and no attention is recorded")
    if any(words.values()) and not plan.settings.attention_analysis.stores_anything:
        log.warning(
            "words are tracked, but store_attention and store_aggregated_attention are both off: the videos are "
            "made without their attention"
        )
    return PreparedBatch(plan, model, words)


def _warn_of_cut_off_prompts(plan: Plan, model: VideoModel) -> None:
    """Name the words that the text encoder never sees. A tracked one among them was refused before."""
    found = 0
    for variation in plan.variations:
        sequence = model.tokenise(model.clean(variation.prompt))
        if ending := cut_off(sequence):
            found += 1
            if found <= MOST_WARNINGS:
                log.warning(
                    "prompt_%03d has %d tokens and the text encoder takes %d. It never sees the end: %s",
                    variation.number,
                    sequence.whole_length,
                    len(sequence.ids),
                    ending,
                )
    if found > MOST_WARNINGS:
        log.warning("... and %d more prompts are too long", found - MOST_WARNINGS)


@contextmanager
def _batch_folder(plan: Plan) -> Iterator[Path]:
    """Make the batch's folder, or take the one that is resumed, and keep other generators out of it."""
    folder = plan.folder or _new_folder(plan)
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ResumeError(
            f"another generator is at work in {folder}. Wait until it has ended, or stop it first"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder} cannot be locked: {error.strerror}. Check that it can be written") from error
    try:
        yield folder
    finally:
        lock.release()


def _new_folder(plan: Plan) -> Path:
    """Make a folder that was not there. Its name counts seconds, so a taken name is a free one soon."""
    parent = Path(plan.settings.output)
    make_folder(parent)
    for _attempt in range(10):
        folder = parent / new_folder_name(plan.settings)
        try:
            folder.mkdir()
        except FileExistsError:
            time.sleep(1.0 - time.time() % 1.0)
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be made: {error.strerror}. Give another --output") from error
        else:
            return folder
    raise OutputError(f"every name tried for a new folder in {parent} is taken. Give another --batch-name")


@dataclass(frozen=True)
class _Outcome:
    expected: int
    complete: int
    failed: int


def _make_videos(batch: PreparedBatch, folder: Path, console: Console, stop: StopRequest) -> int:
    videos = batch.plan.videos
    missing = [video for video in videos if not (folder / video.manifest).exists()]
    log.info("%s: %d of %d videos to be made with %s", folder, len(missing), len(videos), batch.model.name)
    with BatchProgress(console, len(videos), len(videos) - len(missing)) as progress:
        for video in _until_stopped(missing, stop):
            if not _try(batch, folder, video, progress, stop):
                recover(batch.model.pipe)
    complete = sum((folder / video.manifest).exists() for video in videos)
    failed = sum((folder / video.failure).exists() and not (folder / video.manifest).exists() for video in videos)
    write_batch_complete(folder, expected=len(videos), complete=complete, failed=failed)
    return _conclude(folder, _Outcome(len(videos), complete, failed), stop)


def _until_stopped(videos: Sequence[PlannedVideo], stop: StopRequest) -> Iterator[PlannedVideo]:
    for video in videos:
        if stop.signal is not None:
            return
        yield video


def _try(batch: PreparedBatch, folder: Path, video: PlannedVideo, progress: BatchProgress, stop: StopRequest) -> bool:
    """Make one video; return whether it did not fail. One that was abandoned did not."""

    def on_step(done: int, total: int) -> None:
        progress.step(done, total)
        if done < total:  # after the last step the video is as good as made: it is finished and kept
            stop.raise_if_stopped()

    progress.begin(video)
    began = time.monotonic()
    try:
        make_video(batch, folder, video, on_step)
    except Stopped:
        log.info("%s is abandoned: stopped while it was denoised", video.video_id)
    except VIDEO_FAILURES as error:
        progress.failed(video, error)
        write_failure(folder, video, error, time.monotonic() - began)
        return False
    else:
        progress.finished(video)
    return True


def _conclude(folder: Path, outcome: _Outcome, stop: StopRequest) -> int:
    if outcome.complete == outcome.expected:
        log.info("%s is complete, %d of %d videos", folder, outcome.complete, outcome.expected)
        return 0
    log.warning(
        "%s has %d of %d videos; %d failed. Go on with: python -m generator --resume %s",
        folder,
        outcome.complete,
        outcome.expected,
        outcome.failed,
        folder,
    )
    return stop.exit_code if stop.signal is not None else 1
