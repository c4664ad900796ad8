"""`attnwatch still`: a figure of one video for a paper."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from attnwatch.cli.flags import OUTPUT_FILE, SELECTION, WORDS, PictureFlags, words_of
from attnwatch.cli.output import FAILED, OK, show
from attnwatch.errors import AttnwatchError, ConfigError, UnknownNameError
from attnwatch.report.log import console, set_up

if TYPE_CHECKING:
    from attnwatch.render.plots.plot import Plot

_log = logging.getLogger(__name__)

_LOOK = Group("Figure", sort_key=1)
_NOTHING = PictureFlags()

_Picked = Annotated[str | None, Parameter(group=SELECTION, metavar="N")]


def still(
    video: Path,
    /,
    *,
    output: Annotated[Path, OUTPUT_FILE],
    words: Annotated[tuple[str, ...], WORDS] = (),
    at: Annotated[str | None, Parameter(group=SELECTION, metavar="MOMENT")] = None,
    step: _Picked = None,
    layer: _Picked = None,
    head: _Picked = None,
    grid: Annotated[Literal["frames", "steps", "layers", "heads", "paths"] | None, Parameter(group=_LOOK)] = None,
    moments: Annotated[int | None, Parameter(group=_LOOK, metavar="N")] = None,
    scale: Annotated[Literal["shared", "each"], Parameter(group=_LOOK)] = "shared",
    size: Annotated[float, Parameter(group=_LOOK, metavar="INCHES")] = 7.0,
    dpi: Annotated[int, Parameter(group=_LOOK, metavar="N")] = 300,
    title: Annotated[bool, Parameter(group=_LOOK)] = True,
    flags: PictureFlags = _NOTHING,
) -> int:
    """Draw a figure of one video for a paper: words over one moment of it, or a grid of maps.

    Parameters
    ----------
    video
        A video, its manifest, or a video of a batch in outputs/ by its name, such as demo/prompt_001_vid001.
    output
        The file to write: PNG, PDF or SVG, by its suffix. Text in PDF and SVG files is text.
    words
        Show only these words, separated by commas (default: all). Grids of steps, layers or heads show one.
    at
        The moment: seconds (1.5s), a frame (24f or frame:24, from 1), or `mean`, over time (default: the middle).
        Grids of frames and steps take several, separated by commas.
    step
        Denoising steps to average, such as 10, -1, 0-9 or 0,5,10; in a grid of steps, those to show (default: all).
    layer
        Layers, in the same form; in a grid of layers and heads, `mean` shows their mean.
    head
        Heads, in the same form.
    grid
        Several pictures: `frames` has words as rows, `steps` denoising steps as rows, both moments as columns;
        `layers` and `heads` are rows of one moment, and the other ones columns, if both are stored.
        `paths` shows where the centre of the attention to each word moves, over the frame of one moment.
    moments
        Number of evenly spaced moments in grids of frames and steps.
    scale
        One colour scale for the whole figure, or one for each word, step, layer or head (default: shared).
    size
        Width in inches: 3.3 is a column, 7 a page. The size of the text stays the same (default: 7).
    dpi
        Pixels per inch of the pictures (default: 300).
    title
        Print the prompt, and what is shown, above the pictures (default: on).
    flags
        Options that set something.

    """
    from attnwatch.contract.receipts import describe  # noqa: PLC0415 - help and errors of usage need nothing of it
    from attnwatch.render.plots.plot import SUFFIXES  # noqa: PLC0415
    from attnwatch.settings.effects import ON_STILLS  # noqa: PLC0415
    from attnwatch.system.output_files import require_writable  # noqa: PLC0415

    set_up(logging.INFO, console(), "auto")
    require_writable(output, SUFFIXES)
    flags.require_effect(ON_STILLS, "stills")
    asked = {"grid": grid, "moments": moments, "scale": scale, "size": size, "dpi": dpi, "title": title}
    picked = {"step": _picked(step, "steps"), "layer": _picked(layer, "layers"), "head": _picked(head, "heads")}
    try:
        _drawn(video, flags, words=words_of(words) or (), at=at, asked=asked, **picked).save(output)
    except (ConfigError, UnknownNameError):
        raise
    except (AttnwatchError, OSError, MemoryError) as error:
        _log.error("%s: not written: %s", output, describe(error))
        return FAILED
    show(str(output))
    return OK


def _drawn(video: Path, flags: PictureFlags, **asked: Any) -> "Plot":  # noqa: ANN401 - see `figure_of`
    from attnwatch.batches.videos import read_video  # noqa: PLC0415
    from attnwatch.cli.lookup import single_video  # noqa: PLC0415
    from attnwatch.library.effective import log_notes  # noqa: PLC0415
    from attnwatch.library.figures import figure_of  # noqa: PLC0415

    manifest = read_video(single_video(video))
    pictures, notes = flags.settings().for_batch(manifest.document.visualization, manifest.path)
    log_notes(manifest, notes)
    return figure_of(manifest, pictures.per_video(), **asked)


def _picked(text: str | None, setting: str) -> Any:  # noqa: ANN401 - what the setting accepts
    """Return a choice as it is written for a setting; one that is not written so as it is, to be refused."""
    from attnwatch.config import field_of  # noqa: PLC0415
    from attnwatch.settings.values import parse_value  # noqa: PLC0415

    return None if text is None else parse_value(text, field_of(setting))


ALL: tuple[Callable[..., int], ...] = (still,)
