"""Says what the videos beside each other have in common, and what sets each of them apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attnwatch.contract.manifest import Manifest
from attnwatch.render.labels import is_wide

_LEAST_COMMON = 2  # words, or wide characters, that are worth a title
_BETWEEN = ", "


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
    prompts = [manifest.document.generation.prompt or manifest.video_id for manifest in manifests]
    seeds = [manifest.document.generation.seed for manifest in manifests]
    title, each = _common(prompts)
    named = ["" if seed is None else f"seed {seed}" for seed in seeds]
    if len(set(seeds)) == 1:
        title, named = _joined(title, named[0]), [""] * len(named)
    each = [_joined(*parts) for parts in zip(each, named, strict=True)]
    if len(manifests) == 1:
        return Captions(title, ("",))
    for name in ([manifest.video_id for manifest in manifests], [str(manifest.path.parent) for manifest in manifests]):
        if len(set(each)) < len(each):
            each = [_joined(*parts) for parts in zip(each, name, strict=True)]
    return Captions(title, tuple(each))


def _joined(*parts: str) -> str:
    return _BETWEEN.join(filter(None, parts))


def _common(prompts: Sequence[str]) -> tuple[str, list[str]]:
    """Return what all prompts have in common, with an ellipsis for what they have not, and the rest of each."""
    if len(set(prompts)) == 1:
        return f"“{prompts[0]}”", [""] * len(prompts)
    words = [_parts(prompt) for prompt in prompts]
    start = _alike(words)
    end = _alike([list(reversed(some[start:])) for some in words])
    while start + end and min(map(len, words)) == start + end:  # something has to be left of each
        start, end = (start - 1, end) if start else (start, end - 1)
    if start + end < _LEAST_COMMON:
        return "", [f"“{prompt}”" for prompt in prompts]
    blank = "" if is_wide(prompts[0]) else " "
    common = ("".join(words[0][:start]), "…", "".join(words[0][len(words[0]) - end :]))
    title = blank.join(part.strip() for part in common if part)
    return f"“{title}”", [f"“{''.join(some[start : len(some) - end]).strip()}”" for some in words]


def _alike(words: Sequence[Sequence[str]]) -> int:
    """Return how many words at their beginnings are the same."""
    shortest = min(map(len, words))
    return next((at for at in range(shortest) if len({some[at].strip() for some in words}) > 1), shortest)


def _parts(prompt: str) -> list[str]:
    """Return the words of a prompt, each with the space after it; the characters of one in a script without spaces."""
    return list(prompt) if is_wide(prompt) else re.findall(r"\S+\s*", prompt)
