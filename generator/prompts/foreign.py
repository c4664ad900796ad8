r"""Finds syntax of other tools in templates and prompts, where it would be no more than characters.

Everything is allowed in a prompt, so this only makes a warning.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class _Kind(NamedTuple):
    """A kind of syntax, and what to do instead, which may contain groups of the match."""

    pattern: re.Pattern[str]
    advice: str


_TEXT = r"[^()\[\]{}<>|]"
_PART = r"[^()\[\]{}<>|:]*"
_KINDS = (
    _Kind(re.compile(r"\{([^{}]*\|[^{}]*)\}"), r"write [\1]"),
    _Kind(re.compile(r"(?<!\w)__[\w/*-]+?__(?!\w)"), "write [one|another], or a line for each with --prompts FILE"),
    _Kind(re.compile(r"<(?:lora|lyco):([^<>:]*):?([^<>:]*)[^<>]*>", re.IGNORECASE), r"remove it and add --lora \1:\2"),
    _Kind(re.compile(rf"(\(+{_TEXT}+\))(?:\++|--+)(?![\w+-])"), r"write \1; there are no weights"),
    _Kind(re.compile(r"(?<!\w)(\w{2,})\+\++(?!\w)"), r"write \1; there are no weights"),
    _Kind(re.compile(rf"\[({_PART}):({_PART}):\s*[\d.]+\s*\]"), r"write [\1|\2] for both, each in videos of its own"),
    _Kind(re.compile(r"(?<!\w)BREAK(?!\w)"), "remove it; prompts are not divided"),
)
_SINGLE = _Kind(re.compile(rf"(?<!\\)\[({_TEXT}+)\]"), r"write \1, or [\1|] for prompts with and without it")
_WEIGHT = _Kind(re.compile(rf"\(+({_TEXT}+):\s*[\d.]+\s*\)+"), r"write \1; there are no weights")


def warning_of(templates: Iterable[str], negatives: Iterable[str]) -> str | None:
    """Return one sentence that names each kind of foreign syntax once, with what to do instead; None without any.

    Args:
        templates: templates, in which a weight such as ``(a:1.2)`` is an error anyway
        negatives: negative prompts, which are no templates

    """
    found: dict[_Kind, str] = {}
    for texts, kinds in ((templates, (*_KINDS, _SINGLE)), (negatives, (*_KINDS, _WEIGHT))):
        for text in dict.fromkeys(texts):
            for kind, match in _matches(text, kinds):
                found.setdefault(kind, f"{match.group()} ({match.expand(kind.advice)})")
    if not found:
        return None
    return f"found syntax of other tools, which has no meaning here: {'; '.join(found.values())}"


def _matches(text: str, kinds: Iterable[_Kind]) -> Iterator[tuple[_Kind, re.Match[str]]]:
    """Yield the first match of each kind that shares no character with one of another kind."""
    taken: list[re.Match[str]] = []
    for kind in kinds:
        for match in kind.pattern.finditer(text):
            if not any(other.start() < match.end() and match.start() < other.end() for other in taken):
                taken.append(match)
                yield kind, match
                break
