"""What a batch is going to be: its prompts, its videos and their seeds, before anything heavy is loaded."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from generator.config import ENVIRONMENT_PREFIX, NAMES, Place
from generator.errors import ResumeError, UsageError
from generator.prompts.template import Template, Variation, find_words, track
from generator.settings import Settings

MAX_VARIATIONS = 10_000
"""More are refused unless their number is limited: nobody means them."""
BATCH_FILE = "batch.json"

# What a resumed batch may be given anew: it does not shape the pictures, or names another place for the same.
FREE_ON_RESUME = frozenset({"device", "offload", "output"})


@dataclass(frozen=True)
class PlannedVideo:
    """One video of a batch, by its number ``number`` in its variation, from 1."""

    variation: Variation
    number: int
    seed: int

    @property
    def prompt_id(self) -> str:
        """Name of the folder of all videos of this prompt."""
        return f"prompt_{self.variation.number:03}"

    @property
    def video_id(self) -> str:
        """Name of the video, unique in its batch."""
        return f"{self.prompt_id}_{self.tensors_stem}"

    @property
    def stem(self) -> str:
        """Name of the video's own files."""
        return f"video_{self.number:03}"

    @property
    def tensors_stem(self) -> str:
        """Name of the tensor file."""
        return f"vid{self.number:03}"

    @property
    def failure(self) -> str:
        """Path of the note about why the video could not be made, relative to the batch."""
        return f"videos/{self.prompt_id}/{self.stem}.failed.json"

    @property
    def manifest(self) -> str:
        """Path of the manifest, relative to the batch."""
        return f"videos/{self.prompt_id}/{self.stem}.complete.json"


@dataclass(frozen=True)
class Plan:
    """A batch: settings, template, and every video it is to have.

    ``resumed`` is the content of the batch file if an existing batch is taken up again in ``folder``.
    """

    settings: Settings
    template: str
    variations: tuple[Variation, ...]
    folder: Path | None = None
    resumed: dict[str, Any] | None = None

    @cached_property
    def videos(self) -> tuple[PlannedVideo, ...]:
        """All videos, prompt by prompt. Video k of every variation has seed + k - 1: they compare in pairs."""
        video = self.settings.video
        return tuple(
            PlannedVideo(variation, number, video.seed + number - 1)
            for variation in self.variations
            for number in range(1, video.videos_per_variation + 1)
        )


def plan_batch(settings: Settings) -> Plan:
    """Plan a new batch.

    Raises:
        UsageError: without a template, or with far too many variations.
        TemplateError: if the template cannot be read.

    """
    template = read_template(settings)
    limit = settings.video.max_variations
    if limit is None and template.count > MAX_VARIATIONS:
        raise UsageError(
            f"the template has {template.count:,} variations, more than {MAX_VARIATIONS:,}. Take the first N of them "
            "with --max-variations N, or write fewer alternatives; --preview shows how they begin"
        )
    variations = _tracked(template.variations(limit), settings)
    _refuse_absent(settings.attention_analysis.track, variations)
    return Plan(settings, template.text, variations)


def _tracked(variations: Iterable[Variation], settings: Settings) -> tuple[Variation, ...]:
    return tuple(track(variation, settings.attention_analysis.track) for variation in variations)


def _refuse_absent(words: Sequence[str], variations: Sequence[Variation]) -> None:
    for word in words:
        if not any(find_words(variation.prompt, [word]) for variation in variations):
            raise UsageError(
                f"track: found {word!r} in none of {len(variations)} prompts, such as {variations[0].prompt!r}. "
                "Expected a word that is there, as it is spelt there; --preview shows all prompts"
            )


def read_template(settings: Settings) -> Template:
    """Read the template that the settings name.

    Raises:
        UsageError: if there is none.

    """
    if settings.template is None:
        raise UsageError(
            'no template: say what to generate with --template "a romantic (kiss) between [two men|two women]", '
            "or take up an existing batch with --resume DIR"
        )
    return Template(settings.template)


def plan_resumption(folder: Path, given: Settings) -> Plan:
    """Plan what an existing batch was going to be; what was ``given`` explicitly must agree with it.

    Raises:
        ResumeError: if there is no such batch, it cannot be read, or it was made with other settings.

    """
    content = _read_batch(folder)
    try:
        stored = {**content["settings"], "visualization": content["visualization"], "template": content["template"]}
        settings = Settings.model_validate(stored)
        written = [(video["video_id"], video["seed"]) for video in content["videos"]]
    except (ValidationError, KeyError, TypeError) as error:
        raise ResumeError(f"{folder / BATCH_FILE} is not the batch file of a generator like this: {error}") from error
    _refuse_other_settings(folder, settings, given)
    free = {key: getattr(given.model, key) for key in FREE_ON_RESUME & given.model.model_fields_set}
    model = settings.model.model_copy(update={"revision": content.get("model_revision"), **free})
    settings = settings.model_copy(update={"model": model})
    variations = _tracked(Template(content["template"]).variations(settings.video.max_variations), settings)
    plan = Plan(settings, content["template"], variations, folder, content)
    if [(video.video_id, video.seed) for video in plan.videos] != written:
        raise ResumeError(
            f"{folder / BATCH_FILE} lists other videos than its own template and settings give. It was changed, or "
            "written by another version of the generator: finish it with that one, or start a new batch"
        )
    return plan


def _read_batch(folder: Path) -> dict[str, Any]:
    path = folder / BATCH_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResumeError(
            f"{path} cannot be read: {error.strerror}. Expected the folder of one batch, such as "
            "outputs/demo_20250101_120000"
        ) from error
    except ValueError as error:
        raise ResumeError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ResumeError(f"{path}: found {type(content).__name__}; expected a JSON object")
    return content


def _refuse_other_settings(folder: Path, batch: Settings, given: Settings) -> None:
    for name, place in NAMES.items():
        wanted, found = _value(given, place), _value(batch, place)
        explicit = place.key in _owner(given, place).model_fields_set
        if explicit and name not in FREE_ON_RESUME and wanted not in (found, "auto"):
            raise ResumeError(
                f"{folder.name} was begun with {place} {found!r}, now {wanted!r} is asked for. A batch is made with "
                f"the same settings throughout: leave it out (also from --config and {ENVIRONMENT_PREFIX}*), or start "
                "a new batch"
            )


def _owner(settings: Settings, place: Place) -> BaseModel:
    owner: BaseModel = getattr(settings, place.block) if place.block else settings
    return owner


def _value(settings: Settings, place: Place) -> object:
    return getattr(_owner(settings, place), place.key)


def new_folder_name(settings: Settings) -> str:
    """Name a new batch after the local time."""
    return f"{settings.batch_name}_{time.strftime('%Y%m%d_%H%M%S')}"
