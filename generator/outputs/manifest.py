"""Writes the manifest that completes a video, and the prompt file beside it (FORMAT.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from generator.outputs.files import confirm, fingerprint, make_folder, write_bytes, write_json
from generator.prompts.tokens import TrackedWord

FORMAT = "attnwatch/1"

Document = dict[str, object]


def describe_words(words: Sequence[TrackedWord], *, negative: bool = False) -> list[Document]:
    """Describe tracked words of the prompt, or of the negative prompt: ``tokens``, ``negative_tokens`` of FORMAT.md."""
    return [_described(word) for word in words if word.negative == negative]


def _described(word: TrackedWord) -> Document:
    values = {field.name: getattr(word, field.name) for field in fields(word) if field.name != "negative"}
    return {name: _plain(value) for name, value in values.items() if name != "span" or value is not None}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def manifest_of(video: Path) -> Path:
    """Return the path of a video's manifest."""
    return video.with_name(f"{video.stem}.complete.json")


def write_manifest(video: Path, attention: Sequence[Path], fields: Mapping[str, object]) -> Path:
    """Write the manifest of ``video``, which marks the video as complete, and return its path.

    Args:
        video: the video file; it and the tensor files must exist
        attention: tensor files in the order of denoising steps
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
    confirm()
    video.with_name(f"{video.stem}.failed.json").unlink(missing_ok=True)
    return path


def _relative(file: Path, manifest: Path) -> str:
    return file.relative_to(manifest.parent).as_posix()


def place_prompt(folder: Path, prompt: str) -> None:
    """Write the one-line file ``prompt.txt`` into the folder of a prompt's videos unless it exists."""
    path = folder / "prompt.txt"
    if not path.exists():
        make_folder(folder)
        write_bytes(path, f"{prompt}\n".encode())
