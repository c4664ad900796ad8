"""Computes the size of the attention maps from the settings, and refuses too much before anything is generated."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import torch
from pydantic import ByteSize

from generator.capture.layers import layer_count
from generator.capture.maps import BRANCHES, CONDITIONAL, UNCONDITIONAL, Keep
from generator.errors import ModelError, SettingsError
from generator.models.contract import LatentGrid, VideoModel
from generator.prompts.tokens import TrackedWord
from generator.settings import AttentionSettings, Sampling

RESERVED_TENSORS = 2
_MOST_DOWNSAMPLED = 8
_REDUCTIONS: tuple[Mapping[str, object], ...] = (
    {"store_per_head": False},
    {"store_per_block": False},
    {"storage_dtype": "float16"},
    {"store_per_head": False, "store_per_block": False},
    {"store_attention": False},
)
"""Changes that keep less, besides a longer storage interval and smaller maps."""


def keep_of(settings: AttentionSettings) -> Keep:
    """Translate the settings into what capture keeps."""
    return Keep(
        steps=settings.store_attention,
        aggregated=settings.store_aggregated_attention,
        interval=settings.storage_interval,
        layers=settings.layers,
        per_block=settings.store_per_block,
        per_head=settings.store_per_head,
        downsample=settings.spatial_downsample_factor,
        branches=_branches(settings),
        reserved=settings.store_reserved,
        dtype=getattr(torch, settings.storage_dtype),
        self_check=settings.self_check,
    )


def _branches(settings: AttentionSettings) -> tuple[str, ...]:
    """Return the branches to keep; words of the negative prompt have their maps in the unconditional one."""
    if settings.branch == "both" or (settings.branch == CONDITIONAL and settings.track_negative):
        return BRANCHES
    return (settings.branch,)


@dataclass(frozen=True)
class VideoShape:
    """The properties of a video that determine the size of its maps, besides the settings."""

    words: int
    """Tracked words of the prompt."""
    steps: int
    layers: int
    heads: int
    grid: LatentGrid
    is_guided: bool = True
    """Whether the pipeline also computes the unconditional branch."""
    negative_words: int = 0

    @classmethod
    def of(cls, model: VideoModel, sampling: Sampling, words: Sequence[TrackedWord]) -> "VideoShape":
        """Read the shape from a model and the tracked words."""
        count, heads = layer_count(model), model.text_attention()[0].heads
        negative = sum(word.negative for word in words)
        grid, is_guided = model.grid(sampling), model.guides(sampling)
        return cls(len(words) - negative, sampling.steps, count, heads, grid, is_guided, negative)

    def maps(self, branch: str) -> int:
        """Return the number of words that have a map in a branch."""
        return self.negative_words or self.words if branch == UNCONDITIONAL else self.words


def attention_bytes(settings: AttentionSettings, video: VideoShape) -> int:
    """Compute the bytes of one video's maps in the layout of FORMAT.md, before compression and without headers."""
    keep = keep_of(settings)
    tensors = sum(video.maps(branch) + RESERVED_TENSORS * keep.reserved for branch in keep.branches)
    cells = tensors * keep.grid(video.grid).size
    layers = (video.layers if keep.layers is None else len(keep.layers)) if keep.per_block else 1
    heads = video.heads if keep.per_head else 1
    steps = ceil(video.steps / keep.interval) * layers * heads * keep.dtype.itemsize
    return cells * (steps * keep.steps + torch.float32.itemsize * keep.aggregated)


