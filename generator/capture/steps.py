"""Tells which denoising step, of which guidance branches, a call of a denoising network computes."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from torch import Tensor

from generator.capture.maps import BRANCHES, CONDITIONAL, UNCONDITIONAL
from generator.capture.taps import CallContext
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

    def __init__(self, model: VideoModel, kept: Sequence[str]) -> None:
        """Count the steps of ``model``; of each, the branches ``kept`` are wanted."""
        self.begun: Counter[str] = Counter()
        """Number of begun steps by branch."""
        self.seen: dict[str, set[int]] = defaultdict(set)
        """Numbers of the finished steps by branch, including gaps."""
        self.branch_source = ""
        """Source of a call's guidance branch: ``cache_context`` or ``halves of the batch``."""
        self.passes = model.passes()
        """How often the pipeline denoises."""
        self._model = model
        self._kept = kept
        self._pass = 0
        self._timesteps: Tensor | None = None

    @property
    def announced(self) -> int:
        """Number of steps that the pipeline's scheduler announces, known as soon as denoising has begun; else 0."""
        timesteps = getattr(self._model.pipe.scheduler, "timesteps", None)
        return 0 if timesteps is None else len(timesteps)

    @property
    def complete(self) -> int:
        """Number of steps in which every kept branch was computed."""
        return min(len(self.seen[branch]) for branch in self._kept)

    def begin(self, context: CallContext, batch: int) -> dict[str, int]:
        """Return the number of the step in each branch of the call, in the order of its samples; empty if none counts.

        Raises:
            CaptureError: if the branches are unknown, the scheduler announced no such step, or the step before lacked
                a branch to keep.

        """
        if self.passes > 1 and not self._is_last_pass():
            return {}
        steps = {}
        for branch in self._branches(context, batch):
            steps[branch] = self.begun[branch] if context.step is None else context.step
            self.begun[branch] += 1
        if max(self.begun.values()) > self.announced:
            raise CaptureError(
                f"the scheduler announced {self.announced} denoising steps, and the pipeline began another one after "
                "them; expected a pipeline that denoises once. The maps show the announced steps; for maps of all, "
                "call a pipeline that denoises once"
            )
        if max(steps.values()) == 1 and self._is_not_guided:
            raise CaptureError(NOT_GUIDED)
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

    def _branches(self, context: CallContext, batch: int) -> tuple[str, ...]:
        """Return the branches of a call's samples, in order."""
        if context.branch in BRANCHES and batch == 1:
            self.branch_source = "cache_context"
            return (context.branch,)
        if self._model.guidance_in_one_batch and (batch == 1 or (batch == len(BRANCHES) and self._is_guided)):
            self.branch_source = "halves of the batch"
            return (CONDITIONAL,) if batch == 1 else (UNCONDITIONAL, CONDITIONAL)
        if context.branch is None and not self._model.guidance_in_one_batch:
            raise CaptureError(
                "a denoising network was called outside of `cache_context`, which names the guidance branch. "
                "Use a pipeline of diffusers 0.42"
            )
        raise CaptureError(
            f"found a batch of {batch} latent videos; expected one video and its guidance branches. "
            "Generate one video at a time"
        )

    @property
    def _is_guided(self) -> bool:
        """Whether the pipeline uses guidance; a dynamic scale may drop to 1 in later steps."""
        return self.begun[UNCONDITIONAL] > 0 or self._model.pipe.guidance_scale > 1
