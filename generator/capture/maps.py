"""From the probabilities of single layers to the maps that are kept: averaged, unfolded, made smaller."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from generator.errors import CaptureError
from generator.models.contract import LatentGrid

CONDITIONAL = "cond"
UNCONDITIONAL = "uncond"
BRANCHES = (CONDITIONAL, UNCONDITIONAL)
"""The two calls of classifier-free guidance, by the names that diffusers gives them."""


@dataclass(frozen=True)
class Keep:
    """What is kept of a video's attention."""

    steps: bool = True
    """Maps of single denoising steps."""
    aggregated: bool = True
    """The mean over all denoising steps, layers and heads."""
    interval: int = 1
    """Every how many steps a map is kept: 3 keeps steps 0, 3, 6 and so on."""
    layers: tuple[int, ...] | None = None
    """Which text attention layers of a network are looked at, from 0; all if None."""
    per_block: bool = False
    per_head: bool = False
    downsample: int = 1
    """Height and width are divided by this, rounded up; each cell is the mean of the area that it covers."""
    branches: tuple[str, ...] = (CONDITIONAL,)
    reserved: bool = False
    """Whether the mass of the padding and of the end-of-text token is kept too (FORMAT.md, ``__padding__``)."""
    dtype: torch.dtype = torch.float16
    self_check: bool = False
    """Whether a random sample of rows is computed again in float64."""

    def keeps_step(self, step: int) -> bool:
        """Tell whether the map of a step is kept."""
        return self.steps and step % self.interval == 0

    def needs_step(self, step: int) -> bool:
        """Tell whether a step is looked at."""
        return self.aggregated or self.keeps_step(step)

    def grid(self, grid: LatentGrid) -> LatentGrid:
        """Return the grid of the kept maps of a video."""
        return replace(grid, height=-(-grid.height // self.downsample), width=-(-grid.width // self.downsample))


@dataclass(frozen=True)
class StepMaps:
    """One stored denoising step in one branch of guidance.

    ``maps`` is ``[name, layer, head, frame, height, width]`` on the CPU; its names are those of the recorder.
    """

    index: int
    denoiser: str
    branch: str
    maps: Tensor


class LayerMaps:
    """Gathers the layers of one denoising step in one branch."""

    def __init__(self, keep: Keep, grid: LatentGrid, layers: int) -> None:
        self._keep = keep
        self._grid = grid
        self._layers = layers
        self._sum: Tensor | None = None

    def add(self, index: int, found: Tensor) -> int:
        """Add layer ``index`` of the kept ones, ``[name, sample, head, row]``; return its number of heads.

        Samples are frames, or there is one of all frames.
        """
        heads = found.shape[2]
        if self._keep.per_head and self._sum is not None and heads != self._sum.shape[2]:
            raise CaptureError(
                f"store_per_head: found layers of {self._sum.shape[2]} and of {heads} heads; expected the same number "
                "in all of them. Choose `layers` that have it, or keep the mean of the heads"
            )
        if not self._keep.per_head:
            found = found.mean(2, keepdim=True)
        found = found.transpose(1, 2).flatten(2)  # [name, head, latent token of this layer]
        found = found if found.shape[2] == self._grid.size else self._enlarged(found)
        if self._sum is None:
            places = self._layers if self._keep.per_block else 1
            self._sum = found.new_zeros((len(found), places, *found.shape[1:]))
        if self._keep.per_block:
            self._sum[:, index] = found
        else:
            self._sum[:, 0] += found
        return heads

    def maps(self) -> Tensor | None:
        """Return what was gathered, ``[name, layer, head, frame, height, width]`` in float32; None if nothing was."""
        if self._sum is None:
            return None
        mean = self._sum if self._keep.per_block else self._sum / self._layers
        maps = mean.reshape(*mean.shape[:-1], self._grid.frames, self._grid.height, self._grid.width)
        if self._keep.downsample == 1:
            return maps
        small = self._keep.grid(self._grid)
        pooled = functional.adaptive_avg_pool2d(maps.flatten(0, 3), (small.height, small.width))
        return pooled.reshape(*maps.shape[:4], small.height, small.width)

    def _enlarged(self, found: Tensor) -> Tensor:
        """Repeat the cells of a layer that works on a coarser grid, ``[name, head, latent token]``."""
        height, width = coarser_size(self._grid, found.shape[2])
        cells = found.reshape(-1, self._grid.frames, height, width)
        size = (self._grid.height, self._grid.width)
        return functional.interpolate(cells, size, mode="nearest-exact").reshape(*found.shape[:2], -1)


def coarser_size(grid: LatentGrid, tokens: int) -> tuple[int, int]:
    """Find height and width of a layer with so many tokens; a UNet halves both as often as it likes, rounding up.

    Raises:
        CaptureError: if no number of halvings gives so many tokens.

    """
    height, width = grid.height, grid.width
    while grid.frames * height * width > tokens and (height, width) != (1, 1):
        height, width = -(-height // 2), -(-width // 2)
    if grid.frames * height * width != tokens:
        raise CaptureError(
            f"found {tokens} latent tokens in a layer; expected {grid.frames} frames of {grid.height} x {grid.width}, "
            "or both halved some times. Make a video of the size that capture was told"
        )
    return height, width


@dataclass
class Mean:
    """A running mean in float32."""

    total: Tensor | None = None
    count: int = 0

    def add(self, value: Tensor) -> None:
        """Take one more value in."""
        self.total = value.clone() if self.total is None else self.total.add_(value)
        self.count += 1

    @property
    def value(self) -> Tensor | None:
        """The mean of what was added, on the CPU; None of nothing."""
        return None if self.total is None else (self.total / self.count).cpu()
