"""Figures of one video for papers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from attnwatch.batches.words import chosen_words
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.library.effective import log_notes
from attnwatch.library.maps import Choice, open_maps, part_of
from attnwatch.settings import Visualization

if TYPE_CHECKING:
    from attnwatch.render.plots.plot import Plot

GridKind: TypeAlias = Literal["frames", "steps", "layers", "heads", "paths"]
ScaleKind: TypeAlias = Literal["shared", "each"]

_MEAN = "mean"


def figure_of(
    manifest: Manifest,
    settings: Visualization,
    words: Sequence[str],
    *,
    at: float | str | Sequence[float | str] | None,
    step: Choice,
    layer: Choice,
    head: Choice,
    asked: Mapping[str, Any],
) -> "Plot":
    """Draw a figure of a video; see `Video.figure`.

    Args:
        manifest: manifest of the video.
        settings: settings of pictures.
        words: slugs or texts of the words; empty for all tracked words.
        at: moments.
        step: overrides the setting `steps`, if it is not None.
        layer: overrides `layers`; `"mean"` for all, also in a grid.
        head: overrides `heads`, in the same way.
        asked: fields of `attnwatch.render.plots.asked.Asked`.

    """
    from attnwatch.render.plots.asked import Asked  # noqa: PLC0415 - with matplotlib, it takes half a second
    from attnwatch.render.plots.figure import figure  # noqa: PLC0415

    averaged = tuple(axis for axis, choice in (("layers", layer), ("heads", head)) if choice == _MEAN)
    request = Asked.of(**asked, averaged=averaged)
    part = part_of(step, *(None if choice == _MEAN else choice for choice in (layer, head)))
    chosen = {"steps": part.steps, "layers": part.layers, "heads": part.heads}
    changed = {axis: choice for axis, choice in chosen.items() if choice is not None or axis in averaged}
    verify(manifest, video_may_be_absent=True)
    with open_maps(manifest) as reader:
        shown = chosen_words(words, manifest, reader.words)
        plot = figure(manifest, settings.model_copy(update=changed), shown, at, request)
    log_notes(manifest, plot.notes)
    return plot
