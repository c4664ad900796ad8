"""Runs one phase of training, which can be interrupted at any time and resumed.

A sample is determined by its step and its number in the batch, so a resumed run gives the same result as an
uninterrupted one, with any number of workers. Workers are threads of one core each that share the samples of a batch.
On a busy machine this wastes much less time than sharing every operation, which waits for the slowest core each time.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from generator.tiny.muon import Muon

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS, REPORT_SECONDS = 150, 20

COOL_DOWN = 0.3
"""Share of the steps in which the learning rates fall to zero."""

MEAN = 0.998
"""Decay of the running mean of the weights per step."""


@dataclass(frozen=True)
class Phase:
    """The modules to train, and their loss.

    ``batch_of(step)`` is the number of samples in a step, ``loss_of(step, samples)`` the mean loss of some of them.
    """

    name: str
    modules: Sequence[nn.Module]
    batch_of: Callable[[int], int]
    loss_of: Callable[[int, range], Tensor]
    steps: int
    lr: float
    adam_lr: float
    warm_up: int = 50

    def rate(self, step: int) -> float:
        """Return the factor of the learning rates in a step: warm-up, plateau, cool-down."""
        rise = (step + 1) / self.warm_up
        fall = (self.steps - step) / (COOL_DOWN * self.steps)
        return min(1.0, rise, fall)


class Descent:
    """Trains a phase; the result is the running mean of the weights."""

    def __init__(self, phase: Phase, folder: Path, workers: int) -> None:
        self.phase = phase
        self.step = 0
        self._file = folder / f"{phase.name}.checkpoint.pt"
        self._workers = workers
        self._optimizer = Muon(phase.modules, lr=phase.lr, adam_lr=phase.adam_lr)
        self._weights = [weight for module in phase.modules for weight in module.parameters()]
        self._mean = [weight.detach().clone() for weight in self._weights]
        if self._file.exists():
            self._load()

    def run(self) -> None:
        """Run the remaining steps, then copy the mean weights into the modules."""
        with ThreadPoolExecutor(self._workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            self._descend(pool)
        with torch.no_grad():
            for weight, mean in zip(self._weights, self._mean, strict=True):
                weight.copy_(mean)

    def _descend(self, pool: ThreadPoolExecutor) -> None:
        saved = reported = time.monotonic()
        begun, first, losses = reported, self.step, []
        while self.step < self.phase.steps:
            losses.append(self._take_step(pool))
            self.step += 1
            now, last = time.monotonic(), self.step == self.phase.steps
            if now - reported >= REPORT_SECONDS or last:
                pace = (now - begun) / (self.step - first)
                self._report(sum(losses) / len(losses), pace)
                reported, losses = now, []
            if now - saved >= CHECKPOINT_SECONDS or last:
                self._save()
                saved = now

    def _take_step(self, pool: ThreadPoolExecutor) -> float:
        batch = self.phase.batch_of(self.step)
        shares = [range(worker, batch, self._workers) for worker in range(min(batch, self._workers))]
        found = list(pool.map(self._gradients, shares))
        parts = [len(share) / batch for share in shares]
        for weight, *gradients in zip(self._weights, *(gradients for _, gradients in found), strict=True):
            known = [gradient * part for gradient, part in zip(gradients, parts, strict=True) if gradient is not None]
            weight.grad = torch.stack(known).sum(0) if known else None
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.scale(self.phase.rate(self.step))
        self._optimizer.step()
        kept = min(MEAN, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._mean, [weight.detach() for weight in self._weights], 1 - kept)
        return sum(loss * part for (loss, _), part in zip(found, parts, strict=True))

    def _gradients(self, samples: range) -> tuple[float, tuple[Tensor | None, ...]]:
        loss = self.phase.loss_of(self.step, samples)
        return loss.item(), torch.autograd.grad(loss, self._weights, allow_unused=True)

    def _report(self, loss: float, pace: float) -> None:
        left = (self.phase.steps - self.step) * pace / 60
        log.info(
            "%s: step %d of %d, loss %.4f, %.2f s per step, %.0f min left",
            self.phase.name,
            self.step,
            self.phase.steps,
            loss,
            pace,
            left,
        )

    def _save(self) -> None:
        """Write a temporary file and rename it, so that the checkpoint is always complete."""
        state = {
            "step": self.step,
            "weights": self._weights,
            "mean": self._mean,
            "optimizer": self._optimizer.state_dict(),
        }
        unfinished = self._file.with_suffix(".tmp")
        torch.save(state, unfinished)
        unfinished.replace(self._file)

    def _load(self) -> None:
        state = torch.load(self._file, weights_only=True, map_location=self._weights[0].device)
        self.step, self._mean = state["step"], state["mean"]
        self._optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for weight, kept in zip(self._weights, state["weights"], strict=True):
                weight.copy_(kept)
        log.info("%s: resuming after step %d of %d", self.phase.name, self.step, self.phase.steps)
