"""Runs attention with the kernel that torch would choose, and also obtains its log-sum-exp.

Every fused kernel normalises a row by the sum of the exponentials of its scores. The operators that implement
`scaled_dot_product_attention` return the logarithm of that sum along with the same output. With it, a few columns of
the attention map cost almost nothing; without it, the scores of all keys must be computed a second time.
"""

from collections.abc import Callable
from functools import partial
from types import FunctionType

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from generator.capture.arguments import TorchArguments
from generator.capture.attention import AttentionCall
from generator.capture.operators import OPERATORS, TORCHS_OWN, Operator, chosen
from generator.capture.verified import AXES, Verified, kind_of

UNNAMED = "scaled_dot_product_attention"
"""Name of the kernel where torch does not tell which one it chooses."""
UNFUSED = SDPBackend.MATH.name.lower()
"""Name of the kernel that is a series of operators."""
TORCH_KERNELS = {UNNAMED, *(name.lower() for name in SDPBackend.__members__)}
"""Names of torch's own kernels."""


class LogSumKernels:
    """Computes ``torch.nn.functional.scaled_dot_product_attention`` and remembers the log-sum-exp of the last call.

    ``function`` is torch's own, or what replaced it: that is called with the very arguments it is given, and its
    log-sum-exp stays unknown. ``kernel`` names what computed the last call's output.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self.kernel = UNNAMED
        self._verified = Verified()
        self._log_sum: Tensor | None = None
        self._calls = 0

    @property
    def is_torchs_own(self) -> bool:
        """Whether the function is torch's own."""
        return self.function is TORCHS_OWN

    def take(self) -> Tensor | None:
        """Return and forget the log-sum-exp of the only call since the last time; None if it is unknown.

        It is float32 ``[sample, head, row]``.
        """
        found, calls = self._log_sum, self._calls
        self._log_sum, self._calls = None, 0
        return found if calls == 1 else None

    def __call__(self, *args: object, **kwargs: object) -> Tensor:
        """Compute attention, identical to ``function`` to the last bit."""
        self._log_sum = None
        self._calls += 1
        if not self.is_torchs_own:
            self.kernel = name_of(self.function)
            return self.function(*args, **kwargs)
        self.kernel = UNNAMED
        given = TorchArguments(*args, **kwargs)  # type: ignore[arg-type]
        plain = partial(self.function, *args, **kwargs)
        computed = given.as_computed()
        call = computed.call() if given.is_plain else None
        if call is None or call.query.ndim != AXES or call.query.device.type not in _KNOWN_DEVICES:
            return plain()
        kernel = chosen(call, computed.value)
        self.kernel = kernel.name.lower()
        ways = [partial(operator, call, computed.value) for operator in _operators(kernel, call)]
        kind = kernel, computed.value.shape, computed.value.stride(), *kind_of(call)
        output, self._log_sum = self._verified.run(kind, call, ways, plain)
        return output


def name_of(function: Callable[..., object]) -> str:
    """Return the full name of what runs: of a wrapper, which bears the name of what it wraps, its own."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, FunctionType):
        return f"{function.__globals__.get('__name__')}.{function.__code__.co_qualname}"
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


_KNOWN_DEVICES = {device for device, _ in OPERATORS}


def _operators(kernel: SDPBackend, call: AttentionCall) -> tuple[Operator, ...]:
    """Return the operators of a kernel; none if its log-sum-exp is missing or inexact."""
    device = call.query.device.type
    if device == "cpu" and call.query.dtype != torch.float32:
        # The CPU kernel uses a fast exponential. Measured errors of its log-sum-exp: 5e-7 in float32, 1.3e-6 if most
        # keys are equal, like padding, and 4e-5 in half precision.
        return ()
    return OPERATORS.get((device, kernel), ())
