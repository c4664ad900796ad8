"""Writes the documents of a batch: its plan, the failures of its videos, and its outcome."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from generator.batch.plan import BATCH_FILE, Plan, PlannedVideo
from generator.batch.reading import read_object
from generator.errors import DocumentError
from generator.outputs.files import make_folder, write_json
from generator.outputs.manifest import FORMAT, Document, describe_words
from generator.prompts.template import Variation
from generator.prompts.tokens import TrackedWord

log = logging.getLogger(__name__)

COMPLETE_FILE = "batch.complete.json"


def write_batch(
    folder: Path,
    plan: Plan,
    words: Mapping[int, Sequence[TrackedWord]],
    model_revision: str | None,
    sources: Mapping[str, str],
) -> None:
    """Write ``batch.json``, the first file of a batch: its plan.

    ``words`` maps the number of each variation to its tracked words, ``sources`` the files and folders of the model to
    their digests.
    """
    settings = plan.settings.model_dump(mode="json", exclude={"template", "visualization"})
    document: Document = {
        "format": FORMAT,
        "batch": folder.name,
        "created": _now(),
        "template": plan.template,
        "variations": [_described(plan, variation, words[variation.number]) for variation in plan.variations],
        "videos": [
            {
                "video_id": video.video_id,
                "prompt_id": video.prompt_id,
                "seed": video.seed,
                "manifest": video.manifest,
            }
            for video in plan.videos
        ],
        "settings": settings,
        "model_revision": model_revision,
        "model_files": dict(sources),
        **({"image_files": {path: image.sha256 for path, image in plan.images.items()}} if plan.images else {}),
        "visualization": plan.settings.visualization,
    }
    write_json(folder / BATCH_FILE, document)


def _described(plan: Plan, variation: Variation, words: Sequence[TrackedWord]) -> Document:
    negative = describe_words(words, negative=True)
    return {
        "prompt_id": variation.prompt_id,
        "prompt": variation.prompt,
        "tokens": describe_words(words),
        **({"negative_tokens": negative} if negative else {}),
        "choices": list(variation.taken),
        **_origin(plan, variation),
    }


def _origin(plan: Plan, variation: Variation) -> Document:
    """Describe where a prompt is from, so that the batch can be resumed without the file that it was read from."""
    origin = variation.origin
    found = {
        "number": None if origin is None else origin.number,
        "template": None if origin is None or origin.template == plan.template else origin.template,
        "negative_prompt": variation.negative,
        "seed": variation.seed,
        "image": None if variation.image is None else variation.image.first,
        "last_image": None if variation.image is None else variation.image.last,
    }
    return {key: value for key, value in found.items() if value is not None}


def write_failure(folder: Path, video: PlannedVideo, error: Exception, seconds: float) -> None:
    """Write the failure note of a video beside its manifest's place; earlier attempts stay listed in it."""
    path = folder / video.failure
    make_folder(path.parent)
    attempt = {"at": _now(), "seconds": round(seconds, 3), "error": f"{type(error).__name__}: {error}"}
    document = {
        "format": FORMAT,
        "video_id": video.video_id,
        "seed": video.seed,
        "attempts": [*attempts(folder, video), attempt],
        "traceback": "".join(traceback.format_exception(error)),
    }
    write_json(path, document)


def attempts(folder: Path, video: PlannedVideo) -> list[Document]:
    """Return the attempts that the failure note of a video lists; none if it has no note, or a damaged one."""
    try:
        found = read_object(folder / video.failure).get("attempts")
    except FileNotFoundError:
        return []
    except DocumentError as error:
        log.warning("%s; the earlier attempts that it listed are lost", error)
        return []
    return [attempt for attempt in found if isinstance(attempt, dict)] if isinstance(found, list) else []


def write_batch_complete(folder: Path, *, expected: int, complete: int, failed: int) -> None:
    """Write ``batch.complete.json``, the last file of a batch: its outcome."""
    document = {
        "format": FORMAT,
        "status": "complete" if complete == expected else "interrupted",
        "finished": _now(),
        "counts": {"expected": expected, "complete": complete, "failed": failed},
    }
    write_json(folder / COMPLETE_FILE, document)


def _now() -> str:
    """Return the local time in RFC 3339 format, with its UTC offset."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