def check_attention(settings: AttentionSettings, video: VideoShape) -> None:
    """Check that the model can provide the requested maps and that they fit into ``max_attention_bytes``.

    Raises:
        ModelError: for a layer that does not exist, or a branch that is not computed.
        SettingsError: for too many bytes; the message lists changes that would fit.

    """
    wrong = [layer for layer in settings.layers or () if layer >= video.layers]
    if wrong:
        raise ModelError(
            f"layers: found {', '.join(map(str, wrong))}; the model has {video.layers} text attention layers. "
            f"Expected numbers from 0 to {video.layers - 1}"
        )
    if UNCONDITIONAL in _branches(settings) and not video.is_guided:
        asked = ("branch", settings.branch) if settings.branch != CONDITIONAL else ("track_negative", "words")
        raise ModelError(
            f"{asked[0]}: found {asked[1]!r}, but the unconditional branch is not computed. Expected a guidance "
            "scale above 1 (and, for HunyuanVideo, a negative prompt), or `cond` without words of the negative prompt"
        )
    found = attention_bytes(settings, video)
    if found > settings.max_attention_bytes:
        offers = "".join(f"\n  {offer}" for offer in _offers(settings, video))
        less = f"track fewer words, or keep less:{offers}" if offers else f"or {_together(settings, video)}"
        raise SettingsError(
            f"the attention of one video would take {as_text(found)}, more than max_attention_bytes "
            f"({as_text(settings.max_attention_bytes)}). Raise the limit, {less}"
        )


def _offers(settings: AttentionSettings, video: VideoShape) -> Iterator[str]:
    """Describe single changes that fit the limit, with the resulting sizes."""
    offered: list[AttentionSettings] = []
    for change in _changes(settings, video):
        less = settings.model_copy(update=dict(change))
        size = attention_bytes(less, video)
        if size <= settings.max_attention_bytes and less not in offered:
            offered.append(less)
            described = ", ".join(f"{name}: {_spelt(value)}" for name, value in change.items())
            yield f"{described} ({as_text(size)})"


def _together(settings: AttentionSettings, video: VideoShape) -> str:
    """Describe what to do where no single change fits the limit."""
    least: dict[str, object] = {"store_per_block": False, "store_per_head": False}
    least |= {"storage_dtype": "float16", "spatial_downsample_factor": _MOST_DOWNSAMPLED}
    least |= {"store_attention": False} if settings.store_aggregated_attention else {"storage_interval": video.steps}
    less = settings.model_copy(update=least)
    size = attention_bytes(less, video)
    if size > settings.max_attention_bytes:
        return f"track fewer words: the least that can be kept of {video.words} takes {as_text(size)}"
    changed = ", ".join(f"{name}: {_spelt(value)}" for name, value in least.items() if value != getattr(settings, name))
    return f"make several changes, because none is enough alone; the most are:\n  {changed} ({as_text(size)})"


def _changes(settings: AttentionSettings, video: VideoShape) -> Iterator[Mapping[str, object]]:
    for name, most in (("storage_interval", video.steps), ("spatial_downsample_factor", _MOST_DOWNSAMPLED)):
        for value in range(getattr(settings, name) + 1, most + 1):
            change = {name: value}
            if attention_bytes(settings.model_copy(update=change), video) <= settings.max_attention_bytes:
                yield change  # the smallest change that fits
                break
    for reduction in _REDUCTIONS:
        if settings.store_aggregated_attention or "store_attention" not in reduction:  # else nothing would be kept
            yield reduction


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_text(count: int) -> str:
    """Return a number of bytes as ``12 MiB`` or ``1.5 GiB``."""
    return re.sub(r"(\.0)?([A-Z]i?B|B)$", r" \2", ByteSize(count).human_readable())


def as_kept(settings: AttentionSettings, video: VideoShape) -> str:
    """Summarise what is kept of one video."""
    steps = ceil(video.steps / settings.storage_interval) if settings.store_attention else 0
    layers = video.layers if settings.layers is None else len(settings.layers)
    words = video.words + video.negative_words
    axes = [
        f"{words} words" if words != 1 else "1 word",
        f"{steps} steps" if steps else "their mean over all steps",
        f"{layers} layers" if settings.store_per_block else "the mean of layers",
        f"{video.heads} heads" if settings.store_per_head else "the mean of heads",
    ]
    return ", ".join(axes)
