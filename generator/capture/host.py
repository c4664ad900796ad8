"""Copies results from the device to the host while the device computes the next denoising step."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

Deliver = Callable[[list[Tensor]], None]
Wait = Callable[[], list[Tensor]]


class HostCopies:
    """Delivers copies of tensors on the host, in order.

    Tensors that are on the host already are delivered at once. Those of a GPU are copied on a stream of their own, and
    delivered at the next call: by then they have arrived, so that the GPU never waits for the host.
    """

    def __init__(self) -> None:
        self._pending: tuple[Wait, Deliver] | None = None

    def put(self, tensors: Sequence[Tensor], deliver: Deliver) -> None:
        """Deliver what is pending, and begin to copy ``tensors`` for ``deliver``."""
        self.flush()
        if _is_on_gpu(tensors[0]):
            self._pending = begin_copy(tensors), deliver
        else:
            deliver([tensor.cpu() for tensor in tensors])

    def flush(self) -> None:
        """Wait for the pending copies and deliver them."""
        pending, self._pending = self._pending, None
        if pending is not None:
            wait, deliver = pending
            deliver(wait())


def _is_on_gpu(tensor: Tensor) -> bool:
    return tensor.is_cuda


def begin_copy(tensors: Sequence[Tensor]) -> Wait:
    """Begin to copy tensors of a GPU into pinned memory; return a function that waits for the copies."""
    device = tensors[0].device
    stream = _stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    copies = []
    with torch.cuda.stream(stream):
        for tensor in tensors:
            tensor.record_stream(stream)  # its memory is not reused before it has been copied
            copies.append(torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True))
            copies[-1].copy_(tensor, non_blocking=True)
        done = stream.record_event()

    def wait() -> list[Tensor]:
        done.synchronize()
        return [copy.clone() for copy in copies]  # pinned memory is scarce, and kept steps may be many

    return wait


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of all copies from a device."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
