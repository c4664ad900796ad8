"""Muon, an optimiser for matrices that orthogonalises their momentum (Keller Jordan, 2024).

Torch has a version for two dimensions only. This one also treats convolution kernels as matrices, with one row per
output channel, and optimises everything else (biases, norms, embeddings) with Adam.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration, as published by the author."""


class Muon(torch.optim.Optimizer):
    """Muon for matrices and kernels with rate ``lr``, Adam for the rest with rate ``adam_lr``.

    A matrix's step is scaled by sqrt(max(1, rows / columns)), so that one rate fits all shapes.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        *,
        lr: float,
        adam_lr: float,
        momentum: float = 0.95,
    ) -> None:
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for module in modules:
            embeddings = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
            for parameter in module.parameters():
                matrix = parameter.ndim > 1 and min(len(parameter), parameter[0].numel()) > 1
                (matrices if matrix and id(parameter) not in embeddings else others).append(parameter)
        groups = [
            {"params": matrices, "lr": lr, "full": lr, "muon": True},
            {"params": others, "lr": adam_lr, "full": adam_lr, "muon": False},
        ]
        super().__init__(groups, {"momentum": momentum, "betas": (0.9, 0.98)})

    def scale(self, factor: float) -> None:
        """Set both learning rates to ``factor`` times their initial values."""
        for group in self.param_groups:
            group["lr"] = group["full"] * factor

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay unchanged.

        Raises:
            TypeError: if a ``closure`` is given.

        """
        if closure is not None:
            raise TypeError("found a closure, which is not supported; call backward before step instead")
        for group in self.param_groups:
            step = _muon_step if group["muon"] else _adam_step
            for parameter in group["params"]:
                if parameter.grad is not None:
                    step(parameter, self.state[parameter], group)


def _muon_step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    gradient = parameter.grad
    assert gradient is not None  # noqa: S101 - for the type checker; the caller has checked
    momentum = state.setdefault("momentum", torch.zeros_like(gradient))
    momentum.lerp_(gradient, 1 - group["momentum"])
    update = gradient.lerp(momentum, group["momentum"]).flatten(1)
    rows, columns = update.shape
    update = orthogonal(update) * max(1.0, rows / columns) ** 0.5
    parameter.sub_(update.view_as(parameter), alpha=group["lr"])


def _adam_step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    gradient = parameter.grad
    assert gradient is not None  # noqa: S101
    first = state.setdefault("first", torch.zeros_like(gradient))
    second = state.setdefault("second", torch.zeros_like(gradient))
    state["step"] = state.get("step", 0) + 1
    one, two = group["betas"]
    first.lerp_(gradient, 1 - one)
    second.lerp_(gradient.square(), 1 - two)
    mean, square = first / (1 - one ** state["step"]), second / (1 - two ** state["step"])
    parameter.sub_(mean / (square.sqrt() + 1e-8), alpha=group["lr"])


def orthogonal(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Bring all singular values of ``matrix`` close to 1 by Newton-Schulz iteration."""
    a, b, c = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
