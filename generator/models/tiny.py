"""The embedded default model: its name, where its weights lie, and the sampling it was trained for."""

import hashlib
from pathlib import Path

from generator.settings import Sampling

NAME = "tiny"
FOLDER = Path(__file__).parents[1] / "tiny" / "weights"

SIZE, FRAMES = 80, 17
"""Height and width in pixels, and number of frames, of the clips that it was trained on."""

SAMPLING = Sampling(width=SIZE, height=SIZE, frames=FRAMES, fps=8.0, steps=12, guidance_scale=4.0)
"""What it recommends, and what it is evaluated with."""


def revision() -> str:
    """Return the version of the model: the first 12 hexadecimal digits of the SHA-256 of its weights."""
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
