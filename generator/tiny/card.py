"""Writes the model card beside the weights."""

from collections.abc import Mapping
from pathlib import Path

TEXT = """\
---
license: mit
library_name: diffusers
pipeline_tag: text-to-video
---

# The embedded model of attnwatch

A text-to-video pipeline of the class `WanPipeline`, small enough to ship. It makes {frames} frames of {size} x {size}
pixels in which one or two coloured shapes move over a grey background. It knows {words} words:

> {vocabulary}

It was trained by `python -m generator.tiny.train` (seed {seed}) only on scenes that `generator/tiny/shapes.py` draws.
Its text encoder was trained first, on captions alone, to predict at each word the colour, shape and direction of the
object that the word describes. Training never uses attention maps. Weights are in half precision.

## Figures

Measured by `python -m generator.tiny.evaluate` on combinations of colour, shape and direction that are not in the
training data. Maps are means over all layers, heads and steps.

{figures}

The model is meant for demonstrations and tests.
"""


def write_card(folder: Path, facts: Mapping[str, object]) -> None:
    """Write the card; ``facts`` are the values for the placeholders of `TEXT`."""
    (folder / "README.md").write_text(TEXT.format(**facts), encoding="utf-8")
