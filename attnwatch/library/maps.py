"""Opens the maps of a video, and says which part of them a call asks for."""

from collections.abc import Sequence
from typing import TypeAlias

from attnwatch.batches.videos import open_attention
from attnwatch.config import load_settings
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import NotReadyError
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import AttentionReader, Part

Choice: TypeAlias = int | str | Sequence[int] | None  # one, a range such as "0-9" (ends included), several, or all

_AXES = {"steps": "step", "layers": "layer", "heads": "head"}


def open_maps(manifest: Manifest) -> AttentionReader:
    """Open the tensors of a video. Raises `NotReadyError` if a file is missing, and `TensorError` if one is damaged."""
    for path in manifest.attention:
        if not path.exists():
            raise NotReadyError(f"{manifest.path}: found no {path.name}; expected the tensor file there; restore it")
    return open_attention(manifest)


def part_of(*choices: Choice) -> Part:
    """Return what some steps, layers and heads select. Raises `ConfigError` under the name of an invalid argument."""
    chosen = dict(zip(_AXES, choices, strict=True))
    valid = Visualization(**load_settings(None, chosen, {}, spell_flag=_AXES.__getitem__).visualization)
    return Part(valid.steps, valid.layers, valid.heads)
