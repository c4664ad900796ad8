r"""Parses the template language, in which one text describes many prompts.

    a romantic (kiss) between [two men|two women|a man and woman]

- ``[a|b|c]`` is a *slot*: each prompt takes one of its alternatives. Slots may be nested and are numbered from 1 in
  the order in which their brackets open. Some alternatives may be empty, as in ``[big |]dog``, but not all.
- ``(word)`` or ``(several words)`` marks a *tracked span*: its attention is recorded. It may be part of an
  alternative and may contain slots, but not another tracked span. Blanks at its ends do not belong to it.
- ``\`` escapes ``[ ] ( ) |`` and itself; before any other character it is an ordinary character.
- ``|`` is an ordinary character outside of all brackets. Directly inside a tracked span it is refused, because it
  would look like a separator there.
- ``(word:1.3)``, a weight in other tools, is refused.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from generator.errors import TemplateError

SPECIAL = "[]()|"
MAX_DEPTH = 50
CARET_WINDOW = 100

# A weight at the end of a span, ":1.3". A whole number after a digit is not a weight: "16:9", "10:30".
_WEIGHT = re.compile(r":\s*[-+]?\d*\.\d*\s*$|(?<!\d):\s*[-+]?\d+\s*$")


@dataclass(frozen=True)
class Text:
    """Literal characters."""

    text: str
    count: int = 1


@dataclass(frozen=True)
class Sequence:
    """Nodes in a row."""

    nodes: "tuple[Node, ...]"

    @cached_property
    def count(self) -> int:
        """Number of variations; all nodes have this attribute."""
        return prod(node.count for node in self.nodes)

    @property
    def is_blank(self) -> bool:
        """Whether every variation is only white space."""
        return all(isinstance(node, Text) and not node.text.strip() for node in self.nodes)


@dataclass(frozen=True)
class Slot:
    """Alternatives; each variation takes one of them."""

    number: int
    alternatives: tuple[Sequence, ...]

    @cached_property
    def count(self) -> int:
        """Number of variations over all alternatives."""
        return sum(alternative.count for alternative in self.alternatives)


@dataclass(frozen=True)
class Tracked:
    """A span whose attention is recorded, and the number of the slot around it, if any."""

    content: Sequence
    slot: int | None

    @property
    def count(self) -> int:
        """Number of variations of its content."""
        return self.content.count


Node = Text | Slot | Tracked


def parse(text: str, where: str = "template") -> Sequence:
    """Parse a template; ``where`` is its place, for messages.

    Raises:
        TemplateError: showing the position of a syntax error.

    """
    return _Parser(text, where).parse()


@dataclass(frozen=True)
class _Open:
    """An open bracket."""

    bracket: str
    offset: int
    slot: int | None
    """Number of the slot; None for a tracked span."""


@dataclass
class _Parser:
    """Recursive descent parser of one template; ``at`` is the offset of the next character."""

    text: str
    where: str
    at: int = 0
    slots: int = 0
    stack: list[_Open] = field(default_factory=list)

    def parse(self) -> Sequence:
        root = self._sequence(until="")
        if root.is_blank:
            raise self._error(0, "the template is empty: write a prompt")
        return root

    def _sequence(self, until: str) -> Sequence:
        """Parse nodes up to one of the characters ``until``, which stays unread, or up to the end."""
        nodes: list[Node] = []
        while self._next and self._next not in until:
            nodes.append(self._node())
        return Sequence(tuple(nodes))

    def _node(self) -> Node:
        if self._next == "[":
            return self._slot()
        if self._next == "(":
            return self._tracked()
        if self._next in "])":
            raise self._stray_closing()
        if self._next == "|" and self.stack:
            raise self._error(
                self.at,
                "`|` directly inside (...) separates nothing: write `([a|b])` to track the alternative that is taken, "
                "or `\\|` for the character",
            )
        return self._plain()

    def _plain(self) -> Text:
        """Parse ordinary characters; outside of all brackets, `|` is one of them."""
        ends = SPECIAL if self.stack else SPECIAL.replace("|", "")
        characters: list[str] = []
        while self._next and self._next not in ends:
            following = self.text[self.at + 1 : self.at + 2]
            if self._next == "\\" and following and following in SPECIAL + "\\":
                self.at += 1
            characters.append(self._next)
            self.at += 1
        return Text("".join(characters))

    def _slot(self) -> Slot:
        self.slots += 1
        opened = self._open(slot=self.slots)
        alternatives = [self._sequence(until="|]")]
        while self._next == "|":
            self.at += 1
            alternatives.append(self._sequence(until="|]"))
        self._close(opened, "]")
        if all(alternative.is_blank for alternative in alternatives):
            raise self._error(
                opened.offset,
                "empty brackets: write alternatives as `[one|another]`, or `\\[` for the character",
            )
        return Slot(opened.slot or 0, tuple(alternatives))

    def _tracked(self) -> Tracked:
        outer = next((entry for entry in self.stack if entry.bracket == "("), None)
        if outer is not None:
            raise self._error(
                self.at,
                "a tracked span inside a tracked span: mark the words once, as `(word)`, "
                "or write `\\(` for the character",
            )
        slot = self.stack[-1].slot if self.stack else None
        opened = self._open(slot=None)
        content = self._sequence(until=")")
        self._refuse_weight(opened.offset)
        self._close(opened, ")")
        if content.is_blank:
            raise self._error(
                opened.offset,
                "empty brackets: mark the words to track as `(word)`, or write `\\(` for the character",
            )
        return Tracked(content, slot)

    def _refuse_weight(self, opened: int) -> None:
        weight = _WEIGHT.search(self.text, opened, self.at)
        if weight is not None and self._next == ")":
            raise self._error(
                weight.start(),
                f"a weight, `{weight.group().strip()}`, which is not supported: brackets only mark tracked words. "
                "Remove it",
            )

    def _open(self, slot: int | None) -> _Open:
        if len(self.stack) == MAX_DEPTH:
            raise self._error(self.at, f"brackets are nested deeper than {MAX_DEPTH}: write fewer levels")
        opened = _Open(self._next, self.at, slot)
        self.stack.append(opened)
        self.at += 1
        return opened

    def _close(self, opened: _Open, bracket: str) -> None:
        if not self._next:
            raise self._error(
                opened.offset,
                f"`{opened.bracket}` is never closed: add `{bracket}`, or write `\\{opened.bracket}` for the character",
            )
        self.at += 1
        self.stack.pop()

    def _stray_closing(self) -> TemplateError:
        found = self._next
        if self.stack:
            wanted = "]" if self.stack[-1].bracket == "[" else ")"
            problem = f"found `{found}` where `{wanted}` must close the preceding `{self.stack[-1].bracket}`"
        else:
            problem = f"`{found}` closes nothing: add `{'[' if found == ']' else '('}` before it"
        return self._error(self.at, f"{problem}, or write `\\{found}` for the character")

    @property
    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _error(self, offset: int, problem: str) -> TemplateError:
        return TemplateError(f"{self.where}: {problem}\n{point_at(self.text, offset)}")


def point_at(text: str, offset: int) -> str:
    """Return the part of ``text`` around ``offset``, with a caret below that character."""
    first = max(0, min(offset - CARET_WINDOW // 2, len(text) - CARET_WINDOW))
    last = first + CARET_WINDOW
    shown = "".join(character if character.isprintable() else " " for character in text[first:last])
    before = ("... " if first else "") + shown[: offset - first]
    line = before + shown[offset - first :] + (" ..." if last < len(text) else "")
    return f"  {line}\n  {' ' * _columns(before)}^"


def _columns(text: str) -> int:
    """Return the width of ``text`` in terminal columns: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
