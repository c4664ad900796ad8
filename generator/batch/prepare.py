"""Prepares a planned batch: loads its model, locates tracked words, and reports mistakes before the first video."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from generator.batch.plan import Plan, PlannedVideo
from generator.batch.ranks import Rank
from generator.capture.budget import VideoShape, as_kept, as_text, attention_bytes, check_attention, keep_of
from generator.capture.foresight import warn_if_slow
from generator.errors import ResumeError
from generator.models import load as models
from generator.models.contract import VideoModel
from generator.models.parallel import refuse_split_networks
from generator.models.sources import digests
from generator.prompts.template import Variation
from generator.prompts.tokens import TrackedWord, cut_off, locate, unknown_words
from generator.settings import Sampling

log = logging.getLogger(__name__)

MOST_WARNINGS = 5
"""Largest number of overlong prompts that are named."""

MOST_WORDS = 20
"""Largest number of unknown words that are named."""


@dataclass(frozen=True)
class PreparedBatch:
    """A plan with its model loaded, its settings resolved and its tracked words located.

    ``words`` maps the number of each variation to its tracked words, ``sources`` the files and folders of the model to
    their digests.
    """

    plan: Plan
    model: VideoModel
    words: Mapping[int, tuple[TrackedWord, ...]]
    sources: Mapping[str, str]

    def sampling(self, variation: Variation) -> Sampling:
        """Return the arguments of the pipeline call for a prompt."""
        sampling = self.plan.settings.video.sampling()
        return sampling if variation.negative is None else replace(sampling, negative_prompt=variation.negative)


def load_model(plan: Plan, rank: Rank) -> VideoModel:
    """Load the model of a batch. A resumed batch needs the same version as at its start."""
    wanted = plan.settings.model
    model = models.load(wanted.model_copy(update={"device": rank.device(wanted.device)}))
    recorded = (plan.resumed or {}).get("model_revision", model.revision)
    if model.revision != recorded:
        raise ResumeError(
            f"the batch was started with version {recorded} of {model.name}; found version {model.revision}. "
            "Install the libraries that it was started with, or start a new batch"
        )
    return model


def prepare(plan: Plan, model: VideoModel) -> PreparedBatch:
    """Take every step that can fail before the first file is written."""
    video = plan.settings.video.over(model.recommended)
    model.check(video.sampling())
    used = plan.settings.model.model_copy(update={"device": model.device, "dtype": model.dtype})
    plan = replace(plan, settings=plan.settings.model_copy(update={"video": video, "model": used}))
    words = {variation.number: locate(variation, model.clean, model.tokenise) for variation in plan.variations}
    batch = PreparedBatch(plan, model, words, digests(used))
    _check_attention(batch)
    return batch


def _check_attention(batch: PreparedBatch) -> None:
    """Refuse settings that the attention of some prompt cannot satisfy, and networks that cannot be captured."""
    settings = batch.plan.settings.attention_analysis
    most = max(map(len, batch.words.values()))
    if most and settings.stores_anything:
        refuse_split_networks(batch.model)
        for sampling in {batch.sampling(variation) for variation in batch.plan.variations}:
            check_attention(settings, VideoShape.of(batch.model, sampling, most))


def warn(batch: PreparedBatch) -> None:
    """Warn about what is allowed but probably not intended."""
    is_tracking = any(batch.words.values())
    if not is_tracking:
        log.warning("no word of the template is in (parentheses): the videos are generated without attention")
    settings = batch.plan.settings.attention_analysis
    if is_tracking and settings.stores_anything:
        warn_if_slow(batch.model, batch.model.grid(batch.plan.settings.video.sampling()), keep_of(settings))
    elif is_tracking:
        log.warning(
            "words are tracked, but store_attention and store_aggregated_attention are both off: the videos are "
            "generated without attention"
        )
    warnings = list(_cut_off_prompts(batch.plan, batch.model))
    for warning in warnings[:MOST_WARNINGS]:
        log.warning("%s", warning)
    if len(warnings) > MOST_WARNINGS:
        log.warning("... and %d more prompts are too long", len(warnings) - MOST_WARNINGS)
    _warn_of_unknown_words(batch.plan, batch.model)


def _warn_of_unknown_words(plan: Plan, model: VideoModel) -> None:
    """Name all words that the text encoder cannot tell apart, in one warning."""
    texts = (model.clean(variation.prompt) for variation in plan.variations)
    unknown = dict.fromkeys(word for text in texts for word in unknown_words(model.tokenise(text)))
    if unknown:
        shown = ", ".join(list(unknown)[:MOST_WORDS]) + (", ..." if len(unknown) > MOST_WORDS else "")
        log.warning(
            "%s does not know %d of the words and cannot tell them apart: %s",
            model.name,
            len(unknown),
            shown,
        )


def _cut_off_prompts(plan: Plan, model: VideoModel) -> Iterator[str]:
    """Yield a warning for each prompt whose end is cut off. A tracked word there was refused before."""
    for variation in plan.variations:
        sequence = model.tokenise(model.clean(variation.prompt))
        if ending := cut_off(sequence):
            yield (
                f"{variation.prompt_id} has {sequence.whole_length} tokens and the text encoder takes "
                f"{len(sequence.ids)}. It never sees the end: {ending}"
            )


def log_size(batch: PreparedBatch, folder: Path, videos: Sequence[PlannedVideo]) -> None:
    """Log the size that the attention of ``videos`` will have; warn if the disk has less space."""
    settings, sampling = batch.plan.settings.attention_analysis, batch.plan.settings.video.sampling()
    words = [len(batch.words[video.variation.number]) for video in videos]
    if not settings.stores_anything or not any(words):
        return
    shapes = [VideoShape.of(batch.model, sampling, count) for count in words]
    sizes = [attention_bytes(settings, shape) if shape.words else 0 for shape in shapes]
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    log.info(
        "attention: up to %s per video (%s), %s in total",
        as_text(sizes[largest]),
        as_kept(settings, shapes[largest]),
        as_text(sum(sizes)),
    )
    free = shutil.disk_usage(folder).free
    if sum(sizes) > free:
        log.warning("the disk of %s has %s free, less than the attention alone will take", folder, as_text(free))
