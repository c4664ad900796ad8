"""Tables of measures by hand, for tests of comparisons."""

from collections.abc import Iterable, Mapping
from typing import Any


def row(seed: int | None, *choices: str | None, word: str = "kiss", **measures: Any) -> dict[str, Any]:
    """Return the row of a word of a video, whose name tells what it is."""
    about = {
        "batch": "demo",
        "video_id": "-".join(map(str, (*choices, seed))),
        "word": word,
        "text": word,
        "slot": None,
        "seed": seed,
        "model": "tiny",
        "template": "[two men|two women] (kiss)",
        "prompt": " ".join(map(str, choices)),
        **{f"choice_{number}": choice for number, choice in enumerate(choices, start=1)},
    }
    return about | measures


def rows(measure: str, values: Mapping[str, Iterable[float | None]], **others: Any) -> list[dict[str, Any]]:
    """Return a row for each value of each choice; the first value has seed 1."""
    return [
        row(seed, choice, **{measure: value}, **others)
        for choice, some in values.items()
        for seed, value in enumerate(some, start=1)
    ]
