"""Says what the videos beside each other have in common, and what sets each of them apart."""

import itertools
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnwatch.contract.manifest import Manifest
from attnwatch.render.text.breaking import pieces
from attnwatch.render.text.plain import plain, quoted

_LEAST_COMMON = 2  # words, or characters of a script without blanks, that are worth a title
_LEAST_RUN = 4  # words in the midst of prompts that are told once
_BETWEEN = ": "  # of what tells videos apart: first the short part, which must not be cut

_Words = list[str]


@dataclass(frozen=True)
class Captions:
    """Texts about a number of videos.

    Attributes:
        title: what all of them have in common; may be empty.
        each: what sets each apart; empty for a single video.

    """

    title: str
    each: tuple[str, ...]


def captions(manifests: Sequence[Manifest]) -> Captions:
    """Return a title for videos and a caption for each: its prompt, or the part of it that differs, and its seed."""
    prompts = [manifest.document.generation.prompt for manifest in manifests]
    seeds = [manifest.document.generation.seed for manifest in manifests]
    known = [prompt for prompt in prompts if prompt]
    if len(known) == len(prompts):
        title, each = _common(known)
    else:  # a name in the place of a prompt is no quotation
        names = [manifest.video_id for manifest in manifests]
        title, each = "", [quoted(prompt) if prompt else name for prompt, name in zip(prompts, names, strict=True)]
    named = ["" if seed is None else f"seed {seed}" for seed in seeds]
    if len(set(seeds)) == 1:
        title, named = _joined(named[0], title), [""] * len(named)
    each = [_joined(*parts) for parts in zip(named, each, strict=True)]
    if len(manifests) == 1:
        return Captions(_joined(title, *each), ("",))
    return Captions(title, _told_apart(each, manifests))


def _told_apart(each: Sequence[str], manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Return captions with as much of the names of videos and of their batches as makes them differ."""
    ids, folders = [manifest.video_id for manifest in manifests], _folders(manifests)
    told = tuple(each)
    for names in (ids, folders, [f"{folder}/{name}" for folder, name in zip(folders, ids, strict=True)]):
        if len(set(told)) == len(told):
            break
        told = tuple(_joined(*parts) for parts in zip(names, each, strict=True))
    return told


def _folders(manifests: Sequence[Manifest]) -> list[str]:
    """Return the name of the first folder on the way to each video that differs, such as that of its batch."""
    folders = [manifest.path.parent.absolute() for manifest in manifests]
    common = os.path.commonpath(folders)
    return [next(iter(folder.relative_to(common).parts), "") for folder in folders]


def _joined(*parts: str) -> str:
    return _BETWEEN.join(filter(None, parts))


def _common(prompts: Sequence[str]) -> tuple[str, list[str]]:
    """Return what all prompts have in common, with ellipses for what they have not, and the rest of each."""
    if len(set(prompts)) == 1:
        return quoted(prompts[0]), [""] * len(prompts)
    words = [list(pieces(plain(prompt))) for prompt in prompts]
    parts = list(_parts(words))
    own = [filter(None, map(_text, of_one)) for of_one in zip(*itertools.filterfalse(_is_shared, parts), strict=True)]
    blank = " " if any(word.endswith(" ") for word in words[0]) else ""
    each = [f"{blank}…{blank}".join(texts) for texts in own]
    if sum(len(part[0]) for part in parts if _is_shared(part)) < _LEAST_COMMON or not all(each):
        return "", [quoted(prompt) for prompt in prompts]
    title = blank.join(_text(part[0]) if _is_shared(part) else "…" for part in parts)
    return quoted(title), [quoted(text) for text in each]


def _text(words: _Words) -> str:
    return "".join(words).strip()


def _is_shared(part: list[_Words]) -> bool:
    return all(some == part[0] for some in part)


def _parts(prompts: Sequence[_Words]) -> Iterator[list[_Words]]:
    """Split prompts where they are alike: yield, in order, what they share and what each has instead."""
    start = _alike(prompts)
    rest = [words[start:] for words in prompts]
    end = _alike([words[::-1] for words in rest])
    middle = [words[: len(words) - end] for words in rest]
    whole = [[words[:start] for words in prompts], *_around_runs(middle), [words[len(words) - end :] for words in rest]]
    yield from (part for part in whole if any(part))


def _around_runs(prompts: list[_Words]) -> list[list[_Words]]:
    """Split prompts at the longest run of words that all have, and what is before and after it likewise."""
    length = _longest_run(prompts)
    if length < _LEAST_RUN:
        return [prompts]
    run = next(run for run in _runs(prompts[0], length) if all(run in set(_runs(words, length)) for words in prompts))
    starts = [_runs(words, length).index(run) for words in prompts]
    before = [words[:start] for words, start in zip(prompts, starts, strict=True)]
    after = [words[start + length :] for words, start in zip(prompts, starts, strict=True)]
    return [*_around_runs(before), [list(run)] * len(prompts), *_around_runs(after)]


def _longest_run(prompts: Sequence[_Words]) -> int:
    """Return the length of the longest run of words that all prompts have."""

    def is_too_long(length: int) -> bool:
        return not set.intersection(*(set(_runs(words, length)) for words in prompts))

    return bisect_left(range(1, min(map(len, prompts)) + 1), True, key=is_too_long)


def _runs(words: _Words, length: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]


def _alike(prompts: Sequence[_Words]) -> int:
    """Return how many words at their beginnings are the same."""
    shortest = min(map(len, prompts))
    return next((at for at in range(shortest) if len({words[at] for words in prompts}) > 1), shortest)
