"""Plans a batch: its prompts, its videos and their seeds, before anything heavy is loaded."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from generator.batch.reading import read_object
from generator.config import ENVIRONMENT_PREFIX, NAMES, Place, complaint
from generator.errors import DocumentError, ResumeError, UsageError
from generator.prompts.template import Template, Variation, find_words, track
from generator.settings import ModelSettings, Settings

MAX_VARIATIONS = 10_000
"""Larger templates are refused unless max_variations limits them, because they are hardly ever intended."""
BATCH_FILE = "batch.json"

# Settings that may change on resumption: they affect neither the videos nor where the batch is.
FREE_ON_RESUME = frozenset({"device", "offload", "order", "output"})


@dataclass(frozen=True)
class PlannedVideo:
    """One video of a batch; ``number`` counts the videos of its variation from 1."""

    variation: Variation
    number: int
    seed: int

    @property
    def prompt_id(self) -> str:
        """Name of the folder that holds all videos of this prompt."""
        return f"prompt_{self.variation.number:03}"

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
    """A batch: its settings, template and variations.

    If the batch in ``folder`` is resumed, ``resumed`` is the content of its batch file, and ``verify`` says whether to
    compare the digests of all files of its videos.
    """

    settings: Settings
    template: str
    variations: tuple[Variation, ...]
    folder: Path | None = None
    resumed: dict[str, Any] | None = None
    verify: bool = False

    @cached_property
    def videos(self) -> tuple[PlannedVideo, ...]:
        """All videos, prompt by prompt. Video k of every prompt has seed + k - 1, so that prompts compare in pairs."""
        video = self.settings.video
        return tuple(
            PlannedVideo(variation, number, video.seed + number - 1)
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
        UsageError: if there is no template, or it has too many variations.
        TemplateError: if the template cannot be parsed.

    """
    template = read_template(settings)
    limit = settings.video.max_variations
    if limit is None and template.count > MAX_VARIATIONS:
        raise UsageError(
            f"the template has {template.count:,} variations, more than {MAX_VARIATIONS:,}. Take the first N of them "
            "with --max-variations N, or write fewer alternatives; --preview shows the first ones"
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
                "Expected a word that occurs in a prompt, in the same spelling; --preview shows the prompts"
            )


def read_template(settings: Settings) -> Template:
    """Parse the template of the settings.

    Raises:
        UsageError: if there is no template.

    """
    if settings.template is None:
        raise UsageError(
            'no template: describe the videos with --template "a romantic (kiss) between [two men|two women]", '
            "or resume a batch with --resume DIR"
        )
    return Template(settings.template)


def plan_resumption(folder: Path, given: Settings, *, verify: bool = False) -> Plan:
    """Plan an existing batch as it was started. Settings that are ``given`` explicitly must agree with it.

    Args:
        folder: the folder of the batch
        given: the settings of this call
        verify: compare the digests of all files of its videos, not only their sizes

    Raises:
        ResumeError: if there is no such batch, it cannot be read, or it was started with other settings.

    """
    content = _read_batch(folder)
    settings, written = _stored(folder / BATCH_FILE, content)
    _refuse_other_settings(folder, settings, given)
    model = settings.model.model_copy(update={"revision": content.get("model_revision"), **_free(given.model)})
    video = settings.video.model_copy(update=_free(given.video))
    settings = settings.model_copy(update={"model": model, "video": video})
    plan = Plan(settings, content["template"], _variations(settings, most=len(written)), folder, content, verify)
    if [(video.video_id, video.seed) for video in plan.videos] != written:
        raise ResumeError(
            f"{folder / BATCH_FILE} lists other videos than its own template and settings give. It was edited, or "
            "written by another version of the generator: resume with that version, or start a new batch"
        )
    return plan


def _free(given: BaseModel) -> dict[str, object]:
    """Return the explicitly given settings that may change on resumption."""
    return {key: getattr(given, key) for key in FREE_ON_RESUME & given.model_fields_set}


def _stored(path: Path, content: Mapping[str, Any]) -> tuple[Settings, list[tuple[str, int]]]:
    """Return the settings and the videos that a batch file records; the videos as identifier and seed."""
    try:
        stored = {**content["settings"], "visualization": content["visualization"], "template": content["template"]}
        settings = Settings.model_validate(stored)
        ModelSettings(revision=content.get("model_revision"))
        return settings, [(video["video_id"], video["seed"]) for video in content["videos"]]
    except ValidationError as error:
        reasons = "; ".join(complaint(details, ".".join(map(str, details["loc"]))) for details in error.errors())
    except KeyError as error:
        reasons = f"found no {error}"
    except TypeError as error:
        reasons = f"found a value of another type ({error})"
    raise ResumeError(
        f"{path} is not a batch file of this generator: {reasons}. Restore it from a copy, or start a new batch"
    )


def _variations(settings: Settings, most: int) -> tuple[Variation, ...]:
    """Return the variations of a batch; one more than `most` if its template has more, which may be very many."""
    limit = settings.video.max_variations
    allowed = most + 1 if limit is None else min(limit, most + 1)
    return _tracked(read_template(settings).variations(allowed), settings)


def _read_batch(folder: Path) -> dict[str, Any]:
    path = folder / BATCH_FILE
    try:
        return read_object(path)
    except FileNotFoundError as error:
        raise ResumeError(
            f"{path} cannot be read: {error.strerror}. Expected the folder of one batch, such as "
            "outputs/demo_20250101_120000"
        ) from error
    except DocumentError as error:
        raise ResumeError(f"{error}. Restore it from a copy, or start a new batch") from error


def _refuse_other_settings(folder: Path, batch: Settings, given: Settings) -> None:
    for name, place in NAMES.items():
        wanted, found = _value(given, place), _value(batch, place)
        explicit = place.key in _owner(given, place).model_fields_set
        if explicit and name not in FREE_ON_RESUME and wanted not in (found, "auto"):
            raise ResumeError(
                f"{folder.name} was started with {place} {found!r}; found {wanted!r} now. All videos of a batch share "
                f"these settings: remove this one (also from --config and {ENVIRONMENT_PREFIX}*), or start a new batch"
            )


def _owner(settings: Settings, place: Place) -> BaseModel:
    owner: BaseModel = getattr(settings, place.block) if place.block else settings
    return owner


def _value(settings: Settings, place: Place) -> object:
    return getattr(_owner(settings, place), place.key)


def new_folder_name(settings: Settings) -> str:
    """Return the name of a new batch's folder, which ends with the local time."""
    return f"{settings.batch_name}_{time.strftime('%Y%m%d_%H%M%S')}"
