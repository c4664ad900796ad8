"""The documents of FORMAT.md that a generator writes, and the order in which they appear."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from generator.outputs.files import fingerprint, make_folder, write_bytes, write_json
from generator.prompts.tokens import TrackedWord

FORMAT = "attnwatch/1"

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
