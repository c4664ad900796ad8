"""Combines the probabilities of single layers into the kept maps: averages, reshapes and downsamples them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from generator.errors import CaptureError
from generator.models.contract import LatentGrid

CONDITIONAL = "cond"
UNCONDITIONAL = "uncond"
BRANCHES = (CONDITIONAL, UNCONDITIONAL)
"""The two branches of classifier-free guidance, as diffusers names them."""


@dataclass(frozen=True)
class Keep:
    """The parts of a video's attention to keep."""

    steps: bool = True
    """Whether to keep the maps of single denoising steps."""
    aggregated: bool = True
    """Whether to keep the mean over all denoising steps, layers and heads."""
    interval: int = 1
    """Distance between kept steps: 3 keeps steps 0, 3, 6 and so on."""
    layers: tuple[int, ...] | None = None
    """Numbers of the text attention layers to keep, counted from 0 in each network; all if None."""
    per_block: bool = False
    """Whether to keep layers separately instead of their mean."""
    per_head: bool = False
    """Whether to keep heads separately instead of their mean."""
    downsample: int = 1
    """Divisor of height and width, which are rounded up; each cell is the mean of the area that it covers."""
    branches: tuple[str, ...] = (CONDITIONAL,)
    reserved: bool = False
    """Whether to keep the mass of the padding and of the end-of-text token too (FORMAT.md, ``__padding__``)."""
    dtype: torch.dtype = torch.float16
    self_check: bool = False
    """Whether to recompute a random sample of rows in float64."""

    def keeps_step(self, step: int) -> bool:
        """Whether the map of a step is kept."""
        return self.steps and step % self.interval == 0

    def needs_step(self, step: int) -> bool:
        """Whether a step is captured, for its own map or for the mean."""
        return self.aggregated or self.keeps_step(step)

    def grid(self, grid: LatentGrid) -> LatentGrid:
        """Return the grid of the kept maps for a video with latent grid ``grid``."""
        return replace(grid, height=-(-grid.height // self.downsample), width=-(-grid.width // self.downsample))


@dataclass(frozen=True)
class StepMaps:
    """The kept maps of one denoising step in one guidance branch.

    ``maps`` is ``[name, layer, head, frame, height, width]`` on the CPU; the recorder has the names.
    """

    index: int
    denoiser: str
    branch: str
    maps: Tensor


class LayerMaps:
    """Collects the layers of one denoising step in one guidance branch.

    The layers of one network may lie on several devices. Each device has maps of its own, which come together once,
    on the device of the first layer.
    """

    def __init__(self, keep: Keep, grid: LatentGrid, layers: int) -> None:
        self._keep = keep
        self._grid = grid
        self._layers = layers
        self._sums: dict[torch.device, Tensor] = {}
        self._heads = 0

    def add(self, index: int, found: Tensor) -> int:
        """Add the kept layer number ``index``, ``[name, sample, head, row]``; return its number of heads.

        Samples are frames, or there is one sample with all frames.
        """
        heads = found.shape[2]
        if self._keep.per_head and self._heads not in {0, heads}:
            raise CaptureError(
                f"store_per_head: found layers of {self._heads} and of {heads} heads; expected the same number "
                "in all layers. Choose `layers` with equal numbers of heads, or keep the mean of the heads"
            )
        self._heads = heads
        if not self._keep.per_head:
            found = found.mean(2, keepdim=True)
        found = found.transpose(1, 2).flatten(2)  # [name, head, latent token of this layer]
        found = found if found.shape[2] == self._grid.size else self._enlarged(found)
        if found.device not in self._sums:
            places = self._layers if self._keep.per_block else 1
            self._sums[found.device] = found.new_zeros((len(found), places, *found.shape[1:]))
        self._sums[found.device].select(1, index if self._keep.per_block else 0).add_(found)
        return heads

    def maps(self) -> Tensor | None:
        """Return the collected maps, float32 ``[name, layer, head, frame, height, width]``; None without any layer."""
        if not self._sums:
            return None
        total, *others = self._sums.values()
        for other in others:
            total = total + other.to(total.device)
        mean = total if self._keep.per_block else total / self._layers
        maps = mean.reshape(*mean.shape[:-1], self._grid.frames, self._grid.height, self._grid.width)
        if self._keep.downsample == 1:
            return maps
        small = self._keep.grid(self._grid)
        pooled = functional.adaptive_avg_pool2d(maps.flatten(0, 3), (small.height, small.width))
        return pooled.reshape(*maps.shape[:4], small.height, small.width)

    def _enlarged(self, found: Tensor) -> Tensor:
        """Enlarge the map of a layer with a coarser grid, ``[name, head, latent token]``, by repeating its cells."""
        height, width = coarser_size(self._grid, found.shape[2])
        cells = found.reshape(-1, self._grid.frames, height, width)
        size = (self._grid.height, self._grid.width)
        return functional.interpolate(cells, size, mode="nearest-exact").reshape(*found.shape[:2], -1)


def coarser_size(grid: LatentGrid, tokens: int) -> tuple[int, int]:
    """Find height and width of a UNet layer with ``tokens`` latent tokens: ``grid`` halved repeatedly, rounded up.

    Raises:
        CaptureError: if no number of halvings gives that number of tokens.

    """
    height, width = grid.height, grid.width
    while grid.frames * height * width > tokens and (height, width) != (1, 1):
        height, width = -(-height // 2), -(-width // 2)
    if grid.frames * height * width != tokens:
        raise CaptureError(
            f"found {tokens} latent tokens in a layer; expected {grid.frames} frames of {grid.height} x {grid.width}, "
            "or both halved repeatedly. Generate a video of the size passed to capture"
        )
    return height, width


@dataclass
class Mean:
    """A running mean in float32."""

    total: Tensor | None = None
    count: int = 0

    def add(self, value: Tensor) -> None:
        """Add a value; values of networks on several devices are added up on the first."""
        self.total = value.clone() if self.total is None else self.total.add_(value.to(self.total.device))
        self.count += 1

    @property
    def value(self) -> Tensor | None:
        """The mean of all added values, on the CPU; None if there are none."""
        return None if self.total is None else (self.total / self.count).cpu()
