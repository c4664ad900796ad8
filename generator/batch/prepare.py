"""Prepares a planned batch: loads its model, locates tracked words, and reports mistakes before the first video."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from generator.batch.images import Sizes, log_sizes, sizes_of
from generator.batch.plan import Plan, PlannedVideo, doubts
from generator.batch.resumption import FREE_ON_RESUME, value_of
from generator.batch.sharing.ranks import Rank
from generator.capture.budget import VideoShape, as_kept, as_text, attention_bytes, check_attention, keep_of
from generator.capture.foresight import warn_if_slow
from generator.capture.maps import UNCONDITIONAL
from generator.config import NAMES
from generator.errors import ResumeError
from generator.models import load as models
from generator.models.contract import VideoModel
from generator.models.parallel import refuse_split_networks
from generator.models.sources import digests
from generator.prompts.template import Variation
from generator.prompts.tokens import (
    TrackedWord,
    cut_off,
    locate,
    locate_negative,
    unknown_words,
)
from generator.settings import Sampling, VideoSettings

log = logging.getLogger(__name__)

MOST_WARNINGS = 5
"""Largest number of overlong prompts that are named."""

MOST_WORDS = 20
"""Largest number of unknown words that are named."""


@dataclass(frozen=True)
class Texts:
    """What the text encoder makes of the prompts.

    ``words`` maps the number of each variation to its tracked words; ``cut_off`` has a sentence for each prompt whose
    end is cut off; ``unknown`` are the words that the tokenizer does not know.
    """

    words: Mapping[int, tuple[TrackedWord, ...]]
    cut_off: Sequence[str]
    unknown: Sequence[str]


@dataclass(frozen=True)
class PreparedBatch:
    """A plan with its model loaded, its settings resolved and its tracked words located.

    ``sources`` maps the files and folders of the model to their digests, ``sizes`` images to the sizes of their videos.
    """

    plan: Plan
    model: VideoModel
    texts: Texts
    sources: Mapping[str, str]
    sizes: Sizes

    @property
    def words(self) -> Mapping[int, tuple[TrackedWord, ...]]:
        """Tracked words by the number of the variation."""
        return self.texts.words

    @property
    def samplings(self) -> tuple[Sampling, ...]:
        """All different arguments of pipeline calls, in order."""
        return tuple(dict.fromkeys(map(self.sampling, self.plan.variations)))

    def sampling(self, variation: Variation) -> Sampling:
        """Return the arguments of the pipeline call for a prompt."""
        return _sampling(self.plan.settings.video, variation, self.sizes)


def load_model(plan: Plan, rank: Rank) -> VideoModel:
    """Load the model of a batch. A resumed batch needs the same version as at its start."""
    wanted = plan.settings.model
    model = models.load(wanted.model_copy(update={"device": rank.device(wanted.device)}), plan.given)
    refuse_other_version(plan, model)
    return model


def refuse_other_version(plan: Plan, model: VideoModel) -> None:
    """Raise ResumeError if a batch was started with another version of its model."""
    recorded = (plan.resumed or {}).get("model_revision", model.revision)
    if model.revision != recorded:
        raise ResumeError(
            f"the batch was started with version {recorded} of {model.name}; found version {model.revision}. "
            "Install the libraries that it was started with, or start a new batch"
        )


Watched = Callable[[Sequence[Variation]], Iterable[Variation]]


def prepare(plan: Plan, model: VideoModel, watched: Watched = iter) -> PreparedBatch:
    """Take every step that can fail before the first file is written.

    Args:
        plan: the plan
        model: the model
        watched: yields what it is given; may show how far that is

    """
    asked = plan.settings.video
    sizes = sizes_of(plan.variations, plan.images, asked, model)
    video = asked.over(model.recommended)
    if sizes:  # what is left open follows from the images, also when the batch is resumed
        video = video.model_copy(update={"width": asked.width, "height": asked.height})
    for sampling in dict.fromkeys(_sampling(video, variation, sizes) for variation in plan.variations):
        model.check(sampling)
    used = plan.settings.model.model_copy(update={"device": model.device, "dtype": model.dtype})
    plan = replace(plan, settings=plan.settings.model_copy(update={"video": video, "model": used}))
    texts = _read_texts(watched(plan.variations), model, _negative_words(plan, model))
    batch = PreparedBatch(plan, model, texts, digests(used), sizes)
    _check_attention(batch)
    return batch


def _sampling(video: VideoSettings, variation: Variation, sizes: Sizes) -> Sampling:
    """Return the arguments of the pipeline call for a prompt, by settings of which only the size may be open."""
    if variation.image is not None:
        width, height = sizes[variation.image.first]
        video = video.model_copy(update={"width": width, "height": height})
    sampling = video.sampling()
    return sampling if variation.negative is None else replace(sampling, negative_prompt=variation.negative)


NegativeWords = Callable[[Variation], tuple[TrackedWord, ...]]


def _negative_words(plan: Plan, model: VideoModel) -> NegativeWords:
    """Return what locates the tracked words of a prompt's negative prompt; many prompts share one.

    Raises:
        TokenError: for a word that is cut off in one.

    """
    wanted, common = plan.settings.attention_analysis.track_negative, plan.settings.video.negative_prompt or ""
    prompts = (common if variation.negative is None else variation.negative for variation in plan.variations)
    located = {
        prompt: locate_negative(prompt, wanted, model.clean, model.tokenise) for prompt in dict.fromkeys(prompts)
    }
    return lambda variation: located[common if variation.negative is None else variation.negative]


def _read_texts(variations: Iterable[Variation], model: VideoModel, negative: NegativeWords) -> Texts:
    """Tokenise each prompt once. A tracked word that is cut off, or has no token, is refused."""
    clean, tokenise = lru_cache(8)(model.clean), lru_cache(1)(model.tokenise)
    words: dict[int, tuple[TrackedWord, ...]] = {}
    too_long: list[str] = []
    unknown: dict[str, None] = {}
    for variation in variations:
        words[variation.number] = (*locate(variation, clean, tokenise), *negative(variation))
        sequence = tokenise(clean(variation.prompt))
        if ending := cut_off(sequence):
            too_long.append(
                f"{variation.prompt_id} has {sequence.whole_length} tokens and the text encoder takes "
                f"{len(sequence.ids)}. It never sees the end: {ending}"
            )
        unknown |= dict.fromkeys(unknown_words(sequence))
    return Texts(words, too_long, list(unknown))


def _check_attention(batch: PreparedBatch) -> None:
    """Refuse settings that the attention of some prompt cannot satisfy, and networks that cannot be captured."""
    settings = batch.plan.settings.attention_analysis
    most = max(batch.words.values(), key=len)
    if most and settings.stores_anything:
        refuse_split_networks(batch.model)
        for sampling in batch.samplings:
            check_attention(settings, VideoShape.of(batch.model, sampling, most))


def described(batch: PreparedBatch) -> dict[str, object]:
    """Return all that decides which videos a batch has and what they look like."""
    plan = batch.plan
    places = [place for name, place in NAMES.items() if name not in FREE_ON_RESUME]
    videos = [(video.video_id, video.seed, video.variation.prompt, video.variation.negative) for video in plan.videos]
    return {
        **{str(place): value_of(plan.settings, place) for place in places},
        "digest of the prompts": hashlib.sha256(repr(videos).encode()).hexdigest()[:16],
        "images": {path: image.sha256 for path, image in plan.images.items()},
        "weights": dict(batch.sources),
        "version of the model": batch.model.revision,
        "visualization": plan.settings.visualization,
    }


def warn(batch: PreparedBatch) -> None:
    """Warn about what is allowed but probably not intended; tell sizes that follow from images."""
    is_tracking = any(batch.words.values())
    if not is_tracking:
        log.warning("no word of the template is in (parentheses): the videos are generated without attention")
    settings = batch.plan.settings.attention_analysis
    if is_tracking and settings.stores_anything:
        largest = max((batch.model.grid(sampling) for sampling in batch.samplings), key=lambda grid: grid.size)
        warn_if_slow(batch.model, largest, keep_of(settings))
    elif is_tracking:
        log.warning(
            "words are tracked, but store_attention and store_aggregated_attention are both off: the videos are "
            "generated without attention"
        )
    if settings.branch == UNCONDITIONAL and not settings.track_negative:
        log.warning(
            "branch: uncond, but no word of the negative prompt is tracked: the maps are stored by the positions of "
            "the prompt's words, as uncond@WORD, and no attention video shows them. Name words with --track-negative"
        )
    log_sizes(batch.plan.variations, batch.plan.images, batch.sizes, batch.plan.settings.video)
    for doubt in doubts(batch.plan.variations, batch.plan.settings):
        log.warning("%s", doubt)
    _warn_of_texts(batch.model.name, batch.texts)


def _warn_of_texts(name: str, texts: Texts) -> None:
    """Name the prompts that are too long and, in one warning, the words that the text encoder cannot tell apart."""
    for warning in texts.cut_off[:MOST_WARNINGS]:
        log.warning("%s", warning)
    if len(texts.cut_off) > MOST_WARNINGS:
        log.warning("... and %d more prompts are too long", len(texts.cut_off) - MOST_WARNINGS)
    if texts.unknown:
        shown = ", ".join(texts.unknown[:MOST_WORDS]) + (", ..." if len(texts.unknown) > MOST_WORDS else "")
        log.warning("%s does not know %d of the words and cannot tell them apart: %s", name, len(texts.unknown), shown)


def log_size(batch: PreparedBatch, folder: Path, videos: Sequence[PlannedVideo]) -> None:
    """Log the size that the attention of ``videos`` will have; warn if the disk has less space."""
    settings = batch.plan.settings.attention_analysis
    words = [batch.words[video.variation.number] for video in videos]
    if not settings.stores_anything or not any(words):
        return
    shapes = [
        VideoShape.of(batch.model, batch.sampling(video.variation), tracked)
        for video, tracked in zip(videos, words, strict=True)
    ]
    sizes = [attention_bytes(settings, shape) if tracked else 0 for shape, tracked in zip(shapes, words, strict=True)]
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
