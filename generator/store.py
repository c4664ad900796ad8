"""Captured attention to a tensor file, by the names and shapes of FORMAT.md.

Probabilities in float16 have a relative error of 2^-11 down to 6e-5, and below that an absolute one of at most
3e-8; no probability is out of its range. The aggregated map is float32 always.
"""

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
import torch
import zstandard
from torch import Tensor

from generator.capture import Recorder
from generator.config import AttentionSettings
from generator.files import write_bytes
from generator.outputs import FORMAT, describe_words

AXES = "step,layer,head,frame,height,width"


def save_attention(folder: Path, stem: str, recorder: Recorder, prompt: str, settings: AttentionSettings) -> Path:
    """Write everything that was recorded of one video to one file, and return its path.

    Raises:
        OutputError: if it cannot be written.

    """
    content = _with_sorted_header(safetensors.torch.save(_tensors(recorder), _metadata(recorder, prompt)))
    if not settings.compress_attention:
        path = folder / f"{stem}.safetensors"
        write_bytes(path, content)
        return path
    path = folder / f"{stem}.safetensors.zst"
    write_bytes(path, zstandard.compress(content))  # at once, so the frame's header tells the size
    return path


def _tensors(recorder: Recorder) -> dict[str, Tensor]:
    """Name the maps of each word: all stored steps joined, and the mean."""
    tensors: dict[str, Tensor] = {}
    aggregated = recorder.aggregated()
    for index, name in enumerate(recorder.names):
        if recorder.steps:
            tensors[name] = torch.stack([step.maps[index] for step in recorder.steps])
        if aggregated is not None:
            tensors[f"{name}.aggregated"] = aggregated[index].contiguous()
    return tensors


def _metadata(recorder: Recorder, prompt: str) -> dict[str, str]:
    """Repeat what makes the file explain itself; safetensors takes strings only."""
    return {
        "format": FORMAT,
        "axes": AXES,
        "steps": json.dumps([step.index for step in recorder.steps]),
        "prompt": prompt,
        "grid": json.dumps(asdict(recorder.grid)),
        "tokens": json.dumps(describe_words(recorder.words), ensure_ascii=False),
    }


def _with_sorted_header(content: bytes) -> bytes:
    """Sort the header of a safetensors file, whose order differs from process to process otherwise.

    The file is the header's length in 8 bytes, the header in JSON, padded with blanks to a multiple of 8 bytes,
    and the tensors, whose places are counted from the end of the header.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]
