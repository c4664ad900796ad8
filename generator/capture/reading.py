"""Runs the attention functions of a model's layers as they are, and reads from each call what capture needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import Tensor
from torch.nn import functional

from generator.capture.arguments import DiffusersArguments, TorchArguments
from generator.capture.attention import AttentionCall, Ran
from generator.capture.backends import BACKENDS, UNKNOWN, Backend, LogSum, active
from generator.capture.dispatch import dispatched
from generator.capture.exactness import difference
from generator.capture.kernels import UNFUSED, LogSumKernels, name_of
from generator.capture.observed import Attention
from generator.capture.replacing import original
from generator.capture.running import attending_with, here
from generator.capture.verified import Verified, kind_of
from generator.errors import CaptureError

Reads = Callable[..., tuple[Tensor, AttentionCall]]
"""Calls an attention function; returns its output and what capture needs of the call."""

TORCH_ATTENTION = "scaled_dot_product_attention"


@dataclass(frozen=True)
class _Result:
    """What an attention function returned, and how it was computed."""

    output: Tensor
    log_sum: Tensor | None
    kernel: str
    is_torchs: bool = False
    is_exact: bool = True
    is_fused: bool = True
    """Whether it is one kernel, which torch.compile does not take apart."""


class AttentionReader:
    """Calls attention functions; their outputs stay the same to the last bit.

    The log-sum-exp is taken where it is told. What kernels other than torch's own compute is compared with the exact
    softmax, at the first call of each layer.
    """

    def __init__(self) -> None:
        self._kernels = LogSumKernels(original(functional, TORCH_ATTENTION))
        self._verified = Verified()
        self._compared_layers: dict[tuple[str, str], Ran] = {}

    def of(self, layer: str, function: Attention, *, heads_first: bool) -> Reads:
        """Return a function that calls an attention function inside a layer, with the same arguments.

        It raises a CaptureError if capture does not know what is computed.

        Args:
            layer: name of the layer
            function: torch's `scaled_dot_product_attention`, diffusers' ``dispatch_attention_fn``, or what replaced it
            heads_first: whether it is that of torch, which takes [sample, head, token, dim]

        """
        return partial(self._read_torchs, layer) if heads_first else partial(self._read_diffusers, layer, function)

    def _read_torchs(self, layer: str, *args: object, **kwargs: object) -> tuple[Tensor, AttentionCall]:
        given = TorchArguments(*args, **kwargs)  # type: ignore[arg-type]
        return self._read(layer, given, self._by_kernels(partial(self._kernels, *args, **kwargs)))

    def _read_diffusers(
        self, layer: str, function: Attention, *args: object, **kwargs: object
    ) -> tuple[Tensor, AttentionCall]:
        given = DiffusersArguments(*args, **kwargs)  # type: ignore[arg-type]
        plain = partial(function, *args, **kwargs)
        if function is not dispatch_attention_fn:
            result = _Result(plain(), None, name_of(function), is_fused=_is_left_whole(function))
            return self._read(layer, given, result)
        name = active(given.backend)
        backend = BACKENDS.get(name, UNKNOWN)
        if backend.log_sum is LogSum.OWN_KERNEL:
            with dispatched(functional, TORCH_ATTENTION), attending_with(self._kernels):
                return self._read(layer, given, self._by_kernels(plain))
        # With other arguments, such as a sliding window, the log-sum-exp is not that of all keys.
        if backend.log_sum is LogSum.ASKED and not given.attention_kwargs:
            return self._read(layer, given, self._asked(name, backend, given, plain))
        result = _Result(plain(), None, name, is_exact=backend.is_exact, is_fused=backend.is_fused)
        return self._read(layer, given, result)

    def _by_kernels(self, run: Callable[[], Tensor]) -> _Result:
        self._kernels.take()
        output = run()
        kernel, is_torchs = self._kernels.kernel, self._kernels.is_torchs_own
        is_fused = kernel != UNFUSED if is_torchs else _is_left_whole(self._kernels.function)
        return _Result(output, self._kernels.take(), kernel, is_torchs, is_fused=is_fused)

    def _asked(self, name: str, backend: Backend, given: DiffusersArguments, plain: Callable[..., Tensor]) -> _Result:
        """Run a backend that returns the log-sum-exp on request."""

        def way() -> tuple[Tensor, Tensor]:
            output, log_sum, *_ = plain(attention_kwargs={backend.request: True})
            if not isinstance(log_sum, torch.Tensor):
                raise TypeError(f"{name} returned no log-sum-exp")
            return given.heads_first(output), log_sum

        call = given.call()
        output, log_sum = self._verified.run((name, *kind_of(call)), call, [way], lambda: given.heads_first(plain()))
        return _Result(given.heads_first(output), log_sum, name, is_exact=backend.is_exact)

    def _read(self, layer: str, given: TorchArguments, result: _Result) -> tuple[Tensor, AttentionCall]:
        if result.is_torchs:
            given = given.as_computed()
        call = given.call()
        value = given.heads_first(given.value)
        _refuse_other_output(result, given, (*call.query.shape[:3], value.shape[3]))
        _refuse_other_fusion(result)
        log_sum = result.log_sum
        if log_sum is not None and log_sum.shape != call.query.shape[:3]:
            log_sum = None
        call = replace(call, log_sum=log_sum, ran=Ran(result.kernel))
        if not result.is_torchs:
            ran = self._compared(layer, result, call, value, given.heads_first(result.output))
            call = replace(call, ran=ran)
        return result.output, call

    def _compared(self, layer: str, result: _Result, call: AttentionCall, value: Tensor, output: Tensor) -> Ran:
        where = layer, result.kernel
        if where not in self._compared_layers:
            error, is_rounding = difference(call, value, output)
            self._compared_layers[where] = Ran(result.kernel, result.is_exact and is_rounding, error)
        return self._compared_layers[where]


def _is_left_whole(function: Attention) -> bool:
    """Whether a function that replaced another one is marked with `torch.compiler.disable`, as that of sage is."""
    return bool(getattr(function, "_torchdynamo_disable", False))


def _refuse_other_fusion(result: _Result) -> None:
    """Refuse what torch.compile would fuse with other operations, but cannot during capture."""
    if here().is_compiled and not result.is_fused:
        raise CaptureError(
            f"found attention by {result.kernel} in a network compiled with torch.compile; expected a fused kernel. "
            "The compiler takes this function apart and fuses it with other operations, but not during capture: the "
            "last bits of the video would change. Let torch choose its kernel, do not compile, or do not capture"
        )


def _refuse_other_output(result: _Result, given: TorchArguments, expected: tuple[int, ...]) -> None:
    output = result.output
    if not isinstance(output, torch.Tensor) or given.heads_first(output).shape != expected:
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__qualname__
        raise CaptureError(
            f"{result.kernel}, which stands in for the attention function, returned {found}; expected a tensor with "
            "the shape of the query. Capture cannot tell what it computes: remove it, or generate without capture"
        )
