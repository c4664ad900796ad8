"""The documents of FORMAT.md that a generator writes, and the order in which they appear."""

import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from generator.batch.plan import BATCH_FILE, Plan, PlannedVideo
from generator.outputs.files import fingerprint, make_folder, write_bytes, write_json
from generator.prompts.tokens import TrackedWord

FORMAT = "attnwatch/1"
COMPLETE_FILE = "batch.complete.json"

Document = dict[str, object]


def describe_words(words: Sequence[TrackedWord]) -> list[Document]:
    """Describe tracked words as FORMAT.md's ``tokens``."""
    return [{field.name: _plain(getattr(word, field.name)) for field in fields(word)} for word in words]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def manifest_of(video: Path) -> Path:
    """Return the path of a video's manifest."""
    return video.with_name(f"{video.stem}.complete.json")


def write_manifest(video: Path, attention: Sequence[Path], fields: Mapping[str, object]) -> Path:
    """Write the manifest of ``video``, its last file, and return its path: from now on the video is complete.

    Args:
        video: the video; it and the tensor files must be written already
        attention: tensor files, in the order of denoising steps
        fields: the other fields of the manifest

    """
    path = manifest_of(video)
    document = {
        "format": FORMAT,
        "video": video.name,
        "attention": [_relative(file, path) for file in attention],
        "files": {_relative(file, path): fingerprint(file) for file in (video, *attention)},
        **fields,
    }
    write_json(path, document)
    video.with_name(f"{video.stem}.failed.json").unlink(missing_ok=True)
    return path


def _relative(file: Path, manifest: Path) -> str:
    return file.relative_to(manifest.parent).as_posix()


def place_prompt(folder: Path, prompt: str) -> None:
    """Write ``prompt.txt``, one line, into the folder of a prompt's videos, unless it is there."""
    path = folder / "prompt.txt"
    if not path.exists():
        make_folder(folder)
        write_bytes(path, f"{prompt}\n".encode())


def write_batch(
    folder: Path, plan: Plan, words: Mapping[int, Sequence[TrackedWord]], model_revision: str | None
) -> None:
    """Write the first file of a batch: what it is going to be.

    ``words`` are the tracked words of each variation, by its number.
    """
    settings = plan.settings.model_dump(mode="json", exclude={"template", "visualization"})
    document: Document = {
        "format": FORMAT,
        "batch": folder.name,
        "created": _now(),
        "template": plan.template,
        "variations": [
            {
                "prompt_id": f"prompt_{variation.number:03}",
                "prompt": variation.prompt,
                "tokens": describe_words(words[variation.number]),
                "choices": list(variation.choices.values()),
            }
            for variation in plan.variations
        ],
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
        "visualization": plan.settings.visualization,
    }
    write_json(folder / BATCH_FILE, document)


def write_failure(folder: Path, video: PlannedVideo, error: Exception, seconds: float) -> None:
    """Note beside where the manifest would be why a video could not be made, after the notes of earlier attempts."""
    path = folder / video.failure
    make_folder(path.parent)
    attempt = {"at": _now(), "seconds": round(seconds, 3), "error": f"{type(error).__name__}: {error}"}
    document = {
        "format": FORMAT,
        "video_id": video.video_id,
        "seed": video.seed,
        "attempts": [*_attempts(path), attempt],
        "traceback": "".join(traceback.format_exception(error)),
    }
    write_json(path, document)


def _attempts(path: Path) -> list[Document]:
    """Read the attempts that an earlier note lists."""
    if not path.exists():
        return []
    attempts: list[Document] = json.loads(path.read_text(encoding="utf-8"))["attempts"]
    return attempts


def write_batch_complete(folder: Path, *, expected: int, complete: int, failed: int) -> None:
    """Write the last file of a batch: how it ended."""
    document = {
        "format": FORMAT,
        "status": "complete" if complete == expected else "interrupted",
        "finished": _now(),
        "counts": {"expected": expected, "complete": complete, "failed": failed},
    }
    write_json(folder / COMPLETE_FILE, document)


def _now() -> str:
    """Tell the time by RFC 3339, with the local offset."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
