"""Records how much attention a model pays to the tracked words while it generates a video.

The recorder receives the model's own query and key where its attention processor passes them to the attention function
(`generator.capture.taps`): after normalisation and rotary embedding, whatever the kernel. The network is neither
changed nor run again, so the video stays identical to the last bit. `generator.capture.attention` computes the
probabilities of the tracked columns. Rows are latent tokens; the softmax runs over all keys, including padding and, in
joint attention, the latent tokens.

Every call of every text attention layer is counted (`generator.capture.layers`). A layer that was not called
exactly once is an error. The exception is a diffusers cache, which skips layers on purpose: then the step is recorded
as a gap and never filled. The device is read back once per step and branch, never per layer, and while it computes the
next one (`generator.capture.host`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.capture.columns import TrackedColumns
from generator.capture.host import HostCopies
from generator.capture.layers import TextLayers
from generator.capture.maps import BRANCHES, CONDITIONAL, UNCONDITIONAL, Keep, LayerMaps, Mean, StepMaps
from generator.capture.taps import CallContext, tapped
from generator.errors import CaptureError
from generator.models.contract import LatentGrid, VideoModel
from generator.prompts.tokens import TrackedWord

OnMaps = Callable[[StepMaps], None]
"""Called with the maps of a step in one branch: at its end, or, if they come from a GPU, at the end of the next one."""


@dataclass
class _Call:
    """A running call of a denoising network; ``steps`` maps each branch that it computes, in order, to its step."""

    denoiser: str
    steps: Mapping[str, int]
    maps: Mapping[str, LayerMaps]
    samples: Counter[str] = field(default_factory=Counter)
    """Samples that the attention function received, by layer."""


class Recorder:
    """The captured attention of one video.

    ``names`` label the first axis of all maps (`TrackedColumns`). ``grid`` is the grid of the kept maps.
    """

    def __init__(
        self,
        model: VideoModel,
        words: Sequence[TrackedWord],
        grid: LatentGrid,
        keep: Keep,
        *,
        prompts: Mapping[str, str],
        on_maps: OnMaps | None,
    ) -> None:
        self.words = tuple(words)
        self._tracked = TrackedColumns(model, words, grid, keep, prompts)
        self.names = self._tracked.names
        self.grid = keep.grid(grid)
        self.keep = keep
        self.steps: list[StepMaps] = []
        """Kept maps, unless ``on_maps`` receives them."""
        self.gaps: list[dict[str, object]] = []
        """Steps that a cache skipped in whole or in part."""
        self.branch_source = ""
        """Source of a call's guidance branch: ``cache_context`` or ``halves of the batch``."""
        self.heads = 0
        self._model = model
        self._model_grid = grid
        self._on_maps = on_maps or self.steps.append
        self._layers = TextLayers(model, keep)
        self._means = {branch: Mean() for branch in keep.branches}
        self._begun: Counter[str] = Counter()
        self._seen: dict[str, set[int]] = defaultdict(set)
        self._complete = 0
        self._copies = HostCopies()
        self._call: _Call | None = None

    @property
    def layers(self) -> int:
        """Number of text attention layers in each denoising step."""
        return self._layers.count

    @property
    def steps_seen(self) -> int:
        """Number of denoising steps in which every kept branch was computed, including gaps."""
        return min(len(self._seen[branch]) for branch in self.keep.branches)

    def aggregated(self, branch: str = CONDITIONAL) -> Tensor | None:
        """Return the mean over all steps, layers and heads: ``[name, frame, height, width]``, float32, on the CPU."""
        return self._means[branch].value

    def summary(self) -> dict[str, object]:
        """Return statistics about the capture itself, for the manifest."""
        calls = sum(len(steps) for steps in self._seen.values())
        described: dict[str, object] = {
            "layers": self.layers,
            "layers_kept": list(self._layers.kept),
            "heads": self.heads,
            "steps": self.steps_seen,
            "calls": self._complete,
            "expected_calls": calls * self.layers,
            "branches": list(self.keep.branches),
            "branch_source": self.branch_source,
            "gaps": self.gaps,
            **self._tracked.report.summary(),
        }
        if self._tracked.check is not None:
            described["self_check"] = self._tracked.check.summary()
        return described

    def begin(self, denoiser: str, context: CallContext, batch: int) -> None:
        """Prepare for a call of ``denoiser``: determine its guidance branches and their steps."""
        steps = {}
        for branch in self._branches(context, batch):
            steps[branch] = self._begun[branch] if context.step is None else context.step
            self._begun[branch] += 1
        wanted = [branch for branch in self.keep.branches if branch in steps and self.keep.needs_step(steps[branch])]
        maps = {branch: LayerMaps(self.keep, self._model_grid, len(self._layers.kept)) for branch in wanted}
        self._call = _Call(denoiser, steps, maps)

    def end(self) -> None:
        """Check a finished call of a denoising network and keep its maps."""
        call, self._call = self._call, None
        if call is None:
            return
        kept = [branch for branch in call.steps if branch in self.keep.branches]
        whole = not kept or self._is_whole(call, kept)
        for branch in kept:
            self._seen[branch].add(call.steps[branch])
            if whole:
                self._complete += self.layers
                self._finish(call, branch)

    @torch.no_grad()
    def see(self, layer: str, call: AttentionCall) -> None:
        """Record one call of a layer's attention function if its keys include the text."""
        if self._call is None or self._tracked.is_of_image(call):
            return
        first = self._call.samples[layer]
        self._call.samples[layer] += len(call.query)
        place = self._layers.place(self._call.denoiser, layer)
        if place is None:
            return
        each = self._tracked.samples
        for number, branch in enumerate(self._call.steps):
            start, stop = number * each - first, (number + 1) * each - first
            if branch in self._call.maps and stop > 0 and start < len(call.query):
                samples = slice(max(start, 0), stop)
                found = self._tracked.probabilities(call, samples, branch, layer)
                self.heads = self._call.maps[branch].add(place, found)

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
        return self._begun[UNCONDITIONAL] > 0 or self._model.pipe.guidance_scale > 1

    def _is_whole(self, call: _Call, branches: Sequence[str]) -> bool:
        """Whether every layer was called exactly once; if a cache skipped layers, record a gap in each branch."""
        once = len(call.steps) * self._tracked.samples
        calls = {layer: samples / once for layer, samples in call.samples.items()}
        skipped = self._layers.skipped(call.denoiser, call.steps[branches[0]], calls)
        if skipped:
            self.gaps += [
                {"index": call.steps[branch], "branch": branch, "model": call.denoiser, "layers": skipped}
                for branch in branches
            ]
        return not skipped

    def _finish(self, call: _Call, branch: str) -> None:
        """Keep the maps of a step in one branch."""
        gathered = call.maps.get(branch)
        maps = None if gathered is None else gathered.maps()
        if maps is None:
            return
        step = call.steps[branch]
        if self.keep.aggregated:
            self._means[branch].add(maps.mean((1, 2)))
        checks = [torch.isfinite(maps).all(), self._tracked.take_error(maps)]
        kept = [maps.to(self.keep.dtype)] if self.keep.keeps_step(step) else []

        def deliver(copies: list[Tensor]) -> None:
            self._judge(step, *copies[:2])
            for copy in copies[2:]:
                self._on_maps(StepMaps(step, call.denoiser, branch, copy))

        self._copies.put([*checks, *kept], deliver)

    def _judge(self, step: int, is_finite: Tensor, error: Tensor) -> None:
        """Check the maps of all layers at once."""
        if not is_finite.item():
            raise CaptureError(
                f"denoising step {step}: attention is not a number. Either the model's activations overflow: try "
                "another dtype or seed. Or an attention mask leaves a token without any key: generate without that mask"
            )
        self._tracked.note_error(error)

    def conclude(self) -> None:
        """Deliver the last maps; raise CaptureError if a branch to keep, or every whole step, is missing."""
        self._copies.flush()
        missing = [branch for branch in self.keep.branches if not self._seen[branch]]
        if missing == [UNCONDITIONAL] and (self._begun[CONDITIONAL] or len(self.keep.branches) > 1):
            raise CaptureError(
                "the unconditional branch was not computed, so its attention cannot be kept: the video was generated "
                "without guidance. Use a guidance scale above 1, or keep only the conditional branch"
            )
        if missing:
            raise CaptureError(
                "no denoising step was captured: the pipeline did not call its denoising networks. "
                "Use a pipeline of diffusers 0.42"
            )
        if not self._complete:
            raise CaptureError(
                f"no denoising step was captured completely: the cache of the network skipped layers in all "
                f"{self.steps_seen} steps. Switch it off with `disable_cache`, or generate without capture"
            )


@contextmanager
def capture(
    model: VideoModel,
    words: Sequence[TrackedWord],
    grid: LatentGrid,
    keep: Keep | None = None,
    *,
    prompts: Mapping[str, str] | None = None,
    on_maps: OnMaps | None = None,
) -> Iterator[Recorder]:
    """Record the attention to ``words`` in the one video that is generated inside the context.

    On leaving, also by an exception, the model is exactly as before.

    Args:
        model: the model that generates the video
        words: the tracked words of its prompt
        grid: the latent grid of the video
        keep: what to keep; by default `Keep()`
        prompts: the prompt of each branch; needed to keep the mass of padding and end-of-text token
        on_maps: called with the maps of each step, in order, instead of adding to ``recorder.steps``

    Raises:
        CaptureError: inside, as soon as a layer was not called exactly once; on leaving, if nothing was captured.

    """
    recorder = Recorder(model, words, grid, keep or Keep(), prompts=prompts or {}, on_maps=on_maps)
    with tapped(model, recorder):
        yield recorder
    recorder.conclude()
