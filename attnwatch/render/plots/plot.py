"""A figure that notebooks display, and that is saved with text as text."""

from collections.abc import Sequence
from importlib.metadata import version
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attnwatch.system.files import write_file
from attnwatch.system.output_files import require_suffix

SUFFIXES = (".png", ".pdf", ".svg")

_PNG: Any = {"pil_kwargs": {"compress_level": 4}}  # half of the time, and 8 % more bytes than by default
_ON_SCREEN = 100  # pixels per inch in notebooks
_IN_FILES: Any = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "attnwatch",
    "image.composite_image": False,
}
"""TrueType fonts in PDF files, as publishers ask for; text in SVG files; pictures one by one; always the same bytes."""


class Plot(Figure):
    """A figure of matplotlib whose pictures have some number of pixels per inch when it is saved.

    Args:
        size: width and height in inches.
        dpi: pixels per inch of the pictures in a saved file.
        about: what it shows, for the metadata of the file.
        notes: remarks on what is left out or uncertain.

    """

    def __init__(self, size: tuple[float, float], dpi: int, about: str, notes: Sequence[str] = ()) -> None:
        super().__init__(figsize=size, dpi=_ON_SCREEN, facecolor="white")
        FigureCanvasAgg(self)
        self._saved_dpi, self._about = dpi, about
        self.notes = tuple(notes)

    def savefig(self, fname: str | PathLike[str] | IO[bytes], **options: Any) -> None:  # noqa: ANN401 - matplotlib's
        """Save the figure as matplotlib does, by default with the pixels per inch that it was made for."""
        with mpl.rc_context(_IN_FILES):
            super().savefig(fname, **{"dpi": self._saved_dpi, **options})

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a PNG, PDF or SVG file atomically, by the suffix of its name, and return its path.

        Raises:
            ConfigError: the name has another suffix.
            OSError: the file cannot be written.

        """
        target = Path(path)
        suffix = require_suffix(target, SUFFIXES)
        data = BytesIO()
        self.savefig(data, format=suffix[1:], metadata=self._metadata(suffix), **_PNG if suffix == ".png" else {})
        write_file(target, data.getvalue())
        return target

    def _metadata(self, suffix: str) -> dict[str, Any]:
        program = f"attnwatch {version('attnwatch')}, matplotlib {mpl.__version__}"
        if suffix == ".png":
            return {"Software": program, "Description": self._about}
        if suffix == ".pdf":
            return {"Creator": program, "Subject": self._about, "CreationDate": None}
        return {"Creator": program, "Description": self._about, "Date": None}

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return what a notebook shows, and how many pixels wide: half of its own, for screens with fine pixels."""
        data = BytesIO()
        self.savefig(data, format="png", dpi=2 * _ON_SCREEN, **_PNG)
        return data.getvalue(), {"width": round(_ON_SCREEN * float(self.get_figwidth()))}
