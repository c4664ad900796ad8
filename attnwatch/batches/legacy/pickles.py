"""Converts the pickled tensors of trusted batches to arrays, in a resource-limited process that alone imports torch."""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path

from attnwatch.batches.legacy.files import PICKLES
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import JobError
from attnwatch.system.limits import SINGLE_THREADED, Limits

# A string because this package must not import torch, which may not be installed.
# `weights_only` restricts the pickle to tensors and plain containers; it cannot call anything else.
_PROGRAM = """
import gzip, json, sys
from attnwatch.system.limits import Limits
task = json.load(sys.stdin)
Limits(**task["limits"]).restrict()
import numpy, torch
for source, target in task["files"]:
    with (gzip.open if source.endswith(".gz") else open)(source, "rb") as file:
        tensor = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{source}: found {type(tensor).__name__}; expected one tensor")
    numpy.save(target, tensor.contiguous().numpy())
"""
_LAST_LINES = 1


def unpickled(manifest: Manifest, folder: Path, limits: Limits) -> Manifest:
    """Convert a video's tensors to `.npy` files in an empty folder, and return its manifest with these.

    Raises:
        JobError: torch is missing, or a file holds anything but one tensor, is damaged, or exceeds the limits.
        OSError: a file cannot be read or written.

    """
    moved = [folder / source.name for source in manifest.attention]
    files = list(_files(manifest.attention, moved))
    command = [sys.executable, "-I", "-c", _PROGRAM]
    task = dumps({"limits": asdict(limits), "files": files})
    environment = {**os.environ, **SINGLE_THREADED}
    try:
        done = subprocess.run(  # noqa: S603 - the program above, by this interpreter
            command, input=task, capture_output=True, text=True, timeout=limits.seconds, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise JobError(f"{manifest.path}: converting its pickles exceeded {limits.seconds:g} s") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.strip().splitlines()[-_LAST_LINES:]) or f"exit code {done.returncode}"
        raise JobError(f"{manifest.path}: its pickles were not converted: {reason}")
    return replace(manifest, attention=tuple(moved))


def _files(sources: Iterable[Path], targets: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for source, target in zip(sources, targets, strict=True):
        target.mkdir()
        for path in sorted(source.iterdir()):
            kind = next((kind for kind in PICKLES if path.name.endswith(kind)), None)
            if kind is None:
                (target / path.name).symlink_to(path.absolute())
            elif not (source / (plain := f"{path.name.removesuffix(kind)}.npy")).exists():
                yield str(path), str(target / plain)
