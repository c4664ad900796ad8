"""Plans a batch: its prompts, its videos and their seeds, before anything heavy is loaded."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from generator.batch.images import examined, paths_of
from generator.errors import SettingsError, UsageError
from generator.images.files import ImageFile
from generator.models import sources
from generator.models.inputs import Given
from generator.prompts.foreign import warning_of
from generator.prompts.image_factor import combined
from generator.prompts.prompt_file import read_prompt_file
from generator.prompts.prompt_set import Line, PromptSet
from generator.prompts.template import Template, Variation, find_words, track
from generator.prompts.tokens import refuse_absent_negative
from generator.settings import Settings, VideoSettings
from generator.settings.values import MAX_ID_BYTES, file_name

MAX_VARIATIONS = 10_000
"""Larger templates are refused unless a setting limits them, because they are hardly ever intended."""
BATCH_FILE = "batch.json"


@dataclass(frozen=True)
class PlannedVideo:
    """One video of a batch; ``number`` counts the videos of its variation from 1."""

    variation: Variation
    number: int
    seed: int

    @property
    def prompt_id(self) -> str:
        """Name of the folder that holds all videos of this prompt."""
        return self.variation.prompt_id

    @property
    def video_id(self) -> str:
        """Name of the video, unique within its batch."""
        return f"{self.prompt_id}_{self.tensors_stem}"

    @property
    def stem(self) -> str:
        """Stem of the video file and its documents."""
        return f"video_{self.number:03}"

    @property
    def tensors_stem(self) -> str:
        """Stem of the tensor files."""
        return f"vid{self.number:03}"

    @property
    def failure(self) -> str:
        """Path of the failure note, relative to the batch."""
        return f"videos/{self.prompt_id}/{self.stem}.failed.json"

    @property
    def manifest(self) -> str:
        """Path of the manifest, relative to the batch."""
        return f"videos/{self.prompt_id}/{self.stem}.complete.json"


@dataclass(frozen=True)
class Plan:
    """A batch: its settings, template and variations, and the image files of these by path.

    If the batch in ``folder`` is resumed, ``resumed`` is the content of its batch file, and ``verify`` says whether to
    compare the digests of all files of its videos.
    """

    settings: Settings
    template: str
    variations: tuple[Variation, ...]
    folder: Path | None = None
    resumed: dict[str, Any] | None = None
    verify: bool = False
    images: Mapping[str, ImageFile] = field(default_factory=dict)

    @property
    def given(self) -> Given:
        """What the videos are made from besides their prompts: the same for all of them."""
        image = self.variations[0].image
        return Given(image=image is not None, last_image=image is not None and image.last is not None)

    @cached_property
    def videos(self) -> tuple[PlannedVideo, ...]:
        """All videos, prompt by prompt. Video k of every prompt has seed + k - 1, so that prompts compare in pairs."""
        video = self.settings.video
        return tuple(
            PlannedVideo(variation, number, (video.seed if variation.seed is None else variation.seed) + number - 1)
            for variation in self.variations
            for number in range(1, video.videos_per_variation + 1)
        )

    @cached_property
    def queue(self) -> tuple[PlannedVideo, ...]:
        """All videos in the order in which they are made."""
        if self.settings.video.order == "prompts":
            return self.videos
        return tuple(sorted(self.videos, key=lambda video: video.number))


def plan_batch(settings: Settings) -> Plan:
    """Plan a new batch.

    Raises:
        UsageError: if there are no prompts or too many, or two of them have one name.
        ImageError: if an image cannot be used.
        TemplateError: if a template cannot be parsed.
        TokenError: if a word to track is in no negative prompt.

    """
    prompts = read_prompts(settings)
    refuse_too_many(prompts, settings)
    variations = tracked(chosen(prompts, settings.video), settings)
    refuse_absent(settings.attention_analysis.track, variations)
    common = settings.video.negative_prompt or ""
    negatives = (common if variation.negative is None else variation.negative for variation in variations)
    refuse_absent_negative(settings.attention_analysis.track_negative, list(dict.fromkeys(negatives)))
    images = examined(variations)
    settings = _settled(settings)
    templates = dict.fromkeys(variation.origin.template for variation in variations if variation.origin)
    plan = Plan(settings, "\n".join(templates), variations, images=images)
    _refuse_wrong_ids(plan)
    return plan


def _settled(settings: Settings) -> Settings:
    """Make paths absolute, so that they hold when the batch is resumed elsewhere."""
    prompts = None if settings.prompts is None else str(Path(settings.prompts).absolute())
    video = settings.video.model_copy(update=paths_of(settings.video))
    return settings.model_copy(update={"prompts": prompts, "video": video, "model": sources.settled(settings.model)})


def read_prompts(settings: Settings) -> PromptSet:
    """Parse the template of the settings, or those of their file.

    Raises:
        UsageError: if there is neither a template nor a file, or a template cannot be parsed.

    """
    if settings.prompts is not None and settings.template is not None:
        raise SettingsError(
            "found both a template and a file of prompts; expected one. Remove `template`, or `prompts` (from the "
            "command line, the environment or --config)"
        )
    paired = settings.video.images == "paired"
    paths = paths_of(settings.video)
    images = combined(paths["image"], paths["last_image"], paired=paired)
    if settings.prompts is not None:
        return PromptSet(read_prompt_file(Path(settings.prompts)), images, paired=paired)
    if settings.template is None:
        raise UsageError(
            'no template: describe the videos with --template "a romantic (kiss) between [two men|two women]" or '
            "--prompts FILE, or resume a batch with --resume DIR"
        )
    return PromptSet([Line(Template(settings.template))], images, paired=paired)


def chosen(prompts: PromptSet, video: VideoSettings, most: int | None = None) -> Iterator[Variation]:
    """Yield the prompts that the settings choose; with ``most``, no more than that."""
    if video.sample is not None and video.max_variations is not None:
        raise SettingsError(
            f"found both sample ({video.sample}) and max_variations ({video.max_variations}); expected one: a random "
            "sample, or the first ones"
        )
    limit = min((number for number in (video.sample, video.max_variations, most) if number is not None), default=None)
    if video.sample is not None:
        return prompts.sample(limit or 0, video.sample_seed)
    return prompts.first(limit)


def refuse_too_many(prompts: PromptSet, settings: Settings) -> None:
    """Raise UsageError if there are more prompts than anybody intends, and no setting limits them."""
    video = settings.video
    if video.max_variations is None and video.sample is None and prompts.count > MAX_VARIATIONS:
        found = (
            f"the template has {prompts.count:,} variations"
            if settings.prompts is None
            else f"{settings.prompts} has {prompts.count:,} prompts"
        )
        raise UsageError(
            f"{found}, more than {MAX_VARIATIONS:,}. Take the first N of them with --max-variations N, a random sample "
            "with --sample N, or write fewer alternatives; --preview shows the first ones"
        )


def tracked(variations: Iterable[Variation], settings: Settings) -> tuple[Variation, ...]:
    """Track the words of the settings besides those that the templates mark."""
    return tuple(track(variation, settings.attention_analysis.track) for variation in variations)


def refuse_absent(words: Sequence[str], variations: Sequence[Variation]) -> None:
    """Raise UsageError if one of the words to track is in no prompt."""
    for word in words:
        if not any(find_words(variation.prompt, [word]) for variation in variations):
            number = len(variations)
            found = f"{word!r} in none of {number} prompts, such as" if number > 1 else f"no {word!r} in the prompt"
            raise UsageError(
                f"track: found {found} {variations[0].prompt!r}. "
                "Expected a word that occurs in a prompt, in the same spelling; --preview shows the prompts"
            )


def foreign_syntax(variations: Sequence[Variation], settings: Settings) -> str | None:
    """Return a warning about syntax of other tools in the prompts of a batch; None if there is none."""
    templates = (variation.origin.template for variation in variations if variation.origin)
    own = (variation.negative for variation in variations if variation.negative)
    return warning_of(templates, (settings.video.negative_prompt or "", *own))


def doubts(variations: Sequence[Variation], settings: Settings) -> list[str]:
    """Return warnings about what the prompts of a batch probably do not mean."""
    return [each for each in (foreign_syntax(variations, settings), repeated(variations)) if each is not None]


def repeated(variations: Iterable[Variation]) -> str | None:
    """Return a warning about the first prompt that is the same as another one; None if there is none."""
    first: dict[object, str] = {}
    for each in variations:
        other = first.setdefault((each.prompt, each.negative, each.seed, each.image), each.prompt_id)
        if other != each.prompt_id:
            return f"{other} and {each.prompt_id} have the same prompt, {each.prompt!r}, and so the same videos"
    return None


def _refuse_wrong_ids(plan: Plan) -> None:
    """Raise SettingsError if a name that a file gives, with what is appended to it, is too long or taken."""
    first: dict[str, Variation] = {}
    for variation in plan.variations:
        other = first.setdefault(variation.prompt_id.casefold(), variation)
        if other is not variation:
            raise SettingsError(
                f"{plan.settings.prompts}: found two prompts called {variation.prompt_id!r}: {other.prompt!r} and "
                f"{variation.prompt!r}. Give one of them another name"
            )
    for video in plan.videos:
        try:
            file_name(video.video_id, most_bytes=MAX_ID_BYTES)
        except ValueError as error:
            raise SettingsError(
                f"{plan.settings.prompts}: a video would be called {video.video_id!r}; {error}. Shorten the name"
            ) from error


def new_folder_name(settings: Settings) -> str:
    """Return the name of a new batch's folder, which ends with the local time."""
    return f"{settings.batch_name}_{time.strftime('%Y%m%d_%H%M%S')}"
