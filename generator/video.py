"""Making one video: generated, its attention captured, everything written, the manifest last."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from generator.capture import Recorder, capture
from generator.config import Sampling
from generator.encode import encode_video
from generator.errors import CaptureError, GeneratorError, PipelineError, first_line
from generator.families.contract import OnStep, VideoModel
from generator.files import atomic_write, make_folder
from generator.maps import Keep
from generator.outputs import Document, FinishedVideo, write_manifest, write_prompt
from generator.plan import Plan, PlannedVideo
from generator.store import save_attention
from generator.tokens import TrackedWord

MEMORY_ADVICE = ". Try --offload model, --vae-tiling or --dtype bfloat16, or make smaller or shorter videos"
LIBRARIES = ("attnwatch", "torch", "diffusers", "transformers")

Schedule = list[tuple[float, float | None]]


@dataclass(frozen=True)
class PreparedBatch:
    """A plan whose model is loaded: its settings are resolved, and its tracked words are found.

    ``words`` are the tracked words of each variation, by its number.
    """

    plan: Plan
    model: VideoModel
    words: Mapping[int, tuple[TrackedWord, ...]]


def make_video(batch: PreparedBatch, folder: Path, video: PlannedVideo, on_step: OnStep) -> None:
    """Make one video of a batch that lies in ``folder``.

    Raises:
        CaptureError: if its attention could not be captured as it should be.
        PipelineError: if the pipeline failed, whatever it raised.
        VideoError: if its frames are not numbers.
        OutputError: if a file cannot be written.

    """
    began = time.monotonic()
    sampling = batch.plan.settings.video.sampling()
    words = batch.words[video.variation.number]
    with _capturing(batch, words) as recorder:
        frames = _generate(batch.model, video, sampling, on_step)
    schedule = batch.model.schedule()
    _refuse_gaps(recorder, schedule)
    place = folder / "videos" / video.prompt_id
    make_folder(place)
    if not (place / "prompt.txt").exists():
        write_prompt(place, video.variation.prompt)
    path = place / f"{video.stem}.mp4"
    with atomic_write(path) as temporary:
        encode_video(temporary, frames, sampling.fps)
    finished = FinishedVideo(
        planned=video,
        video=path,
        attention=_write_attention(batch, place, video, recorder),
        words=() if recorder is None else recorder.words,
        grid=asdict(batch.model.grid(sampling)),
        denoising=_describe_steps(recorder, schedule),
        generation=_describe_generation(batch, video, recorder, time.monotonic() - began),
    )
    write_manifest(folder, finished, batch.plan.settings.visualization)


def _generate(model: VideoModel, video: PlannedVideo, sampling: Sampling, on_step: OnStep) -> np.ndarray:
    """Call the pipeline, and tell its own exceptions from mistakes of this program."""
    try:
        return model.generate(video.variation.prompt, sampling, video.seed, on_step)
    except GeneratorError:
        raise
    except Exception as error:
        advice = MEMORY_ADVICE if _lacks_memory(error) else ""
        raise PipelineError(f"{type(error).__name__}: {first_line(error)}{advice}") from error


def _lacks_memory(error: Exception) -> bool:
    # Without a GPU torch has no class of its own for this, only a message.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _capturing(batch: PreparedBatch, words: tuple[TrackedWord, ...]) -> AbstractContextManager[Recorder | None]:
    """Record attention, if there are words to track and it is to be stored."""
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


def _refuse_gaps(recorder: Recorder | None, schedule: Schedule) -> None:
    if recorder is not None and recorder.steps_seen != len(schedule):
        raise CaptureError(
            f"captured {recorder.steps_seen} of {len(schedule)} denoising steps: the pipeline leaves out some calls "
            "of its network. Switch that off, or do without capture"
        )


def _write_attention(
    batch: PreparedBatch, place: Path, video: PlannedVideo, recorder: Recorder | None
) -> tuple[Path, ...]:
    if recorder is None:
        return ()
    folder = place / "attention_maps"
    make_folder(folder)
    settings = batch.plan.settings.attention_analysis
    return (save_attention(folder, video.tensors_stem, recorder, video.variation.prompt, settings),)


def _describe_steps(recorder: Recorder | None, schedule: Schedule) -> list[Document]:
    """Describe the stored denoising steps as FORMAT.md's ``denoising``."""
    if recorder is None:
        return []
    return [
        {
            "index": step.index,
            "timestep": schedule[step.index][0],
            "sigma": schedule[step.index][1],
            "model": step.denoiser,
            "branch": step.branch,
        }
        for step in recorder.steps
    ]


def _describe_generation(
    batch: PreparedBatch, video: PlannedVideo, recorder: Recorder | None, seconds: float
) -> Document:
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
        described["capture"] = recorder.summary()
    return described
