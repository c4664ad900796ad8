"""Making a batch: one video after the other, complete on the disk before the next one begins."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from rich.console import Console

from generator import models
from generator.capture import Keep, Recorder, capture
from generator.encode import encode_video
from generator.errors import CaptureError, OutputError, ResumeError, VideoError
from generator.files import atomic_write, make_folder, remove_leftovers
from generator.interrupt import Stopped, StopRequest, stop_on_signals
from generator.models import VideoModel
from generator.outputs import (
    COMPLETE_FILE,
    Document,
    FinishedVideo,
    write_batch,
    write_batch_complete,
    write_manifest,
    write_prompt,
)
from generator.plan import Plan, PlannedVideo, new_folder_name
from generator.progress import BatchProgress
from generator.store import save_attention
from generator.tokens import TrackedWord, locate

log = logging.getLogger(__name__)

LIBRARIES = ("attnwatch", "torch", "diffusers", "transformers")

# What a pipeline raises when a video cannot be made: the batch goes on with the next one. Running out of a
# GPU's memory is a RuntimeError. Anything else is a mistake in this program and ends it.
VIDEO_FAILURES = (CaptureError, VideoError, RuntimeError, ValueError, TypeError, IndexError, MemoryError)


def run(plan: Plan, console: Console) -> int:
    """Make all videos of ``plan`` that are not there yet, and return the exit code.

    Returns:
        0 if the batch is complete, 1 if a video failed, 128 plus the signal's number if it was stopped.

    Raises:
        UsageError: if the model cannot be loaded or cannot do what is asked; nothing was written then.
        OutputError: if files cannot be written; what is complete stays.

    """
    batch = _prepare(plan)
    with _batch_folder(batch.plan) as folder:
        if plan.resumed is None:
            write_batch(folder, batch.plan, batch.words, batch.model.revision)
        else:
            (folder / COMPLETE_FILE).unlink(missing_ok=True)
            remove_leftovers(folder)
        return _make_videos(batch, folder, console)


@dataclass(frozen=True)
class _Batch:
    """A plan whose model is loaded: settings are resolved and tracked words found."""

    plan: Plan
    model: VideoModel
    words: Mapping[int, tuple[TrackedWord, ...]]


def _prepare(plan: Plan) -> _Batch:
    """Do everything that can go wrong before something is written."""
    model = models.load(plan.settings.model)
    recorded = (plan.resumed or {}).get("model_revision", model.revision)
    if model.revision != recorded:
        raise ResumeError(
            f"the batch was begun with {model.name} in version {recorded}, found is version {model.revision}. "
            "Install the libraries that it was begun with, or start a new batch"
        )
    video = plan.settings.video.over(model.recommended)
    model.check(video.sampling())
    device, dtype = str(model.pipe.device), str(model.pipe.dtype).removeprefix("torch.")
    resolved = plan.settings.model.model_copy(update={"device": device, "dtype": dtype})
    plan = replace(plan, settings=plan.settings.model_copy(update={"video": video, "model": resolved}))
    words = {variation.number: locate(variation, model.clean, model.tokenise) for variation in plan.variations}
    if any(words.values()) and not plan.settings.attention_analysis.stores_anything:
        log.warning(
            "words are tracked, but both store_attention and store_aggregated_attention are off: "
            "the videos are made without their attention"
        )
    return _Batch(plan, model, words)


@contextmanager
def _batch_folder(plan: Plan) -> Iterator[Path]:
    """Make the batch's folder, or take the one that is resumed, and keep other generators out of it."""
    folder = plan.folder or _new_folder(plan)
    lock = FileLock(folder / ".generator.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ResumeError(
            f"another generator is at work in {folder}. Wait until it has ended, or stop it first"
        ) from error
    try:
        yield folder
    finally:
        lock.release()


def _new_folder(plan: Plan) -> Path:
    """Make a folder that was not there; its name has seconds, so a taken one is free again soon."""
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


def _make_videos(batch: _Batch, folder: Path, console: Console) -> int:
    videos = batch.plan.videos
    missing = [video for video in videos if not (folder / video.manifest).exists()]
    log.info("%s: %d videos, %d to be made with %s", folder, len(videos), len(missing), batch.model.name)
    failed = 0
    with (
        BatchProgress(console, len(videos), len(videos) - len(missing)) as progress,
        stop_on_signals(progress.restore_terminal) as stop,
    ):
        for video in missing:
            if stop.signal is not None:
                break
            try:
                progress.begin(video)
                _make_video(batch, folder, video, progress, stop)
                progress.finished(video)
            except Stopped:
                log.info("%s is abandoned: stopped while it was denoised", video.video_id)
            except VIDEO_FAILURES as error:
                failed += 1
                progress.failed(video, error)
        complete = sum((folder / video.manifest).exists() for video in videos)
        write_batch_complete(folder, expected=len(videos), complete=complete, failed=failed)
    return _conclude(folder, len(videos), complete, failed, stop)


