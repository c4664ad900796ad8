"""How measures are called in tables, figures and sentences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A measure that can be compared between videos; MEASURES.md has the formulas.

    Attributes:
        name: its name in tables.
        label: what a figure calls it.
        unit: its unit; empty if it has none, because it is a share or a number between 0 and 1.
        more: what a sentence says if it is higher: `{}` stands for the word.
        less: what a sentence says if it is lower.

    """

    name: str
    label: str
    unit: str = ""
    more: str = ""
    less: str = ""

    @property
    def axis(self) -> str:
        """Its label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def finding(self, word: str, *, is_more: bool) -> str:
        """Return the beginning of a sentence about a word whose attention has more, or less, of it."""
        said = (self.more if is_more else self.less) or f"The {self.label} of attention to {{}} was {{}}"
        sentence = said.format(word, "higher" if is_more else "lower")
        return sentence[:1].upper() + sentence[1:]


def _both(common: str, more: str, less: str) -> tuple[str, str]:
    return f"Attention to {{}} {common}{more}", f"Attention to {{}} {common}{less}"


_WIDTHS, _HEIGHTS, _DIAGONALS = "picture widths", "picture heights", "picture diagonals"
_RATE = " per second"
_PICTURE, _WENT = "share of picture", "of the attention went to {}"

_ALL = (
    Measure("mass", "mass", "share of attention", f"More {_WENT}", f"Less {_WENT}"),
    Measure("peak", "peak", "probability"),
    Measure("peak_x", "horizontal place of the peak", _WIDTHS),
    Measure("peak_y", "vertical place of the peak", _HEIGHTS),
    Measure("entropy", "entropy", "share of maximum", *_both("was ", "more evenly spread", "less evenly spread")),
    Measure("concentration", "concentration", "", *_both("was ", "more concentrated", "less concentrated")),
    Measure("effective_area", "effective area", _PICTURE, *_both("covered a ", "larger area", "smaller area")),
    Measure("centroid_x", "horizontal place of the centroid", _WIDTHS, *_both("was further to the ", "right", "left")),
    Measure(
        "centroid_y",
        "vertical place of the centroid",
        _HEIGHTS,
        *_both("was further ", "down", "up"),
    ),
    Measure("spread", "spread", _DIAGONALS, *_both("was ", "more widely spread", "less widely spread")),
    Measure("hottest_share", "share of the hottest tenth"),
    Measure("path_length", "path length", _DIAGONALS, *_both("moved ", "further", "less far")),
    Measure("speed", "speed", f"{_DIAGONALS}{_RATE}", *_both("moved ", "faster", "more slowly")),
    Measure(
        "velocity_x", "horizontal velocity", f"{_WIDTHS} per second", *_both("moved more to the ", "right", "left")
    ),
    Measure("velocity_y", "vertical velocity", f"{_HEIGHTS} per second", *_both("moved more ", "downwards", "upwards")),
    Measure("peak_frame", "frame of the highest mass", "latent frame"),
    Measure("temporal_entropy", "temporal entropy", "share of maximum"),
    Measure("settled", "step of the final form", "denoising step", *_both("settled ", "later", "earlier")),
)

MEASURES = {measure.name: measure for measure in _ALL}
"""The measures of a video, by name."""

USUAL = ("mass", "concentration", "spread", "speed")
"""Those that are compared if none is named.

Each answers a question of its own: how much attention, how focused, how far apart, how much it moves. Every further one
makes Holm's correction stricter for all; `effective_area`, `entropy` and `hottest_share` say much the same as
`concentration`.
"""


def measure_named(name: str) -> Measure:
    """Return a measure by its name; one that is not known here is called by the name of its column."""
    return MEASURES.get(name, Measure(name, name.replace("_", " ")))
