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
from attnwatch.system.files import link_or_copy
from attnwatch.system.folders import Folder
from attnwatch.system.limits import SINGLE_THREADED, Limits
from attnwatch.system.roots import Root

# A string because this package must not import torch, which may not be installed.
# `weights_only` restricts the pickle to tensors and plain containers; it cannot call anything else.
_PROGRAM = """
import gzip, json, sys
from pathlib import Path
from attnwatch.system.folders import Links
from attnwatch.system.limits import Limits
from attnwatch.system.roots import Root
task = json.load(sys.stdin)
root = Root(Path(task["root"]), Links(task["links"]))
Limits(**task["limits"]).restrict()
import numpy, torch

def array(source):
    with root.open_file(Path(source)) as opened:
        file = gzip.open(opened) if source.endswith(".gz") else opened
        tensor = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(tensor, torch.Tensor):
        sys.exit(f"{source}: found {type(tensor).__name__}; expected one tensor; write it again as .npy")
    tensor = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
    # numpy has no bfloat16
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).contiguous().numpy()

for source, target in task["files"]:
    try:
        numpy.save(target, array(source))
    except OSError:
        raise
    except Exception as error:  # torch's own advice is to load the file without protection
        large = isinstance(error, MemoryError) or "allocate memory" in str(error)
        found = "a tensor that does not fit into memory_limit" if large else "no pickle of one tensor"
        sys.exit(f"{source}: found {found} ({type(error).__name__}); expected one tensor; write it again as .npy")
"""
_LAST_LINES = 1


def unpickled(manifest: Manifest, folder: Path, limits: Limits) -> Manifest:
    """Convert a video's tensors to `.npy` files in an empty folder, and return its manifest with these.

    Raises:
        JobError: torch is missing, or a file holds anything but one tensor, is damaged, or exceeds the limits.
        OSError: a file cannot be read or written.

    """
    moved = [folder / source.name for source in manifest.attention]
    files = list(_files(manifest, moved))
    command = [sys.executable, "-I", "-c", _PROGRAM]
    root = {"root": str(manifest.root.path.absolute()), "links": manifest.root.links.value}
    task = dumps({"limits": asdict(limits), "files": files, **root})
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
    return replace(manifest, attention=tuple(moved), maps=Root(folder))


def _files(manifest: Manifest, targets: Iterable[Path]) -> Iterable[tuple[str, str]]:
    """Yield each pickle with the array to convert it to; put all other files beside the arrays."""
    for source, target in zip(manifest.attention, targets, strict=True):
        target.mkdir()
        with manifest.root.folder(source) as folder, Folder.open(target) as into:
            names = set(folder.names())
            for name in sorted(names):
                kind = next((kind for kind in PICKLES if name.endswith(kind)), None)
                if kind is None:
                    link_or_copy(name, folder, into)
                elif (plain := f"{name.removesuffix(kind)}.npy") not in names:
                    yield str(source.absolute() / name), str(target / plain)