def _conclude(folder: Path, expected: int, complete: int, failed: int, stop: StopRequest) -> int:
    if complete == expected:
        log.info("%s is complete: %d videos", folder, complete)
        return 0
    log.warning(
        "%s has %d of %d videos (%d failed). Go on with: python -m generator --resume %s",
        folder, complete, expected, failed, folder,
    )  # fmt: skip
    return stop.exit_code if stop.signal is not None else 1


def _make_video(batch: _Batch, folder: Path, video: PlannedVideo, progress: BatchProgress, stop: StopRequest) -> None:
    """Make one video, its tensors and, last, its manifest."""
    began = time.monotonic()
    sampling = batch.plan.settings.video.sampling()

    def on_step(done: int, total: int) -> None:
        progress.step(done, total)
        if done < total:  # after the last step the video is as good as made: it is finished and kept
            stop.raise_if_stopped()

    words = batch.words[video.variation.number]
    with _capturing(batch, words) as recorder:
        frames = batch.model.generate(video.variation.prompt, sampling, video.seed, on_step)
    schedule = batch.model.schedule()
    if recorder is not None and recorder.steps_seen != len(schedule):
        raise CaptureError(
            f"captured {recorder.steps_seen} of {len(schedule)} denoising steps: the pipeline skips some calls of "
            "its network. Switch that off, or do without capture"
        )
    place = folder / "videos" / video.prompt_id
    attention = _write_files(batch, place, video, recorder)
    path = place / f"{video.stem}.mp4"
    with atomic_write(path) as temporary:
        encode_video(temporary, frames, sampling.fps)
    seconds = time.monotonic() - began
    finished = FinishedVideo(
        video,
        path,
        attention,
        words if recorder is not None else (),
        asdict(batch.model.grid(sampling)),
        _describe_steps(recorder, schedule),
        _describe_generation(batch, video, recorder, seconds),
    )
    write_manifest(folder, finished, batch.plan.settings.visualization)


def _capturing(batch: _Batch, words: tuple[TrackedWord, ...]) -> AbstractContextManager[Recorder | None]:
    settings = batch.plan.settings.attention_analysis
    if not words or not settings.stores_anything:
        return nullcontext()
    keep = Keep(
        steps=settings.store_attention,
        aggregated=settings.store_aggregated_attention,
        interval=settings.storage_interval,
        per_block=settings.store_per_block,
        per_head=settings.store_per_head,
        dtype=getattr(torch, settings.storage_dtype),
    )
    return capture(batch.model, words, batch.model.grid(batch.plan.settings.video.sampling()), keep)


def _write_files(batch: _Batch, place: Path, video: PlannedVideo, recorder: Recorder | None) -> tuple[Path, ...]:
    """Write the prompt, and the tensors if there are any; return the paths of the tensors."""
    make_folder(place)
    if not (place / "prompt.txt").exists():
        write_prompt(place, video.variation.prompt)
    if recorder is None:
        return ()
    folder = place / "attention_maps"
    make_folder(folder)
    settings = batch.plan.settings.attention_analysis
    return (save_attention(folder, video.tensors_stem, recorder, video.variation.prompt, settings),)


def _describe_steps(recorder: Recorder | None, schedule: list[tuple[float, float | None]]) -> list[Document]:
    """Describe the stored denoising steps as FORMAT.md's ``denoising``."""
    if recorder is None:
        return []
    return [
        {
            "index": step.index,
            "timestep": schedule[step.index][0],
            "sigma": schedule[step.index][1],
            "model": step.denoiser,
            "branch": recorder.branch,
        }
        for step in recorder.steps
    ]


def _describe_generation(batch: _Batch, video: PlannedVideo, recorder: Recorder | None, seconds: float) -> Document:
    """Describe how a video was made, as FORMAT.md's ``generation``."""
    described: Document = {
        "prompt": video.variation.prompt,
        "template": batch.plan.template,
        "prompt_id": video.prompt_id,
        "variation": video.variation.number,
        "choices": list(video.variation.choices.values()),
        "seed": video.seed,
        "model": batch.model.name,
        "model_revision": batch.model.revision,
        **asdict(batch.plan.settings.video.sampling()),
        "scheduler": type(batch.model.pipe.scheduler).__name__,
        "device": batch.plan.settings.model.device,
        "dtype": batch.plan.settings.model.dtype,
        "seconds": round(seconds, 3),
        "versions": {library: version(library) for library in LIBRARIES},
    }
    if recorder is not None:
        described["capture"] = {
            "layers": recorder.layers,
            "heads": recorder.heads,
            "steps": recorder.steps_seen,
            "calls": recorder.calls,
            "expected_calls": recorder.steps_seen * recorder.layers,
            "branch_source": recorder.branch_source,
            "padding_keys": min(recorder.padding_keys.values(), default=0),
        }
    return described
