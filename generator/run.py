"""Running a batch: one video after the other, each complete on the disk before the next one begins.

Several processes share the list of videos. The first one makes the folder, writes the batch's own files and waits
for the others at the end.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from generator import models
from generator.budget import VideoShape, as_kept, as_text, attention_bytes, check_attention
from generator.documents import COMPLETE_FILE, write_batch, write_batch_complete, write_failure
from generator.errors import CaptureError, PipelineError, ResumeError, VideoError
from generator.families.contract import VideoModel
from generator.files import remove_leftovers
from generator.folders import batch_folder, claimed, wait_until_ended
from generator.interrupt import Stopped, StopRequest, stop_on_signals
from generator.memory import recover
from generator.plan import Plan, PlannedVideo
from generator.progress import BatchProgress, loading, restore_terminal
from generator.ranks import Rank
from generator.tokens import cut_off, locate, unknown_words
from generator.video import PreparedBatch, make_video

log = logging.getLogger(__name__)

MOST_WARNINGS = 5
"""Prompts named one by one that are too long."""

MOST_WORDS = 20
"""Words named that the model does not know."""

# When these end a video, the batch goes on with the next one. Anything else is a mistake in this program and ends it.
VIDEO_FAILURES = (CaptureError, PipelineError, VideoError, MemoryError)


def run(plan: Plan, console: Console) -> int:
    """Make all videos of ``plan`` that are not there yet, and return the exit code.

    Returns:
        0 if the batch is complete, 1 if a video failed, 128 plus the signal's number if it was stopped. Of several
        processes only the first one tells of failures: launchers take any other code for the end of all.

    Raises:
        UsageError: if the model cannot be loaded or cannot do what is asked; nothing was written then.
        OutputError: if files cannot be written; what is complete stays.

    """
    rank = Rank.of(os.environ)
    with loading(console, plan.settings.model.id, shown=rank.is_first):
        model = load_model(plan, rank)
    batch = prepare(plan, model)
    if rank.is_first:
        _warn(batch)
    with stop_on_signals(partial(restore_terminal, console)) as stop:
        work = _Work(batch, rank, console, stop)
        return _lead(work) if rank.is_first else _follow(work)


def load_model(plan: Plan, rank: Rank) -> VideoModel:
    """Load the model of a batch: for one that is resumed, the very same version."""
    wanted = plan.settings.model
    model = models.load(wanted.model_copy(update={"device": rank.device(wanted.device)}))
    recorded = (plan.resumed or {}).get("model_revision", model.revision)
    if model.revision != recorded:
        raise ResumeError(
            f"the batch was begun with {model.name} in version {recorded}; found is version {model.revision}. "
            "Install the libraries that it was begun with, or start a new batch"
        )
    return model


def prepare(plan: Plan, model: VideoModel) -> PreparedBatch:
    """Do all that can go wrong before something is written."""
    video = plan.settings.video.over(model.recommended)
    model.check(video.sampling())
    used = plan.settings.model.model_copy(update={"device": model.device, "dtype": model.dtype})
    plan = replace(plan, settings=plan.settings.model_copy(update={"video": video, "model": used}))
    words = {variation.number: locate(variation, model.clean, model.tokenise) for variation in plan.variations}
    batch = PreparedBatch(plan, model, words)
    _check_attention(batch)
    return batch


def _check_attention(batch: PreparedBatch) -> None:
    """Refuse what cannot be kept of the attention of any prompt."""
    settings, sampling = batch.plan.settings.attention_analysis, batch.plan.settings.video.sampling()
    most = max(map(len, batch.words.values()))
    if most and settings.stores_anything:
        check_attention(settings, VideoShape.of(batch.model, sampling, most))


def _warn(batch: PreparedBatch) -> None:
    """Say what is allowed and hardly meant."""
    is_tracking = any(batch.words.values())
    if not is_tracking:
        log.warning("no word of the template is in (parentheses): the videos are made, and no attention is recorded")
    if is_tracking and not batch.plan.settings.attention_analysis.stores_anything:
        log.warning(
            "words are tracked, but store_attention and store_aggregated_attention are both off: the videos are "
            "made without their attention"
        )
    warnings = list(_cut_off_prompts(batch.plan, batch.model))
    for warning in warnings[:MOST_WARNINGS]:
        log.warning("%s", warning)
    if len(warnings) > MOST_WARNINGS:
        log.warning("... and %d more prompts are too long", len(warnings) - MOST_WARNINGS)
    _warn_of_unknown_words(batch.plan, batch.model)


def _warn_of_unknown_words(plan: Plan, model: VideoModel) -> None:
    """Name, in one warning, all words that are one and the same to the text encoder."""
    texts = (model.clean(variation.prompt) for variation in plan.variations)
    unknown = dict.fromkeys(word for text in texts for word in unknown_words(model.tokenise(text)))
    if unknown:
        shown = ", ".join(list(unknown)[:MOST_WORDS]) + (", ..." if len(unknown) > MOST_WORDS else "")
        log.warning(
            "%s does not know %d of the words, and takes all of them for the same one: %s",
            model.name,
            len(unknown),
            shown,
        )


def _cut_off_prompts(plan: Plan, model: VideoModel) -> Iterator[str]:
    """Name the words that the text encoder never sees. A tracked one among them was refused before."""
    for variation in plan.variations:
        sequence = model.tokenise(model.clean(variation.prompt))
        if ending := cut_off(sequence):
            yield (
                f"prompt_{variation.number:03} has {sequence.whole_length} tokens and the text encoder takes "
                f"{len(sequence.ids)}. It never sees the end: {ending}"
            )


@dataclass(frozen=True)
class _Work:
    """What one process of a batch works with."""

    batch: PreparedBatch
    rank: Rank
    console: Console
    stop: StopRequest


def _lead(work: _Work) -> int:
    """Begin a batch, make this process's videos, and end the batch when all processes have ended."""
    plan, rank = work.batch.plan, work.rank
    folder = batch_folder(plan)
    with claimed(folder):
        if plan.resumed is None:
            write_batch(folder, plan, work.batch.words, work.batch.model.revision)
        else:
            (folder / COMPLETE_FILE).unlink(missing_ok=True)
            remove_leftovers(folder)
        missing = [video for video in plan.videos if not (folder / video.manifest).exists()]
        log.info(
            "%s: %d of %d videos to be made with %s", folder, len(missing), len(plan.videos), work.batch.model.name
        )
        _tell_size(work.batch, folder, missing)
        began = time.time()
        rank.agree((folder, [video.video_id for video in missing]))
        rank.meet()
        _make_videos(work, folder, rank.share(missing), len(plan.videos) - len(missing))
        for number in range(1, rank.size):
            wait_until_ended(folder, number)
            _notice_death(work, folder, rank.share(missing, number), number, began)
        return _end(work, folder)


