"""Recording how much attention a model pays to the tracked words while it makes a video.

The model's own query and key are seen where its attention processor hands them to the attention function
(`generator.taps`): after normalisation and rotary embedding, whatever the kernel. Nothing of the network is
changed or computed again, so the video is the same to the last bit. What is recorded are the probabilities of
the tracked columns, by the arithmetic in `generator.attention`.

Padding takes part in the softmax, because no model of the Wan family masks it. Its keys are mostly equal, bit
for bit; then one key and the logarithm of their number replace them. How many are equal is counted in the
first denoising step, in which all of them are summed, and proven again in each later one. The device is read
back once per denoising step, never per layer.

Every call of every text attention layer is counted. A layer that was not seen, or seen twice, is an error.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from generator.attention import Columns, repeats_differ, trailing_repeats, without_repeats, word_probabilities
from generator.errors import CaptureError
from generator.families.contract import LatentGrid, VideoModel
from generator.taps import tapped
from generator.tokens import TrackedWord

CONDITIONAL = "cond"


@dataclass(frozen=True)
class Keep:
    """What is kept of a video's attention."""

    steps: bool = True
    """Maps of single denoising steps."""
    aggregated: bool = True
    """The mean over all denoising steps, layers and heads."""
    interval: int = 1
    """Every how many steps a map is kept: 3 keeps steps 0, 3, 6 and so on."""
    per_block: bool = False
    per_head: bool = False
    dtype: torch.dtype = torch.float16

    def keeps_step(self, step: int) -> bool:
        """Tell whether the map of a step is kept."""
        return self.steps and step % self.interval == 0


@dataclass(frozen=True)
class StepMaps:
    """One stored denoising step; ``maps`` is ``[word, layer, head, frame, height, width]`` on the CPU."""

    index: int
    denoiser: str
    maps: Tensor


@dataclass
class _Call:
    """One call of a denoising network in the conditional branch, while it runs."""

    step: int
    denoiser: str
    maps: Tensor | None = None
    seen: Counter[str] = field(default_factory=Counter)
    repeats: dict[str, Tensor] = field(default_factory=dict)
    differ: list[Tensor] = field(default_factory=list)


