"""Exact products of matrices, whatever the calling script enabled to make its own faster.

torch has one setting for all threads. It is changed only where a script did enable something, and only while capture
computes; the last of several threads that capture restores it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_COARSE: frozenset[object] = frozenset({"tf32", "bf16"})
_CUDA, _CPU = (backend.matmul for backend in (torch.backends.cuda, torch.backends.mkldnn))
_SETTINGS: tuple[tuple[object, str, frozenset[object], object], ...] = (
    (_CUDA, "fp32_precision", _COARSE, "ieee"),
    (_CPU, "fp32_precision", _COARSE, "ieee"),
    (_CUDA, "allow_fp16_accumulation", frozenset({True}), False),
)
"""Owner and name of each setting, its values that are not exact, and the exact one. Sums of halves that are stored as
halves on the way (`allow_fp16_reduced_precision_reduction`) do not matter: capture's products are stored in float32."""

_lock = threading.RLock()
_inside: set[object] = set()
_changed: list[tuple[object, str, object, object]] = []


@contextmanager
def exact_products(device: str) -> Iterator[None]:
    """Add up products in full float32 inside the context, even under autocast."""
    user = object()
    with torch.autocast(device, enabled=False):
        try:
            _enter(user)
            yield
        finally:
            _leave(user)


def _enter(user: object) -> None:
    with _lock:
        _inside.add(user)
        for owner, name, coarse, exact in _SETTINGS:
            found = getattr(owner, name)
            if found in coarse:
                _changed.append((owner, name, found, exact))
                setattr(owner, name, exact)


def _leave(user: object) -> None:
    with _lock:
        _inside.discard(user)
        while _changed and not _inside:
            owner, name, before, exact = _changed.pop()
            if getattr(owner, name) == exact:  # nobody has changed it since
                setattr(owner, name, before)