def _tell_size(batch: PreparedBatch, folder: Path, videos: Sequence[PlannedVideo]) -> None:
    """Say how large the attention of ``videos`` will be, and warn if the disk has not that much."""
    settings, sampling = batch.plan.settings.attention_analysis, batch.plan.settings.video.sampling()
    words = [len(batch.words[video.variation.number]) for video in videos]
    if not settings.stores_anything or not any(words):
        return
    shapes = [VideoShape.of(batch.model, sampling, count) for count in words]
    sizes = [attention_bytes(settings, shape) if shape.words else 0 for shape in shapes]
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    log.info(
        "attention: up to %s a video (%s), %s in all",
        as_text(sizes[largest]),
        as_kept(settings, shapes[largest]),
        as_text(sum(sizes)),
    )
    free = shutil.disk_usage(folder).free
    if sum(sizes) > free:
        log.warning("the disk of %s has %s free, less than the attention alone will take", folder, as_text(free))


def _follow(work: _Work) -> int:
    """Make this process's videos in the folder that the first one names."""
    folder, missing = work.rank.agree((Path(), [""]))
    with claimed(folder, work.rank.number):
        work.rank.meet()
        videos = [video for video in work.batch.plan.videos if video.video_id in set(missing)]
        _make_videos(work, folder, work.rank.share(videos), 0)
    return work.stop.exit_code if work.stop.signal is not None else 0


def _make_videos(work: _Work, folder: Path, videos: Sequence[PlannedVideo], done: int) -> None:
    """Make ``videos``; so many were ``done`` before, if this is the only process."""
    done = done if work.rank.size == 1 else 0
    with BatchProgress(work.console, len(videos) + done, done, bars=work.rank.size == 1) as progress:
        for video in _until_stopped(videos, work.stop):
            if not _try(work.batch, folder, video, progress, work.stop):
                recover(work.batch.model.pipe)


def _until_stopped(videos: Iterable[PlannedVideo], stop: StopRequest) -> Iterator[PlannedVideo]:
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


def _notice_death(work: _Work, folder: Path, videos: Sequence[PlannedVideo], number: int, began: float) -> None:
    """Say so if a process ended without having made or tried all of its videos, and nobody stopped it."""
    undone = [video for video in videos if not _was_tried(folder, video, began)]
    if undone and work.stop.signal is None:
        log.error(
            "process %d of %d ended before its time: %d of its %d videos were not tried, from %s on",
            number,
            work.rank.size,
            len(undone),
            len(videos),
            undone[0].video_id,
        )


def _was_tried(folder: Path, video: PlannedVideo, since: float) -> bool:
    failure = folder / video.failure
    return (folder / video.manifest).exists() or (failure.exists() and failure.stat().st_mtime >= since)


def _end(work: _Work, folder: Path) -> int:
    """Write how the batch ended, say it, and return the exit code."""
    videos = work.batch.plan.videos
    unmade = [video for video in videos if not (folder / video.manifest).exists()]
    failed = sum((folder / video.failure).exists() for video in unmade)
    complete = len(videos) - len(unmade)
    write_batch_complete(folder, expected=len(videos), complete=complete, failed=failed)
    if not unmade:
        log.info("%s is complete, %d of %d videos", folder, complete, len(videos))
        return 0
    log.warning(
        "%s has %d of %d videos; %d failed. Go on with: python -m generator --resume %s",
        folder,
        complete,
        len(videos),
        failed,
        folder,
    )
    return work.stop.exit_code if work.stop.signal is not None else 1
