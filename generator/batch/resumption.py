"""Plans the rest of a batch from its batch file, and refuses settings that contradict it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from generator.batch.images import moved_images, named_again, same_images
from generator.batch.plan import BATCH_FILE, Plan, chosen, plan_batch, read_prompts, tracked
from generator.batch.reading import read_object
from generator.config import ENVIRONMENT_PREFIX, NAMES, Place, complaint, flag_of
from generator.errors import DocumentError, ResumeError
from generator.images.files import InputImages
from generator.models.sources import Addition, absolute, digest, settled
from generator.prompts.template import Template, Variation
from generator.settings import ModelSettings, Settings
from generator.settings.values import Seed

# Settings that may change on resumption: they affect neither the videos nor where the batch is.
FREE_ON_RESUME = frozenset({"device", "offload", "order", "output"})
_EXAMPLE = "outputs/demo_20250101_120000"
_COMPARED_BY_CONTENT = frozenset({"prompts", "model", "lora", "embeddings", "image", "last_image"})
"""Names of settings that hold paths: what counts is what is there, not where it is."""


def plan_resumption(folder: Path, given: Settings, *, verify: bool = False) -> Plan:
    """Plan an existing batch as it was started. Settings that are ``given`` explicitly must agree with it.

    Args:
        folder: the folder of the batch
        given: the settings of this call
        verify: compare the digests of all files of its videos, not only their sizes

    Raises:
        ResumeError: if there is no such batch, it cannot be read, or it was started with other settings.

    """
    content = _read_batch(folder, Path(given.output))
    settings, written = _stored(folder / BATCH_FILE, content)
    _refuse_other_settings(folder, settings, given)
    moved = _model_files(folder, content, settings.model, given.model)
    model = moved.model_copy(update={"revision": content.get("model_revision"), **_free(given.model)})
    video = settings.video.model_copy(update=_free(given.video))
    settings = settings.model_copy(update={"model": model, "video": video})
    moves = named_again(folder, settings.video, given.video)
    before = _variations(folder / BATCH_FILE, content, settings, most=len(written))
    variations = moved_images(before, moves)
    if "prompts" in given.model_fields_set:
        variations = _with_given_images(folder, settings, given, variations)
    images = same_images(folder, content, before, variations)
    plan = Plan(settings, content["template"], variations, folder, content, verify, images)
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
        if settings.prompts is not None:  # each prompt has a template of its own
            settings = settings.model_copy(update={"template": None})
        ModelSettings(revision=content.get("model_revision"))
        return settings, [(video["video_id"], video["seed"]) for video in content["videos"]]
    except ValidationError as error:
        reasons = "; ".join(complaint(details, ".".join(map(str, details["loc"]))) for details in error.errors())
    except KeyError as error:
        reasons = f"found no {error}"
    except TypeError as error:
        reasons = f"found a value of another type ({error})"
    raise _not_a_batch(path, reasons)


def _not_a_batch(path: Path, reasons: str) -> ResumeError:
    return ResumeError(
        f"{path} is not a batch file of this generator: {reasons}. Restore it from a copy, or start a new batch"
    )


def _variations(path: Path, content: Mapping[str, Any], settings: Settings, most: int) -> tuple[Variation, ...]:
    """Return the variations that a batch file records, or those of its template if it records none.

    Of a template with more variations than `most`, which may be very many, only one more is returned.
    """
    records = content.get("variations")
    if not isinstance(records, list) or not all(isinstance(each, dict) and "number" in each for each in records):
        return tracked(chosen(read_prompts(settings), settings.video, most + 1), settings)  # before version 0.4.0
    try:
        recorded = [_Recorded.model_validate(each) for each in records]
    except ValidationError as error:
        reasons = "; ".join(complaint(details, ".".join(map(str, details["loc"]))) for details in error.errors())
        raise _not_a_batch(path, f"variations: {reasons}") from error
    templates: dict[str, Template] = {}
    found = []
    for place, each in enumerate(recorded, 1):
        text = each.template if each.template is not None else content["template"]
        template = templates.get(text) or templates.setdefault(text, Template(text))
        if each.number > template.count:
            raise _not_a_batch(path, f"{each.prompt_id}: found no variation {each.number} of {text!r}")
        found.append(each.variation(template, place))
    variations = tracked(found, settings)
    if [variation.prompt for variation in variations] != [each.prompt for each in recorded]:
        raise _not_a_batch(path, "its prompts are not those of its templates")
    return variations


class _Recorded(BaseModel):
    """What a batch file records about a prompt: enough to have it again without the file that it is from."""

    prompt_id: str
    prompt: str
    number: int = Field(ge=1)
    template: str | None = None
    negative_prompt: str | None = None
    seed: Seed | None = None
    choices: tuple[str, ...] = ()
    image: str | None = None
    last_image: str | None = None

    def variation(self, template: Template, place: int) -> Variation:
        """Return the prompt, which is number ``place`` of the batch."""
        variation = replace(
            template.variation(self.number), number=place, negative=self.negative_prompt, seed=self.seed
        )
        if self.image is not None:
            is_choice = len(self.choices) > len(variation.choices)
            image = InputImages(self.image, self.last_image, self.choices[-1] if is_choice else None)
            variation = replace(variation, image=image)
        return variation if self.prompt_id == variation.prompt_id else replace(variation, name=self.prompt_id)


def _with_given_images(
    folder: Path, batch: Settings, given: Settings, variations: tuple[Variation, ...]
) -> tuple[Variation, ...]:
    """Return the prompts of a batch with the images of a file of prompts that is given again.

    Raises:
        ResumeError: if it holds other prompts than those of the batch.

    """
    video = batch.video.model_copy(update={name: getattr(given.video, name) for name in ("image", "last_image")})
    update = {"prompts": given.prompts, "template": None, "video": video}
    found = plan_batch(batch.model_copy(update=update)).variations
    if [replace(each, image=None) for each in found] != [replace(each, image=None) for each in variations]:
        raise ResumeError(
            f"{given.prompts} holds other prompts than those that {folder.name} was started with, "
            f"which {BATCH_FILE} keeps. Resume without --prompts, or start a new batch"
        )
    return found


def _read_batch(folder: Path, batches: Path) -> dict[str, Any]:
    path = folder / BATCH_FILE
    try:
        return read_object(path)
    except FileNotFoundError as error:
        named = sorted(found.parent for found in batches.glob(f"{escape(folder.name)}_*/{BATCH_FILE}"))
        expected = f"Did you mean {named[-1]}?" if named else f"Expected the folder of one batch, such as {_EXAMPLE}"
        raise ResumeError(f"{path} cannot be read: {error.strerror}. {expected}") from error
    except DocumentError as error:
        raise ResumeError(f"{error}. Restore it from a copy, or start a new batch") from error


def _model_files(folder: Path, content: Mapping[str, Any], batch: ModelSettings, given: ModelSettings) -> ModelSettings:
    """Return the settings of the model, with the paths that are given now where its files have moved.

    Raises:
        ResumeError: if another model is given, or the files are not there or not those of the batch.

    """
    recorded = content.get("model_files", {})
    if not isinstance(recorded, dict):
        raise _not_a_batch(folder / BATCH_FILE, "model_files: expected an object")
    update = {key: getattr(given, key) for key in _MODEL_FILES if key in given.model_fields_set}
    wanted = settled(batch.model_copy(update=update))
    for key, read in _MODEL_FILES.items():
        before, now = read(getattr(batch, key)), read(getattr(wanted, key))
        if [(each.weight, each.token) for each in before] != [(each.weight, each.token) for each in now]:
            raise _other_setting(folder, f"model.{key}", getattr(batch, key), getattr(given, key))
        for old, new in zip(before, now, strict=True):
            if old.source in recorded:
                _refuse_other_files(folder, key, old.source, new.source, recorded[old.source])
            elif new.source not in {old.source, absolute(old.source)}:
                raise _other_setting(folder, f"model.{key}", getattr(batch, key), getattr(given, key))
    return wanted


_MODEL_FILES: Mapping[str, Callable[[Any], list[Addition]]] = {
    "id": lambda text: [Addition(text)],
    "lora": lambda texts: [Addition.lora(text) for text in texts],
    "embeddings": lambda texts: [Addition.embedding(text) for text in texts],
}


def _refuse_other_files(folder: Path, key: str, old: str, new: str, wanted: str) -> None:
    """Raise ResumeError if the weights in ``new`` are not those that were in ``old`` when the batch was started."""
    if not Path(new).exists():
        flag = flag_of("model" if key == "id" else key)
        raise ResumeError(
            f"{folder.name} was started with {old}; found nothing at {new}. If it was moved, name its new place with "
            f"{flag}"
        )
    if digest(Path(new)) != wanted:
        raise ResumeError(
            f"{folder.name} was started with other weights than those in {new}. All videos of a batch share a model: "
            "name a folder or a file with the same weights, or start a new batch"
        )


def _refuse_other_settings(folder: Path, batch: Settings, given: Settings) -> None:
    for name, place in NAMES.items():
        wanted, found = value_of(given, place), value_of(batch, place)
        explicit = place.key in _owner(given, place).model_fields_set
        if explicit and name not in {*FREE_ON_RESUME, *_COMPARED_BY_CONTENT} and wanted not in (found, "auto"):
            raise _other_setting(folder, str(place), found, wanted, _in_another_batch(name, batch, wanted))


def _in_another_batch(name: str, batch: Settings, wanted: object) -> str:
    """Return how to have more videos of each prompt; nothing if something else is wanted."""
    each = batch.video.videos_per_variation
    if name != "videos_per_variation" or not isinstance(wanted, int) or wanted <= each:
        return ""
    seed = batch.video.seed + each
    return f" with --seed {seed} and --videos-per-variation {wanted - each}: `attnwatch compare` takes both together"


def _other_setting(folder: Path, place: str, found: object, wanted: object, how: str = "") -> ResumeError:
    found, wanted = (list(value) if isinstance(value, tuple) else value for value in (found, wanted))
    return ResumeError(
        f"{folder.name} was started with {place} {found!r}; found {wanted!r} now. All videos of a batch share these "
        f"settings: remove this one (also from --config and {ENVIRONMENT_PREFIX}*), or start a new batch{how}"
    )


def _owner(settings: Settings, place: Place) -> BaseModel:
    owner: BaseModel = getattr(settings, place.block) if place.block else settings
    return owner


def value_of(settings: Settings, place: Place) -> object:
    """Return the value of a setting."""
    return getattr(_owner(settings, place), place.key)
