"""Muon, an optimiser for matrices: momentum whose singular values are all made alike (Keller Jordan, 2024).

Torch has one too, for two dimensions only; here the kernels of convolutions are matrices as well, one row per output
channel. Everything that is no matrix (biases, norms, embeddings) is Adam's, in the same object.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration, from the author's description."""


class Muon(torch.optim.Optimizer):
    """Muon for matrices and kernels, Adam for the rest; ``lr`` and ``adam_lr`` are set apart.

    A matrix's step is scaled by sqrt(max(1, rows / columns)), so one rate fits all shapes.
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
        """Set both learning rates to ``factor`` of what they began as."""
        for group in self.param_groups:
            group["lr"] = group["full"] * factor

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay.

        Raises:
            TypeError: for a ``closure``, which other optimisers evaluate the loss with again.

        """
        if closure is not None:
            raise TypeError("found a closure; expected gradients that are there already: call backward before step")
        for group in self.param_groups:
            step = _muon_step if group["muon"] else _adam_step
            for parameter in group["params"]:
                if parameter.grad is not None:
                    step(parameter, self.state[parameter], group)


def _muon_step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    gradient = parameter.grad
    assert gradient is not None  # noqa: S101 - for the type checker, and the caller has looked
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
    """Set all singular values of ``matrix`` near 1, by Newton-Schulz iteration."""
    a, b, c = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
