"""The embedded default model: a complete, real Wan pipeline with tiny dimensions, trained on moving shapes.

It lies in the folder ``weights`` beside this file, in the format of any other diffusers model. The other modules
here train it and evaluate it; see README.md.
"""

import hashlib
from pathlib import Path

from generator.settings import Sampling
from generator.tiny.shapes import FRAMES, SIZE

NAME = "tiny"
FOLDER = Path(__file__).parent / "weights"

SAMPLING = Sampling(width=SIZE, height=SIZE, frames=FRAMES, fps=8.0, steps=12, guidance_scale=4.0)
"""What the model is trained for, and what it is evaluated with."""


def revision() -> str:
    """Name the version of the model, by its weights."""
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
