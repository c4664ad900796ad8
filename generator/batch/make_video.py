"""Makes one video: generates it, captures its attention, writes all files, the manifest last."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from generator.batch.images import described_images, opened
from generator.batch.leases import LeaseLost
from generator.batch.plan import PlannedVideo
from generator.batch.prepare import PreparedBatch
from generator.capture.budget import keep_of
from generator.capture.maps import CONDITIONAL, UNCONDITIONAL, StepMaps
from generator.capture.recorder import Recorder, capture
from generator.errors import GeneratorError, ImageError, PipelineError, VideoError, first_line
from generator.models.contract import OnStep
from generator.models.memory import lacks_memory
from generator.models.sources import Addition
from generator.outputs.describe import describe_call
from generator.outputs.manifest import Document, place_prompt
from generator.outputs.store import AttentionStore
from generator.outputs.video import TENSOR_FOLDER, AttentionFiles, write_video
from generator.settings import Sampling

log = logging.getLogger(__name__)

MOST_ERROR = 1e-5
"""Largest error of a probability that float32 rounding explains, even in the sum over many padding keys."""
MEMORY_ADVICE = (
    ". Resume with --resume and --offload model, or start a new batch with --vae-tiling, --dtype bfloat16, "
    "or smaller or shorter videos"
)


def make_video(batch: PreparedBatch, folder: Path, video: PlannedVideo, on_step: OnStep) -> None:
    """Make one video of the batch in ``folder``.

    Raises:
        CaptureError: if its attention could not be captured correctly.
        PipelineError: if the pipeline raised any exception.
        VideoError: if its image is not there any more, or its frames contain NaN.
        OutputError: if a file cannot be written.

    """
    began = time.monotonic()
    sampling = batch.sampling(video.variation)
    place = folder / "videos" / video.prompt_id
    with ExitStack() as undo:
        with _recording(batch, video, sampling, place, undo) as store:
            frames = _generate(batch, video, sampling, on_step)
        place_prompt(place, video.variation.prompt)
        write_video(
            place / f"{video.stem}.mp4",
            frames,
            fps=sampling.fps,
            attention=_finish(batch, video, store),
            video_id=video.video_id,
            generation=_describe(batch, video, sampling, time.monotonic() - began),
            visualization=batch.plan.settings.visualization,
        )
        undo.pop_all()


def _generate(batch: PreparedBatch, video: PlannedVideo, sampling: Sampling, on_step: OnStep) -> np.ndarray:
    """Call the pipeline and wrap its exceptions, which sets them apart from bugs of this program."""
    variation = video.variation
    try:
        images = opened(variation.image, batch.plan.images, sampling.width, sampling.height)
        return batch.model.generate(variation.prompt, sampling, video.seed, on_step, images)
    except ImageError as error:  # only this video lacks its image
        raise VideoError(str(error)) from error
    except GeneratorError:
        raise
    except Exception as error:
        advice = MEMORY_ADVICE if lacks_memory(error) else ""
        raise PipelineError(f"{type(error).__name__}: {first_line(error)}{advice}") from error


@contextmanager
def _recording(
    batch: PreparedBatch, video: PlannedVideo, sampling: Sampling, place: Path, undo: ExitStack
) -> Iterator[AttentionStore | None]:
    """Record attention to files; yield None if the prompt has no tracked words or no attention is stored."""
    settings, words = batch.plan.settings, batch.words[video.variation.number]
    if not words or not settings.attention_analysis.stores_anything:
        yield None
        return
    prompt = video.variation.prompt

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
        store = AttentionStore(place / TENSOR_FOLDER, video.tensors_stem, recorder, prompt, compress=compress)
        undo.callback(_discard, store)
        yield store


def _discard(store: AttentionStore) -> None:
    """Remove the files of an attempt that failed, unless they belong to the process that has taken over."""
    with suppress(LeaseLost):
        store.discard()


def _finish(batch: PreparedBatch, video: PlannedVideo, store: AttentionStore | None) -> AttentionFiles:
    """Write the remaining attention; warn if it lacks something."""
    if store is None:
        return AttentionFiles(grid=asdict(batch.model.grid(batch.sampling(video.variation))))
    files = store.finish(batch.model.schedule(), {})
    if store.recorder.unfinished is not None:
        log.warning("%s: its attention is incomplete: %s", video.video_id, store.recorder.unfinished)
    _log_self_check(store.recorder)
    return files


def _log_self_check(recorder: Recorder) -> None:
    """Log the result of the self-check, if it ran."""
    found = recorder.summary().get("self_check")
    if isinstance(found, dict):
        is_wrong = found["max_abs_error"] > MOST_ERROR
        level, judged = (
            (logging.WARNING, "more than rounding explains") if is_wrong else (logging.INFO, "within rounding")
        )
        log.log(
            level,
            "self-check: largest error %.1e in %d rows: %s; the words are where the text encoder was given them (%s)",
            found["max_abs_error"],
            found["rows"],
            judged,
            ", ".join(f"{branch}: by {proof}" for branch, proof in found["text"].items()),
        )


def _added(batch: PreparedBatch) -> Document:
    """Describe the weights that were added to the model; nothing if there are none."""
    settings = batch.plan.settings.model
    loras, embeddings = map(Addition.lora, settings.lora), map(Addition.embedding, settings.embeddings)
    found: Document = {
        "lora": [{"source": each.source, "weight": each.weight, **_digest(batch, each)} for each in loras],
        "embeddings": [{"source": each.source, "token": each.token, **_digest(batch, each)} for each in embeddings],
    }
    return {key: value for key, value in found.items() if value}


def _digest(batch: PreparedBatch, addition: Addition) -> Document:
    found = batch.sources.get(addition.source)
    return {} if found is None else {"digest": found}


def _describe(batch: PreparedBatch, video: PlannedVideo, sampling: Sampling, seconds: float) -> Document:
    """Describe how a video was made: ``generation`` in FORMAT.md."""
    variation = video.variation
    return {
        **describe_call(batch.model, variation.prompt, sampling, video.seed),
        "template": variation.origin.template if variation.origin else batch.plan.template,
        **_added(batch),
        **described_images(variation.image, batch.plan.images),
        "prompt_id": video.prompt_id,
        "variation": variation.number,
        "choices": list(variation.taken),
        "seconds": round(seconds, 3),
    }
