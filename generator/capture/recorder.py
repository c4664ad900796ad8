"""Records how much attention a model pays to the tracked words while it generates a video.

The recorder receives the model's own query and key where its attention processor passes them to the attention function
(`generator.capture.taps`): after normalisation and rotary embedding, whatever the kernel. The network is neither
changed nor run again, so the video stays identical to the last bit. `generator.capture.attention` computes the
probabilities of the tracked columns. Rows are latent tokens; the softmax runs over all keys, including padding and, in
joint attention, the latent tokens.

Every call of every text attention layer is counted (`generator.capture.layers`). A layer that was not called
exactly once is an error: in the first steps it ends the generation, later only the recording. The exception is a
diffusers cache, which skips layers on purpose: then the step is recorded as a gap and never filled. The device is read
back once per step and branch, never per layer, and while it computes the next one (`generator.capture.host`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.capture.branches import Branches
from generator.capture.columns import TrackedColumns
from generator.capture.heard import Heard, hearing
from generator.capture.host import HostCopies
from generator.capture.layers import TextLayers
from generator.capture.maps import CONDITIONAL, Keep, LayerMaps, Mean, StepMaps
from generator.capture.marking import Marking
from generator.capture.placement import Placement, kept_branches
from generator.capture.steps import Steps
from generator.capture.taps import NetworkCall, tapped
from generator.errors import CaptureError, first_line
from generator.models.contract import LatentGrid, VideoModel
from generator.prompts.tokens import TrackedWord

OnMaps = Callable[[StepMaps], None]
"""Called with the maps of a step in one branch: at its end, or, if they come from a GPU, at the end of the next one."""

EARLY = 2
"""An error in so many first steps ends the generation. Later ones end only the recording, to keep the video."""


@dataclass
class _Call:
    """A running call of a denoising network; ``steps`` maps each branch that it computes, in order, to its step."""

    network: NetworkCall
    steps: Mapping[str, int]
    maps: Mapping[str, LayerMaps]
    samples: Counter[str] = field(default_factory=Counter)
    """Samples that the attention function received, by layer."""


class Recorder:
    """The captured attention of one video. ``grid`` is the grid of the kept maps."""

    def __init__(
        self,
        model: VideoModel,
        words: Sequence[TrackedWord],
        grid: LatentGrid,
        keep: Keep,
        *,
        prompts: Mapping[str, str],
        on_maps: OnMaps | None,
        heard: Heard | None = None,
    ) -> None:
        keep = replace(keep, branches=kept_branches(words, keep))
        heard = heard or Heard(None, None)
        self._placement = Placement(model, words, keep, prompts, heard)
        self._tracked = TrackedColumns(model, grid, keep, self._placement)
        self._marking = Marking(model, self._placement, self._tracked, heard)
        self.grid = keep.grid(grid)
        self.keep = keep
        self.steps: list[StepMaps] = []
        """Kept maps, unless ``on_maps`` receives them."""
        self.gaps: list[dict[str, object]] = []
        """Steps that a cache skipped in whole or in part."""
        self.unfinished: str | None = None
        """Why the maps do not show the whole video; None if they do."""
        self.heads = 0
        self._model = model
        self._model_grid = grid
        self._on_maps = on_maps or self.steps.append
        self._layers = TextLayers(model, keep)
        self._means = {branch: Mean() for branch in keep.branches}
        self._steps = Steps(model, keep.branches, Branches(model, heard))
        self._complete = 0
        self._copies = HostCopies()
        self._call: _Call | None = None

    @property
    def words(self) -> tuple[TrackedWord, ...]:
        """The tracked words, at the places that are proven in the first denoising step."""
        return self._placement.words

    def names(self, branch: str = CONDITIONAL) -> tuple[str, ...]:
        """Return the tensor names of FORMAT.md that label the first axis of a branch's maps."""
        return self._placement.names(branch)

    @property
    def layers(self) -> int:
        """Number of text attention layers in each denoising step."""
        return self._layers.count

    @property
    def steps_seen(self) -> int:
        """Number of denoising steps in which every kept branch was computed, including gaps."""
        return self._steps.complete

    def aggregated(self, branch: str = CONDITIONAL) -> Tensor | None:
        """Return the mean over all steps, layers and heads: ``[name, frame, height, width]``, float32, on the CPU."""
        return self._means[branch].value

    def summary(self) -> dict[str, object]:
        """Return statistics about the capture itself, for the manifest."""
        calls = sum(len(steps) for steps in self._steps.seen.values())
        described: dict[str, object] = {
            "layers": self.layers,
            "layers_kept": list(self._layers.kept),
            "heads": self.heads,
            "steps": self.steps_seen,
            "calls": self._complete,
            "expected_calls": calls * self.layers,
            "branches": list(self.keep.branches),
            "branch_source": self._steps.branch_source,
            "gaps": self.gaps,
            "text": self._placement.summary(),
            "marking": self._marking.summary(),
            **self._tracked.summary(self.keep.branches),
        }
        if self._tracked.check is not None:
            described["self_check"] = {**self._tracked.check.summary(), "text": self._placement.summary()}
        if self._steps.passes > 1:
            described["passes"] = self._steps.passes
        if self.unfinished is not None:
            described["incomplete"] = self.unfinished
        return described

    @property
    def is_listening(self) -> bool:
        """Whether events are recorded; not after a late failure."""
        return self.unfinished is None

    def fail(self, error: Exception) -> None:
        """Raise an error in the first steps; later, end the recording and let the video be finished."""
        if max(self._steps.begun.values(), default=0) <= EARLY:
            raise error
        self.unfinished, self._call = first_line(error), None

    @contextmanager
    def _failing_late(self) -> Iterator[None]:
        try:
            yield
        except (CaptureError, MemoryError, torch.OutOfMemoryError) as error:
            self.fail(error)

    def begin(self, call: NetworkCall) -> None:
        """Prepare for a call of a network: determine its guidance branches, their steps and their text."""
        self._call = None
        with self._failing_late():
            steps = self._steps.begin(call)
            self._marking.prove(tuple(steps), call)
            wanted = [name for name in self.keep.branches if name in steps and self.keep.needs_step(steps[name])]
            maps = {branch: LayerMaps(self.keep, self._model_grid, len(self._layers.kept)) for branch in wanted}
            self._call = _Call(call, steps, maps) if steps else None

    def end(self) -> None:
        """Check a finished call of a denoising network and keep its maps."""
        call, self._call = self._call, None
        if call is None:
            return
        with self._failing_late():
            kept = [branch for branch in call.steps if branch in self.keep.branches]
            whole = not kept or self._is_whole(call, kept)
            for branch in kept:
                if whole:
                    self._finish(call, branch)
                    self._complete += self.layers
                self._steps.seen[branch].add(call.steps[branch])

    @torch.no_grad()
    def see(self, layer: str, call: AttentionCall) -> None:
        """Record one call of a layer's attention function if its keys include the text."""
        if self._call is not None and not self._tracked.notes_image(layer, call):
            with self._failing_late():
                self._add(self._call, layer, call)

    def _add(self, running: _Call, layer: str, call: AttentionCall) -> None:
        first = running.samples[layer]
        running.samples[layer] += len(call.query)
        place = self._layers.place(running.network.denoiser, layer)
        if place is None:
            return
        each = self._tracked.samples
        for number, branch in enumerate(running.steps):
            start = running.network.sample(number) * each - first
            stop = start + each
            if branch in running.maps and stop > 0 and start < len(call.query):
                samples = slice(max(start, 0), stop)
                found = self._tracked.probabilities(call, samples, branch, layer)
                self.heads = running.maps[branch].add(place, found)

    def _is_whole(self, call: _Call, branches: Sequence[str]) -> bool:
        """Whether every layer was called exactly once; if a cache skipped layers, record a gap in each branch."""
        once = call.network.batch * self._tracked.samples
        calls = {layer: samples / once for layer, samples in call.samples.items()}
        skipped = self._layers.skipped(call.network.denoiser, call.steps[branches[0]], calls)
        if skipped:
            self.gaps += [
                {"index": call.steps[branch], "branch": branch, "model": call.network.denoiser, "layers": skipped}
                for branch in branches
            ]
        return not skipped

    def _finish(self, call: _Call, branch: str) -> None:
        """Keep the maps of a step in one branch."""
        gathered = call.maps.get(branch)
        if gathered is None or (maps := gathered.maps()) is None:
            return
        step = call.steps[branch]
        mean = maps.mean((1, 2)) if self.keep.aggregated else None
        checks = [torch.isfinite(maps).all(), self._tracked.take_error(maps)]
        kept = [maps.to(self.keep.dtype)] if self.keep.keeps_step(step) else []

        def deliver(copies: list[Tensor]) -> None:
            self._judge(step, *copies[:2])
            if mean is not None:
                self._means[branch].add(mean)
            for copy in copies[2:]:
                self._on_maps(StepMaps(step, call.network.denoiser, branch, copy))

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
        """Deliver the last maps, and find out whether any are missing: the video is there, whatever they lack."""
        try:
            self._copies.flush()
        except CaptureError as error:
            self.unfinished = self.unfinished or first_line(error)
        self.unfinished = self.unfinished or self._steps.missing() or self._gaps_only()

    def _gaps_only(self) -> str | None:
        if self._complete:
            return None
        return (
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
    heard: Heard | None = None,
) -> Iterator[Recorder]:
    """Record the attention to ``words`` in the one video that is generated inside the context.

    On leaving, also by an exception, the model is exactly as before.

    Args:
        model: the model that generates the video
        words: the tracked words of its prompt
        grid: the latent grid of the video
        keep: what to keep; by default `Keep()`
        prompts: the prompt of each branch, in which words are found again should the pipeline encode another text;
            needed to keep the mass of padding and end-of-text token
        on_maps: called with the maps of each step, in order, instead of adding to ``recorder.steps``
        heard: what the text encoder was given before, if the prompt is encoded before this context

    Raises:
        CaptureError: inside, before the first denoising step, if the words are not certain to be in the text that the
            network receives, and if attention cannot be recorded correctly in the first steps. Later, recording ends,
            the video is finished, and ``recorder.unfinished`` tells the reason.
        UsageError: if the networks of the model are being recorded already.

    """
    with ExitStack() as stack:
        heard = heard or stack.enter_context(hearing(model))
        recorder = Recorder(model, words, grid, keep or Keep(), prompts=prompts or {}, on_maps=on_maps, heard=heard)
        with tapped(model, recorder):
            yield recorder
    recorder.conclude()
