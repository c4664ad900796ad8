"""Chooses one word of each video of a table of measures."""

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from attnwatch.analysis.table import Row
from attnwatch.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Word:
    """The word that was chosen.

    Attributes:
        name: its slug or text as it was given, or `slot:1`.
        label: how a sentence names it.

    """

    name: str
    label: str


_SLOT = re.compile(r"slot:(\d+)")


def rows_about(rows: Sequence[Row], word: str | None) -> tuple[list[Row], Word]:
    """Return the row of each video that is about a word, and the word.

    Args:
        rows: a row for each word of each video.
        word: slug or text of the word; `slot:1` for the one in this bracket of the template, whichever it is; None for
            the only one that all videos have.

    Raises:
        ConfigError: all videos have several words, or no word in common, and none was chosen.
        UnknownNameError: no video has this word.

    """
    chosen = _common_word(rows) if word is None else word
    slot = _SLOT.fullmatch(chosen)
    if slot is not None:
        found = [row for row in rows if row.get("slot") == int(slot[1])]
        label = f"the word in bracket {int(slot[1])}"
    else:
        found = [row for row in rows if row["word"] == chosen] or [row for row in rows if row.get("text") == chosen]
        label = f"'{found[0].get('text') or chosen}'" if found else ""
    if not found:
        words = ", ".join(dict.fromkeys(str(row["word"]) for row in rows))
        raise UnknownNameError(f"word: found no {chosen!r}; expected one of {words}, or slot:N for that in bracket N")
    first: dict[Hashable, Row] = {}
    for row in found:
        first.setdefault(video_of(row), row)
    return list(first.values()), Word(chosen, label)


def video_of(row: Row) -> tuple[Any, Any]:
    """Return what identifies the video of a row."""
    return row.get("batch"), row["video_id"]


def _common_word(rows: Sequence[Row]) -> str:
    """Return the only word that all videos have.

    Raises:
        ConfigError: there are several, or none.

    """
    count = len({video_of(row) for row in rows})
    common = _shared(((row["word"], video_of(row)) for row in rows), count)
    if len(common) == 1:
        return str(common[0])
    in_slots = ((f"slot:{row['slot']}", video_of(row)) for row in rows if row.get("slot") is not None)
    ways = [*map(str, common), *_shared(in_slots, count)]
    found = f"{f'{len(common)} words' if common else 'no word'} that all {count} videos have"
    if not ways:
        words = ", ".join(dict.fromkeys(str(row["word"]) for row in rows))
        raise ConfigError(f"word: found {found}; the words are {words}; choose one of them")
    raise ConfigError(f"word: found {found}; expected one; choose a word: {' or '.join(ways)}")


def _shared(found: Iterable[tuple[Any, Hashable]], count: int) -> list[Any]:
    """Return the names that occur in all of so many videos."""
    where: dict[Any, set[Hashable]] = {}
    for name, video in found:
        where.setdefault(name, set()).add(video)
    return [name for name, some in where.items() if len(some) == count]
