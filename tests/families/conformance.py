"""What holds for every family, found out about its real pipeline without the help of its adapter.

The inputs of torch's own kernel are kept while the pipeline runs without capture. Which of the keys are a word is found
by changing the hidden states that the text encoder returns for its tokens, whatever the pipeline does with them next.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from generator.library import capture
from generator.models.contract import LatentGrid
from generator.models.load import adapt

PROMPT, NEGATIVE, WORD, OTHER = "a romantic kiss between two men", "a blurry dog", "kiss", "dog"
STEPS = 2
KEPT = {"storage_dtype": "float32", "store_per_block": True, "store_per_head": True, "self_check": True}
BY_BATCH, BY_CALLS = ("uncond", "cond"), ("cond", "uncond")


@dataclass(frozen=True)
class Case:
    """A tiny pipeline, how it is called, and what is known about it, stated independently of its adapter."""

    build: Callable[[], Any]
    grid: LatentGrid
    layers: int
    arguments: Callable[[], dict[str, Any]]
    """Arguments of its call besides the prompts, the steps and the seed."""
    order: tuple[str, ...] = BY_BATCH
    """Branches of the samples of a step, in the order of their computation; other names are of extra calls."""
    source: str = "halves of the batch"
    rows: tuple[int | None, int | None] = (None, None)
    """First and last row of the video in the attention of a layer, as of a slice."""
    frame_by_frame: bool = False
    image_keys: int | None = None
    """Number of keys of an image, to which layers attend besides the text."""
    video_frames: int | None = None
    """Frames of the video; by default, those that the grid stands for."""
    latents_only: bool = False
    """Whether to leave out the VAE, which is slow whatever the size."""

    def call(self, pipe: Any, **others: Any) -> np.ndarray:
        """Generate a video; return its frames."""
        given = {
            "prompt": PROMPT,
            "num_inference_steps": STEPS,
            "generator": torch.Generator().manual_seed(1),
            "output_type": "latent" if self.latents_only else "np",
            "negative_prompt": NEGATIVE,
            **self.arguments(),
            **others,
        }
        return np.asarray(pipe(**given).frames[0])


class Kernels(TorchDispatchMode):
    """Keeps query, key and mask of each sample that torch's kernel computes in the layers of a model."""

    def __init__(self, layers: dict[str, Any], image_keys: int | None) -> None:
        super().__init__()
        self._image_keys = image_keys
        self.samples: dict[str, list[tuple[torch.Tensor, ...]]] = defaultdict(list)
        self._layer: str | None = None
        self._hooks = ExitStack()
        for name, module in layers.items():
            self._hooks.callback(module.register_forward_pre_hook(self._enter(name)).remove)
            self._hooks.callback(module.register_forward_hook(self._leave).remove)

    def _enter(self, name: str) -> Callable[..., None]:
        def enter(module: Any, inputs: Any) -> None:
            self._layer = name

        return enter

    def _leave(self, module: Any, inputs: Any, output: Any) -> None:
        self._layer = None

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        return super().__exit__(*error)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._layer and function is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default:
            self._keep(self._layer, *args[:2], kwargs.get("attn_mask"), kwargs.get("scale"))
        return function(*args, **kwargs)

    def _keep(self, layer: str, query: Any, key: Any, mask: Any, scale: float | None) -> None:
        if key.shape[2] == self._image_keys:
            return
        mask = torch.zeros(()) if mask is None else mask
        mask = mask.expand(*query.shape[:3], key.shape[2])
        query = query * (scale or query.shape[-1] ** -0.5)
        self.samples[layer] += [tuple(map(torch.clone, each)) for each in zip(query, key, mask, strict=True)]


class _Reached(BaseException):
    """Ends a call of a pipeline."""


