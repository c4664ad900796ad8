"""Draw one picture of a whole batch: a row per video, with its overlay for each tracked word beside it.

Usage: `python configs/demo_picture.py outputs/demo_20260102_030405 demo.png`.
"""

import sys
from pathlib import Path

import av
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import attnwatch

MOMENTS = 4
STRIP_WIDTH, LABEL_HEIGHT = 4.2, 0.3  # inches
DPI = 100


def draw(batch: Path, picture: Path) -> None:
    """Draw the videos of ``batch`` and the overlays that the watcher has rendered."""
    rows = [_strips(video) for video in attnwatch.open(batch).values()]
    columns = max(map(len, rows))
    height, width = next(iter(rows[0].values())).shape[:2]
    row_height = STRIP_WIDTH * height / width + LABEL_HEIGHT
    figure = Figure(figsize=(columns * STRIP_WIDTH, len(rows) * row_height), dpi=DPI, layout="constrained")
    for row, strips in enumerate(rows):
        for column, (label, strip) in enumerate(strips.items()):
            axes = figure.add_subplot(len(rows), columns, row * columns + column + 1)
            axes.imshow(strip, interpolation="lanczos")
            axes.set_title(label.replace("$", r"\$"), fontsize=9)
            axes.set_axis_off()
    FigureCanvasAgg(figure).print_png(picture)


def _strips(video: attnwatch.Video) -> dict[str, np.ndarray]:
    """Return label -> strip: the video under its prompt, and the overlay of each word."""
    manifest = video.manifest
    seed = manifest.document.generation.seed
    strips = {f"{video.prompt} (seed {seed})": _strip(manifest.video)}
    texts = {token.slug: token.text for token in manifest.document.tokens}
    for word in video.words:
        overlay = manifest.output_directory / f"{video.video_id}_{word}_overlay.mp4"
        strips[f"“{texts.get(word, word)}”"] = _strip(overlay)
    return strips


def _strip(path: Path) -> np.ndarray:
    """Return ``[y, x, RGB]``: evenly spaced frames of a video, from first to last, side by side."""
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    chosen = np.rint(np.linspace(0, len(frames) - 1, MOMENTS)).astype(int)
    gap = np.full((frames[0].shape[0], 2, 3), 255, np.uint8)
    return np.concatenate([part for moment in chosen for part in (frames[moment], gap)][:-1], axis=1)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