class Recorder:
    """What was captured of one video."""

    branch = CONDITIONAL
    branch_source = "cache_context"
    """How the guidance branch of a call was determined."""

    def __init__(self, model: VideoModel, words: Sequence[TrackedWord], grid: LatentGrid, keep: Keep) -> None:
        self.words = tuple(words)
        self.grid = grid
        self.keep = keep
        self.steps: list[StepMaps] = []
        self.steps_seen = 0
        self.calls = 0
        """Calls of text attention that were seen in the conditional branch."""
        self.heads = 0
        self.padding_keys: dict[tuple[str, str], int] = {}
        """Denoiser and layer -> number of equal keys at the end of the text."""
        self._text_keys = model.text_keys
        self._layers = _layers_by_denoiser(model)
        self._columns: Columns | None = None
        self._sum: Tensor | None = None
        self._branch: str | None = None
        self._call: _Call | None = None
        self._layer: str | None = None

    @property
    def layers(self) -> int:
        """Number of text attention layers that each step goes through."""
        return len(next(iter(self._layers.values())))

    @property
    def aggregated(self) -> Tensor | None:
        """Mean over all steps, layers and heads: ``[word, frame, height, width]``, float32, on the CPU."""
        return None if self._sum is None else self._on_grid(self._sum / self.steps_seen).cpu()

    def summary(self) -> dict[str, object]:
        """Tell what was measured about the capture itself, for the manifest."""
        return {
            "layers": self.layers,
            "heads": self.heads,
            "steps": self.steps_seen,
            "calls": self.calls,
            "expected_calls": self.steps_seen * self.layers,
            "branch_source": self.branch_source,
            "padding_keys": min(self.padding_keys.values(), default=0),
        }

    @contextmanager
    def denoising(self, denoiser: str, branch: str, step: int | None) -> Iterator[None]:
        """Record what one call of ``denoiser`` does, if it belongs to the conditional branch."""
        self._branch = branch
        if branch == CONDITIONAL:
            self._call = _Call(self.steps_seen if step is None else step, denoiser)
        try:
            yield
            if self._call is not None:
                self._finish(self._call)
        finally:
            self._branch, self._call = None, None

    @torch.no_grad()
    def see(self, query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> None:
        """Record one call of the attention function, if it is one of text in the conditional branch."""
        if self._layer is None or key.shape[1] != self._text_keys:
            return  # self-attention, or the image keys of an image-to-video model
        if self._branch is None:
            raise CaptureError(
                f"{self._layer} was called outside of `cache_context`, by which the pipeline tells which guidance "
                "branch it computes. Use a pipeline of diffusers 0.42"
            )
        if self._call is None:
            return
        self._refuse_unexpected(query, key, mask)
        self._call.seen[self._layer] += 1
        if self.keep.aggregated or self.keep.keeps_step(self._call.step):
            found = self._probabilities(self._call, self._layer, query[0], key[0], scale)
            self._add(self._call, self._layer, found)

    def enter(self, layer: str) -> None:
        """Attribute what is seen from now on to ``layer``."""
        self._layer = layer

    def leave(self) -> None:
        """Attribute what is seen from now on to no layer."""
        self._layer = None

    def _refuse_unexpected(self, query: Tensor, key: Tensor, mask: Tensor | None) -> None:
        found = (query.shape[0], query.shape[1], key.shape[2])
        expected = (1, self.grid.size, query.shape[2])
        if found != expected:
            raise CaptureError(
                f"{self._layer}: found queries of {found[0]} videos x {found[1]} latent tokens and keys of "
                f"{found[2]} heads; expected {expected[0]} x {expected[1]} and {expected[2]} heads. "
                "Make one video at a time, of the size that capture was told"
            )
        if mask is not None:
            raise CaptureError(
                f"{self._layer}: found an attention mask of shape {tuple(mask.shape)}; expected none, as in every "
                "Wan model of diffusers 0.42. Use such a pipeline, or do without capture"
            )

    def _probabilities(self, call: _Call, layer: str, query: Tensor, key: Tensor, scale: float | None) -> Tensor:
        """Compute ``[word, head, latent token]``, over few keys where repeats have been counted before."""
        if self._columns is None:
            self._columns = Columns.of([word.positions for word in self.words], query.device)
        counted = self.padding_keys.get((call.denoiser, layer))
        if counted is None:
            call.repeats[layer] = trailing_repeats(key)
            return word_probabilities(query, key, self._columns, scale=scale)
        repeats = min(counted, len(key) - 1 - self._columns.last)
        if repeats <= 1:
            return word_probabilities(query, key, self._columns, scale=scale)
        call.differ.append(repeats_differ(key, repeats))
        few = without_repeats(key, repeats)
        return word_probabilities(query, few, self._columns, scale=scale, repeats=repeats)

    def _add(self, call: _Call, layer: str, found: Tensor) -> None:
        """Add one layer's ``[word, head, token]`` to the maps of the step, ``[word, layer, head, token]``."""
        words, self.heads, tokens = found.shape
        if not self.keep.per_head:
            found = found.mean(1, keepdim=True)
        if call.maps is None:
            layers = self.layers if self.keep.per_block else 1
            call.maps = found.new_zeros((words, layers, found.shape[1], tokens))
        if self.keep.per_block:
            call.maps[:, self._layers[call.denoiser].index(layer)] = found
        else:
            call.maps[:, 0] += found / self.layers

    def _finish(self, call: _Call) -> None:
        """Check one call of a denoising network and keep what it brought."""
        expected = self._layers[call.denoiser]
        wrong = [layer for layer in expected if call.seen[layer] != 1]
        if wrong:
            counts = ", ".join(f"{layer} ({call.seen[layer]} times)" for layer in wrong)
            raise CaptureError(
                f"denoising step {call.step}: expected one call of text attention in each of the {len(expected)} "
                f"layers of {call.denoiser}, found otherwise: {counts}. Something skips layers or replaced their "
                "attention processors; switch it off, or do without capture (store_attention: false and "
                "store_aggregated_attention: false)"
            )
        self.steps_seen += 1
        self.calls += sum(call.seen.values())
        if call.maps is None:
            return
        self._read_back(call, call.maps)
        if self.keep.aggregated:
            mean = call.maps.mean((1, 2))
            self._sum = mean if self._sum is None else self._sum + mean
        if self.keep.keeps_step(call.step):
            maps = self._on_grid(call.maps).to(self.keep.dtype).cpu()
            self.steps.append(StepMaps(call.step, call.denoiser, maps))

    def _read_back(self, call: _Call, maps: Tensor) -> None:
        """Fetch all that this step asked of the device, at once."""
        flags = [torch.isfinite(maps).all(), *call.differ, *call.repeats.values()]
        finite, *rest = torch.stack([flag.long() for flag in flags]).tolist()
        if not finite:
            raise CaptureError(
                f"denoising step {call.step}: attention is not a number. The model's own activations overflow; "
                "try another dtype or another seed"
            )
        if any(rest[: len(call.differ)]):
            raise CaptureError(
                f"denoising step {call.step}: the keys of the padding changed while the video was made, so its "
                "maps would be wrong. Keep the prompt embeddings as they are, or do without capture"
            )
        for layer, repeats in zip(call.repeats, rest[len(call.differ) :], strict=True):
            self.padding_keys[call.denoiser, layer] = repeats

    def _on_grid(self, maps: Tensor) -> Tensor:
        """Unfold the last axis, latent tokens, into frame, height and width."""
        return maps.reshape(*maps.shape[:-1], self.grid.frames, self.grid.height, self.grid.width)


@contextmanager
def capture(
    model: VideoModel, words: Sequence[TrackedWord], grid: LatentGrid, keep: Keep | None = None
) -> Iterator[Recorder]:
    """Record the attention to ``words`` of the one video that is made inside.

    Afterwards, also after an exception, the model is exactly as before.

    Raises:
        CaptureError: on leaving, if nothing was seen; inside, as soon as a layer was not seen exactly once.

    """
    recorder = Recorder(model, words, grid, keep or Keep())
    with tapped(model, recorder):
        yield recorder
    if not recorder.steps_seen:
        raise CaptureError(
            "no denoising step was captured: the pipeline announced none by `cache_context`. "
            "Use a pipeline of diffusers 0.42"
        )


def _layers_by_denoiser(model: VideoModel) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for layer in model.text_attention():
        layers.setdefault(layer.denoiser, []).append(layer.name)
    if len({len(names) for names in layers.values()}) != 1:
        counts = ", ".join(f"{name} {len(names)}" for name, names in layers.items()) or "none at all"
        raise CaptureError(f"layers of text attention: found {counts}; expected the same number in each network")
    return layers