class Probe:
    """One family's pipeline, and what is found out about it."""

    def __init__(self, case: Case, pipe: Any) -> None:
        self.case, self.pipe = case, pipe
        self.layers = {layer.name: layer.module for layer in adapt(pipe).text_attention()}
        self.each = case.grid.frames if case.frame_by_frame else 1

    def plain(self) -> tuple[np.ndarray, dict[str, list[tuple[torch.Tensor, ...]]], tuple[int, ...]]:
        """Generate without capture; return the frames, the inputs of the kernels, and the size of the latents."""
        sizes: list[tuple[int, ...]] = []
        with decoded(self.pipe, sizes), Kernels(self.layers, self.case.image_keys) as given:
            frames = self.case.call(self.pipe)
        return frames, given.samples, sizes[0] if sizes else frames.shape

    def captured(self, branch: str, **others: Any) -> tuple[np.ndarray, Any]:
        """Generate with capture of one branch; return the frames and the maps."""
        words = {"words": [WORD]} if branch == "cond" else {"track_negative": [OTHER], "branch": "uncond"}
        with capture(self.pipe, **words, **KEPT) as maps:
            frames = self.case.call(self.pipe, **others)
        return frames, maps

    def columns(self, word: str, branch: str, samples: dict[str, list[tuple[torch.Tensor, ...]]]) -> list[int]:
        """Return the keys that answer when the text encoder's output changes at a word's tokens, alone or most."""
        first = next(iter(self.layers))
        number = self.case.order.index(branch) * self.each
        kernels = Kernels({first: self.layers[first]}, self.case.image_keys)
        with self._encoding_another(word) as tokens, kernels as given:
            self._stop_after(first, number + 1, given)
        before, after = samples[first][number][1], given.samples[first][number][1]
        change = (after - before).norm(dim=-1).norm(dim=0)
        return change.topk(len(tokens)).indices.sort().values.tolist()

    def expected(self, samples: list[tuple[torch.Tensor, ...]], branch: str, columns: list[int]) -> torch.Tensor:
        """Return the maps of a layer in a branch, [step, head, frame, height, width], by the softmax in float64."""
        each, order = self.each, self.case.order
        steps = []
        for step in range(len(samples) // (each * len(order))):
            first = (step * len(order) + order.index(branch)) * each
            parts = [self._map(*sample, columns) for sample in samples[first : first + each]]
            steps.append(torch.cat(parts, 1))
        return torch.stack(steps)

    def _map(self, query: Any, key: Any, mask: Any, columns: list[int]) -> torch.Tensor:
        scores = query.double() @ key.double().transpose(-1, -2)
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask.double()
        found = scores.softmax(-1)[:, slice(*self.case.rows)][..., columns].sum(-1)
        grid = self.case.grid
        frames, height, width = (1 if self.case.frame_by_frame else grid.frames), grid.height, grid.width
        while frames * height * width > found.shape[-1]:
            height, width = (height + 1) // 2, (width + 1) // 2
        found = found.unflatten(-1, (frames, height, width))
        rows = ((torch.arange(grid.height) + 0.5) * height / grid.height).long()
        places = ((torch.arange(grid.width) + 0.5) * width / grid.width).long()
        return found[..., rows, :][..., places]

    @contextmanager
    def _encoding_another(self, word: str) -> Any:
        """Change the sign of what the encoder returns for the tokens of a word; yield these, in the last text."""
        model, tokens = adapt(self.pipe), []

        def change(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            for row, text in enumerate(ids.tolist()):
                pieces = model.tokenizer.convert_ids_to_tokens(text)
                found = [place for place, piece in enumerate(pieces) if piece.strip("▁Ġ") == word]
                for states in _states(output) if found else ():
                    states[row, found] = -states[row, found]
                tokens[:] = found or tokens

        handle = model.text_encoder.register_forward_hook(change, with_kwargs=True)
        try:
            yield tokens
        finally:
            handle.remove()

    def _stop_after(self, layer: str, count: int, given: Kernels) -> None:
        """Generate until a layer has computed some samples."""

        def stop(module: Any, inputs: Any, output: Any) -> None:
            if len(given.samples[layer]) >= count:
                raise _Reached

        handle = self.layers[layer].register_forward_hook(stop)
        try:
            self.case.call(self.pipe)
        except _Reached:
            pass
        finally:
            handle.remove()


def _states(output: Any) -> list[torch.Tensor]:
    """Return the different hidden states in an encoder's output."""
    found: dict[int, torch.Tensor] = {}

    def look(value: Any) -> None:
        if isinstance(value, torch.Tensor) and value.ndim == 3:
            found[value.data_ptr()] = value
        elif isinstance(value, dict):
            any(map(look, value.values()))
        elif isinstance(value, tuple | list):
            any(map(look, value))

    look(output)
    return list(found.values())


@contextmanager
def decoded(pipe: Any, sizes: list[tuple[int, ...]]) -> Any:
    """Collect the sizes of the latents that the VAE decodes."""
    decode = pipe.vae.decode

    def noted(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        sizes.append(tuple(latents.shape))
        return decode(latents, *args, **kwargs)

    pipe.vae.decode = noted
    try:
        yield
    finally:
        del pipe.vae.decode
