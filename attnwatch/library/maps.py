"""Opens the maps of a video, and finds the word and the part of them that a call asks for."""

from collections.abc import Sequence
from typing import TypeAlias

from attnwatch.batches.videos import open_attention, why_no_words, words_named
from attnwatch.config import load_settings
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import NotReadyError, UnknownNameError
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import AttentionReader, Part, WordMaps

Choice: TypeAlias = int | str | Sequence[int] | None  # one, a range such as "0-9" (ends included), several, or all

_AXES = {"steps": "step", "layers": "layer", "heads": "head"}


def open_maps(manifest: Manifest) -> AttentionReader:
    """Open the tensors of a video. Raises `NotReadyError` if a file is missing, and `TensorError` if one is damaged."""
    for path in manifest.attention:
        if not path.exists():
            raise NotReadyError(f"{manifest.path}: found no {path.name}; expected the tensor file there; restore it")
    return open_attention(manifest)


def word_of(manifest: Manifest, reader: AttentionReader, word: str) -> WordMaps:
    """Return the maps of a word, given its slug, or its text if no other word has the same.

    Raises:
        UnknownNameError: (a `KeyError`) no word has this name; the message lists the tracked words.

    """
    found = words_named(word, manifest, reader.words)
    if len(found) == 1:
        return found[0]
    known = [one.slug for one in found] or reader.words
    expected = f"one of: {', '.join(known)}" if reader.words else f"none: {why_no_words(manifest)}"
    raise UnknownNameError(f"{manifest.video_id}: found {len(found) or 'no'} words {word!r}; expected {expected}")


def part_of(*choices: Choice) -> Part:
    """Return what some steps, layers and heads select. Raises `ConfigError` under the name of an invalid argument."""
    chosen = dict(zip(_AXES, choices, strict=True))
    valid = Visualization(**load_settings(None, chosen, {}, spell_flag=_AXES.__getitem__).visualization)
    return Part(valid.steps, valid.layers, valid.heads)
