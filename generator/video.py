"""Making one video: generated, its attention captured, everything written, the manifest last."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from generator.budget import keep_of
from generator.capture import capture
from generator.config import Sampling
from generator.encode import encode_video
from generator.errors import CaptureError, GeneratorError, PipelineError, first_line
from generator.families.contract import OnStep, VideoModel
from generator.files import atomic_write, make_folder
from generator.maps import CONDITIONAL, UNCONDITIONAL, StepMaps
from generator.outputs import Document, FinishedVideo, write_manifest, write_prompt
from generator.plan import Plan, PlannedVideo
from generator.store import AttentionStore, StoredStep
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
    place = folder / "videos" / video.prompt_id
    with ExitStack() as undo:
        with _recording(batch, video, place, undo) as store:
            frames = _generate(batch.model, video, sampling, on_step)
        schedule = batch.model.schedule()
        _refuse_gaps(store, schedule)
        finished = FinishedVideo(
            planned=video,
            video=_write_video(place, video, frames, sampling.fps),
            attention=() if store is None else store.finish(),
            words=() if store is None else store.recorder.words,
            grid=asdict(batch.model.grid(sampling) if store is None else store.recorder.grid),
            denoising=[] if store is None else _describe_steps(store.steps, schedule),
            generation=_describe_generation(batch, video, store, time.monotonic() - began),
        )
        write_manifest(folder, finished, batch.plan.settings.visualization)
        undo.pop_all()


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


@contextmanager
def _recording(
    batch: PreparedBatch, video: PlannedVideo, place: Path, undo: ExitStack
) -> Iterator[AttentionStore | None]:
    """Record attention to files, if there are words to track and it is to be stored."""
    settings, words = batch.plan.settings, batch.words[video.variation.number]
    if not words or not settings.attention_analysis.stores_anything:
        yield None
        return
    sampling, prompt = settings.video.sampling(), video.variation.prompt

    def keep_maps(maps: StepMaps) -> None:
        store.append(maps)

    with capture(
        batch.model,
        words,
        batch.model.grid(sampling),
        keep_of(settings.attention_analysis),
        prompts={CONDITIONAL: prompt, UNCONDITIONAL: sampling.negative_prompt},
        on_maps=keep_maps,
    ) as recorder:
        compress = settings.attention_analysis.compress_attention
        store = AttentionStore(place / "attention_maps", video.tensors_stem, recorder, prompt, compress=compress)
        undo.callback(store.discard)
        yield store


def _refuse_gaps(store: AttentionStore | None, schedule: Schedule) -> None:
    if store is not None and store.recorder.steps_seen != len(schedule):
        raise CaptureError(
            f"captured {store.recorder.steps_seen} of {len(schedule)} denoising steps: the pipeline leaves out some "
            "calls of its network. Switch that off, or do without capture"
        )


def _write_video(place: Path, video: PlannedVideo, frames: np.ndarray, fps: float) -> Path:
    make_folder(place)
    if not (place / "prompt.txt").exists():
        write_prompt(place, video.variation.prompt)
    path = place / f"{video.stem}.mp4"
    with atomic_write(path) as temporary:
        encode_video(temporary, frames, fps)
    return path


def _describe_steps(steps: Sequence[StoredStep], schedule: Schedule) -> list[Document]:
    """Describe the stored denoising steps as FORMAT.md's ``denoising``."""
    return [
        {
            "index": step.index,
            "timestep": schedule[step.index][0],
            "sigma": schedule[step.index][1],
            "model": step.denoiser,
            "branch": step.branch,
        }
        for step in steps
    ]


def _describe_generation(
    batch: PreparedBatch, video: PlannedVideo, store: AttentionStore | None, seconds: float
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
    if store is not None:
        described["capture"] = store.recorder.summary()
    return described
