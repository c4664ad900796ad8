"""The embedded default model: its name, the folder of its weights, and the sampling it was trained for."""

import hashlib
from pathlib import Path

from generator.settings import Sampling

NAME = "tiny"
FOLDER = Path(__file__).parents[1] / "tiny" / "weights"

SIZE, FRAMES = 80, 17
"""Height and width in pixels, and number of frames, of its training clips."""

SAMPLING = Sampling(width=SIZE, height=SIZE, frames=FRAMES, fps=8.0, steps=12, guidance_scale=4.0)
"""Recommended sampling, which the evaluation also uses."""


def revision() -> str:
    """Return the model's version: the first 12 hexadecimal digits of the SHA-256 of its weights."""
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
