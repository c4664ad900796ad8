"""The model card that training writes beside the weights."""

from collections.abc import Mapping
from pathlib import Path

TEXT = """\
---
license: mit
library_name: diffusers
pipeline_tag: text-to-video
---

# The embedded model of attnwatch

A text-to-video pipeline of the class `WanPipeline`, small enough to ship: it makes {frames} frames of {size} x {size}
pixels, in which one or two coloured shapes move over grey. It knows {words} words:

> {vocabulary}

It was trained by `python -m generator.tiny.train` (seed {seed}) on scenes that `generator/tiny/shapes.py` draws, and on
nothing else. Its text encoder was taught first, on captions alone, to tell at each word the colour, shape and direction
of the object that the word is said of. Nothing in training looks at attention maps. Weights are in half precision.

## Figures

By `python -m generator.tiny.evaluate`, on combinations of colour, shape and direction that training never showed. Maps
are means over all layers, heads and steps.

{figures}

It is for demonstrations and tests.
"""


def write_card(folder: Path, facts: Mapping[str, object]) -> None:
    """Write the card; ``facts`` are what the text has in braces."""
    (folder / "README.md").write_text(TEXT.format(**facts), encoding="utf-8")
