"""Tells which denoising step, of which guidance branches, a call of a denoising network computes."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from generator.capture.branches import Branches
from generator.capture.maps import UNCONDITIONAL
from generator.capture.taps import NetworkCall
from generator.errors import CaptureError
from generator.models.contract import VideoModel

NOT_GUIDED = (
    "the unconditional branch was not computed, so its attention cannot be kept: the video was generated "
    "without guidance. Use a guidance scale above 1, or keep only the conditional branch"
)


class Steps:
    """Counts the denoising steps of one video.

    Some pipelines denoise several times, each time from the result before; only the steps of the last time count.
    """

    def __init__(self, model: VideoModel, kept: Sequence[str], branches: Branches) -> None:
        """Count the steps of ``model``; of each, the branches ``kept`` are wanted."""
        self.begun: Counter[str] = Counter()
        """Number of begun steps by branch."""
        self.seen: dict[str, set[int]] = defaultdict(set)
        """Numbers of the finished steps by branch, including gaps."""
        self.passes = model.passes()
        """How often the pipeline denoises."""
        self._model = model
        self._kept = kept
        self._branches = branches
        self._first_times: dict[str, Tensor] = {}
        self._pass = 0
        self._timesteps: Tensor | None = None

    @property
    def branch_source(self) -> str:
        """How the branch of a call is known (`Branches.source`)."""
        return self._branches.source

    @property
    def announced(self) -> int:
        """Number of steps that the pipeline announces, known as soon as denoising has begun; else 0."""
        return self._model.announced()

    @property
    def complete(self) -> int:
        """Number of steps in which every kept branch was computed."""
        return min(len(self.seen[branch]) for branch in self._kept)

    def begin(self, call: NetworkCall) -> dict[str, int]:
        """Return the number of the step in each branch of a call, in the order of its samples; empty if none counts.

        Raises:
            CaptureError: if the branches are unknown, the pipeline announced no such step, it computes the first one
                twice, or the step before lacked a branch to keep.

        """
        if self.passes > 1 and not self._is_last_pass():
            return {}
        steps = {}
        for branch in self._branches.of(call, self.begun):
            steps[branch] = self.begun[branch] if call.step is None else call.step
            self.begun[branch] += 1
        if not steps:
            return {}
        if max(self.begun.values()) > self.announced:
            raise CaptureError(
                f"the pipeline announced {self.announced} denoising steps, and began another one after "
                "them; expected a pipeline that denoises once. The maps show the announced steps; for maps of all, "
                "call a pipeline that denoises once"
            )
        if max(steps.values()) == 1 and self._is_not_guided:
            raise CaptureError(NOT_GUIDED)
        self._refuse_same_time(steps, call.arguments.get("timestep"))
        return steps

    def missing(self) -> str | None:
        """Describe what a finished video lacks; None if it lacks nothing."""
        if not any(self.begun.values()):
            return (
                "no denoising step was captured: the pipeline did not call its denoising networks in the thread that "
                "called it. Use a pipeline of diffusers 0.42"
            )
        if self._is_not_guided:
            return NOT_GUIDED
        if self.complete < self.announced:
            was = "was interrupted" if getattr(self._model.pipe, "interrupt", False) else "skipped some"
            return (
                f"found {self.complete} of {self.announced} denoising steps, because the pipeline {was}; expected all. "
                "Generate the video again for maps of all steps"
            )
        return None

    def _refuse_same_time(self, steps: dict[str, int], time: object) -> None:
        """Refuse a second step at the timestep of the first: the pipeline's steps are not what is counted.

        A video that is given whole has the timestep 0 in all steps.
        """
        for branch, step in steps.items():
            first = self._first_times.get(branch)
            if not isinstance(time, Tensor) or step > 1:
                continue
            if step == 0 and first is None:
                self._first_times[branch] = time.clone()
            elif first is not None and first.shape == time.shape and torch.equal(first, time) and time.any():
                raise CaptureError(
                    f"found two calls of the denoising network for the {branch} branch at the timestep "
                    f"{float(time.flatten()[0]):g}; expected one in each denoising step. Capture cannot tell the steps "
                    "of this pipeline: use a pipeline of diffusers 0.42, or generate without capture"
                )

    @property
    def _is_not_guided(self) -> bool:
        return UNCONDITIONAL in self._kept and not self.begun[UNCONDITIONAL]

    def _is_last_pass(self) -> bool:
        """Whether the pipeline denoises for the last time; each time, it sets the timesteps anew."""
        timesteps = self._model.pipe.scheduler.timesteps
        if timesteps is not self._timesteps:
            self._timesteps = timesteps
            self._pass += 1
        return self._pass == self.passes
