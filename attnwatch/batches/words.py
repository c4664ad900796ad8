"""Finds the words of a video that a user names."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from attnwatch.batches.videos import why_no_words
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import UnknownNameError

if TYPE_CHECKING:
    from attnwatch.tensors.reader import WordMaps


def word_named(name: str, manifest: Manifest, words: "Mapping[str, WordMaps]") -> "WordMaps":
    """Return the word that a name stands for; see `find_word`.

    Raises:
        UnknownNameError: there is none, or more than one; the message lists the words that there are.

    """
    found = find_word(name, manifest, words)
    if found is None:
        require_words(manifest, words)
        raise UnknownNameError(f"{manifest.video_id}: found no word {name!r}; expected one of: {', '.join(words)}")
    return found


def chosen_words(names: Collection[str], manifest: Manifest, words: "Mapping[str, WordMaps]") -> "list[WordMaps]":
    """Return the words that some names stand for, each once; all words if no name is given.

    Raises:
        UnknownNameError: as for `word_named`, or the video has no word at all; the message says why.

    """
    require_words(manifest, words)
    found = [word_named(name, manifest, words) for name in names] or words.values()
    return list({word.slug: word for word in found}.values())


def find_word(name: str, manifest: Manifest, words: "Mapping[str, WordMaps]") -> "WordMaps | None":
    """Return the word that a name stands for: the one of this slug, or else the only one of this text; None if none is.

    Args:
        name: the name.
        manifest: manifest of the video.
        words: its words by slug.

    Raises:
        UnknownNameError: several words have this text, or the name is no text.

    """
    if not isinstance(name, str):  # from a notebook: `video.figure(["kiss", "men"])`
        raise UnknownNameError(f"{manifest.video_id}: found {name!r}; expected the text of a word; give each by itself")
    if name in words:
        return words[name]
    texts = manifest.document.texts
    found = [word for slug, word in words.items() if name in (texts.get(slug), word.name)]
    if len(found) > 1:
        slugs = ", ".join(word.slug for word in found)
        raise UnknownNameError(f"{manifest.video_id}: found {len(found)} words {name!r}; expected one of: {slugs}")
    return found[0] if found else None


def require_words(manifest: Manifest, words: "Mapping[str, WordMaps]") -> None:
    """Check that a video has a word. Raises `UnknownNameError` if not; the message says why."""
    if not words:
        raise UnknownNameError(f"{manifest.video_id}: found no word; expected at least one; {why_no_words(manifest)}")
