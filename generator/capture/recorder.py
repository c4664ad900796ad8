"""Recording how much attention a model pays to the tracked words while it makes a video.

The model's own query and key are seen where its attention processor hands them to the attention function
(`generator.capture.taps`): after normalisation and rotary embedding, whatever the kernel. Nothing of the network is
changed or computed again, so the video is the same to the last bit. What is recorded are the probabilities of
the tracked columns among all keys that a row attends to, by the arithmetic in `generator.capture.attention`. Rows are
those of the video; padding, and the video's own keys where text and video are one sequence, take part in the softmax.

Every call of every text attention layer is counted. A layer that was not seen, or seen twice, is an error, unless
a cache of diffusers is on, which skips layers on purpose: then the step is a gap, recorded and never filled. The
device is read back once per call of a denoising network, never per layer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.capture.columns import TrackedColumns
from generator.capture.maps import BRANCHES, CONDITIONAL, UNCONDITIONAL, Keep, LayerMaps, Mean, StepMaps
from generator.capture.taps import Told, tapped
from generator.errors import CaptureError
from generator.models.contract import LatentGrid, VideoModel
from generator.prompts.tokens import TrackedWord

OnMaps = Callable[[StepMaps], None]
"""Takes the maps of a step as soon as it is done."""


@dataclass
class _Call:
    """One call of a denoising network while it runs; ``steps`` tells the step of each of its branches, in order."""

    denoiser: str
    steps: Mapping[str, int]
    maps: Mapping[str, LayerMaps]
    samples: Counter[str] = field(default_factory=Counter)
    """Samples that the attention function was given, by layer."""


class Recorder:
    """What was captured of one video.

    ``names`` are those of the first axis of all maps (`TrackedColumns`). ``grid`` is the grid of the kept maps.
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
        """Kept maps, unless they are handed on as soon as they are there."""
        self.gaps: list[dict[str, object]] = []
        """Steps that a cache left out, in whole or in part."""
        self.branch_source = ""
        """How the guidance branch of a call was determined."""
        self.heads = 0
        self._model = model
        self._model_grid = grid
        self._on_maps = on_maps or self.steps.append
        self._layers = _layers_by_denoiser(model)
        self._kept = _kept_layers(keep, self.layers)
        self._means = {branch: Mean() for branch in keep.branches}
        self._begun: Counter[str] = Counter()
        self._seen: dict[str, set[int]] = defaultdict(set)
        self._complete = 0
        self._call: _Call | None = None
        self._layer: str | None = None

    @property
    def layers(self) -> int:
        """Number of text attention layers that each step goes through."""
        return len(next(iter(self._layers.values())))

    @property
    def steps_seen(self) -> int:
        """Number of denoising steps in which each kept branch was seen, gaps included."""
        return min(len(self._seen[branch]) for branch in self.keep.branches)

    def aggregated(self, branch: str = CONDITIONAL) -> Tensor | None:
        """Mean over all steps, layers and heads: ``[name, frame, height, width]``, float32, on the CPU."""
        return self._means[branch].value

    def summary(self) -> dict[str, object]:
        """Tell what was measured about the capture itself, for the manifest."""
        calls = sum(len(steps) for steps in self._seen.values())
        described: dict[str, object] = {
            "layers": self.layers,
            "layers_kept": list(self._kept),
            "heads": self.heads,
            "steps": self.steps_seen,
            "calls": self._complete,
            "expected_calls": calls * self.layers,
            "branches": list(self.keep.branches),
            "branch_source": self.branch_source,
            "gaps": self.gaps,
        }
        if self._tracked.check is not None:
            described["self_check"] = self._tracked.check.summary()
        return described

    def begin(self, denoiser: str, told: Told, batch: int) -> None:
        """Find out which branches of guidance a call of ``denoiser`` computes, and get ready for it."""
        self._layer = None
        steps = {}
        for branch in self._branches(told, batch):
            steps[branch] = self._begun[branch] if told.step is None else told.step
            self._begun[branch] += 1
        wanted = [branch for branch in self.keep.branches if branch in steps and self.keep.needs_step(steps[branch])]
        maps = {branch: LayerMaps(self.keep, self._model_grid, len(self._kept)) for branch in wanted}
        self._call = _Call(denoiser, steps, maps)

    def end(self) -> None:
        """Check one call of a denoising network and keep what it brought."""
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

    def enter(self, layer: str) -> None:
        """Attribute what is seen from now on to ``layer``."""
        self._layer = layer

    def leave(self) -> None:
        """Attribute what is seen from now on to no layer."""
        self._layer = None

    @torch.no_grad()
    def see(self, call: AttentionCall) -> None:
        """Record one call of the attention function, if it is one of text."""
        if self._layer is None or self._call is None or self._tracked.is_of_image(call):
            return
        first = self._call.samples[self._layer]
        self._call.samples[self._layer] += len(call.query)
        index = self._layers[self._call.denoiser].index(self._layer)
        if index not in self._kept:
            return
        each = self._tracked.samples
        for number, branch in enumerate(self._call.steps):
            start, stop = number * each - first, (number + 1) * each - first
            if branch in self._call.maps and stop > 0 and start < len(call.query):
                samples = slice(max(start, 0), stop)
                found = self._tracked.probabilities(call, samples, branch, self._layer)
                self.heads = self._call.maps[branch].add(self._kept.index(index), found)

    def _branches(self, told: Told, batch: int) -> tuple[str, ...]:
        """Tell which branches the samples of a call belong to, in order."""
        if told.branch in BRANCHES and batch == 1:
            self.branch_source = "cache_context"
            return (told.branch,)
        if self._model.guidance_in_one_batch and (batch == 1 or (batch == len(BRANCHES) and self._is_guided)):
            self.branch_source = "halves of the batch"
            return (CONDITIONAL,) if batch == 1 else (UNCONDITIONAL, CONDITIONAL)
        if told.branch is None and not self._model.guidance_in_one_batch:
            raise CaptureError(
                "a denoising network was called outside of `cache_context`, by which the pipeline tells which "
                "guidance branch it computes. Use a pipeline of diffusers 0.42"
            )
        raise CaptureError(
            f"found a batch of {batch} latent videos; expected one video and its guidance. Make one video at a time"
        )

    @property
    def _is_guided(self) -> bool:
        """Tell whether the pipeline was called with guidance; a dynamic scale may pass 1 in later steps."""
        return self._begun[UNCONDITIONAL] > 0 or self._model.pipe.guidance_scale > 1

    def _is_whole(self, call: _Call, branches: Sequence[str]) -> bool:
        """Tell whether every layer was seen exactly once. Anything else is an error, or a gap if a cache is on."""
        expected = len(call.steps) * self._tracked.samples
        layers = self._layers[call.denoiser]
        wrong = [layer for layer in layers if call.samples[layer] != expected]
        if not wrong:
            return True
        denoiser = self._model.denoisers()[call.denoiser]
        if getattr(denoiser, "is_cache_enabled", False) and all(call.samples[layer] < expected for layer in wrong):
            self.gaps += [
                {"index": call.steps[branch], "branch": branch, "model": call.denoiser, "layers": wrong}
                for branch in branches
            ]
            return False
        each = self._tracked.samples
        counts = ", ".join(f"{layer} ({call.samples[layer] / len(call.steps) / each:g} times)" for layer in wrong)
        raise CaptureError(
            f"denoising step {call.steps[branches[0]]}: expected one call of text attention in each of the "
            f"{len(layers)} layers of {call.denoiser}, found otherwise: {counts}. Something skips layers or replaced "
            "their attention processors; switch it off, or do without capture (store_attention: false and "
            "store_aggregated_attention: false)"
        )

    def _finish(self, call: _Call, branch: str) -> None:
        """Keep the maps of one step in one branch."""
        gathered = call.maps.get(branch)
        maps = None if gathered is None else gathered.maps()
        if maps is None:
            return
        step = call.steps[branch]
        self._read_back(step, maps)
        if self.keep.aggregated:
            self._means[branch].add(maps.mean((1, 2)))
        if self.keep.keeps_step(step):
            self._on_maps(StepMaps(step, call.denoiser, branch, maps.to(self.keep.dtype).cpu()))

    def _read_back(self, step: int, maps: Tensor) -> None:
        """Ask the device whether all went well, at once for all layers."""
        if not torch.isfinite(maps).all().item():
            raise CaptureError(
                f"denoising step {step}: attention is not a number. The model's own activations overflow; "
                "try another dtype or another seed"
            )
        if self._tracked.check is not None:
            self._tracked.check.read_back()

    def conclude(self) -> None:
        """Raise CaptureError if what should have been recorded never came."""
        missing = [branch for branch in self.keep.branches if not self._seen[branch]]
        if missing == [UNCONDITIONAL] and (self._begun[CONDITIONAL] or len(self.keep.branches) > 1):
            raise CaptureError(
                "the unconditional branch was not computed, so its attention cannot be kept: the video was made "
                "without guidance. Use a guidance scale above 1, or keep the conditional branch only"
            )
        if missing:
            raise CaptureError(
                "no denoising step was captured: the pipeline called none of its denoising networks. "
                "Use a pipeline of diffusers 0.42"
            )
        if not self._complete:
            raise CaptureError(
                f"no denoising step was captured whole: the cache of the network left out layers in all of "
                f"{self.steps_seen} steps. Switch it off with `disable_cache`, or do without capture"
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
    """Record the attention to ``words`` of the one video that is made inside.

    Afterwards, also after an exception, the model is exactly as before.

    Args:
        model: what makes the video
        words: the tracked words of its prompt
        grid: the latent grid of the video
        keep: what is kept
        prompts: prompt of each branch; where the padding and the end of the text are depends on them
        on_maps: is given the maps of each step as soon as it is done; without it they are in ``recorder.steps``

    Raises:
        CaptureError: on leaving, if nothing was seen; inside, as soon as a layer was not seen exactly once.

    """
    recorder = Recorder(model, words, grid, keep or Keep(), prompts=prompts or {}, on_maps=on_maps)
    with tapped(model, recorder):
        yield recorder
    recorder.conclude()


def _layers_by_denoiser(model: VideoModel) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for layer in model.text_attention():
        layers.setdefault(layer.denoiser, []).append(layer.name)
    if len({len(names) for names in layers.values()}) != 1:
        counts = ", ".join(f"{name} {len(names)}" for name, names in layers.items()) or "none at all"
        raise CaptureError(f"layers of text attention: found {counts}; expected the same number in each network")
    return layers


def _kept_layers(keep: Keep, count: int) -> tuple[int, ...]:
    kept = tuple(range(count)) if keep.layers is None else keep.layers
    wrong = [layer for layer in kept if not 0 <= layer < count]
    if wrong or not kept:
        raise CaptureError(
            f"layers to keep: found {', '.join(map(str, wrong)) or 'none'}; expected numbers from 0 to {count - 1}, as "
            "the model has so many layers of text attention"
        )
    return kept
