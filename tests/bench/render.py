"""`make bench`: the cost of rendering relative to its floor, as a table and as JSON."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np

from attnwatch.analysis.table import Level, Table
from attnwatch.contract.kinds import OutputKind, only
from attnwatch.contract.manifest import read_manifest
from attnwatch.jobs.measures import write_measures
from attnwatch.jobs.tables import add_video
from attnwatch.render.encode import Encoder
from attnwatch.render.source import VideoSource
from attnwatch.render.video import render_outputs
from attnwatch.settings import OverlayStyle, Quality, Visualization
from attnwatch.system.folders import Folder
from attnwatch.tensors.reader import AttentionReader
from tests.bench.baselines import figure_per_frame, rgb_frames
from tests.bench.material import attention, write_case
from tests.bench.measure import Ratio, alternate, cpu_seconds, peak_megabytes, program_cpu_seconds, wall_seconds
from tests.bench.table import Row, print_table, row
from tests.support import write_manifest, write_tensors

SD, HD, FRAMES = (832, 480), (1280, 720), 81


@dataclass
class Encoding:
    """What was encoded to one file, and how.

    Attributes:
        settings: the keyword arguments of the encoder.
        frames: each frame with its time and its duration.

    """

    settings: dict[str, Any]
    frames: list[tuple[av.VideoFrame, int, int]] = field(default_factory=list)


Encodings = dict[str, Encoding]
"""By name of the file."""


def asked(quality: Quality, **pages: Any) -> Visualization:
    """Ask for the attention and overlay videos."""
    return Visualization(quality=quality, generate_aggregated=False, **pages)


def render(manifest: Path, folder: Path, settings: Visualization, threads: int = 1) -> None:
    """Render a video in this process."""
    render_outputs(read_manifest(manifest), settings, folder, threads=threads)


@contextmanager
def recorded(encodings: Encodings) -> Iterator[None]:
    """Record everything that is encoded within the context."""
    begin, write = Encoder.__init__, Encoder.write

    def keep_settings(self: Encoder, path: Path, **settings: Any) -> None:
        encodings[path.name] = Encoding(settings)
        begin(self, path, **settings)

    def keep_frame(self: Encoder, frame: av.VideoFrame, pts: int, duration: int) -> None:
        encodings[self._path.name].frames.append((frame, pts, duration))
        write(self, frame, pts, duration)

    Encoder.__init__, Encoder.write = keep_settings, keep_frame  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Encoder.__init__, Encoder.write = begin, write  # type: ignore[method-assign]


def floor(video: Path, encodings: Encodings, folder: Path) -> None:
    """Do the unavoidable work: decode the source once and encode what rendering encodes, with the same settings."""
    with video.open("rb") as file:
        for _ in VideoSource(file, video.name).frames():
            pass
    for name, encoding in encodings.items():
        with Encoder(folder / name, **encoding.settings) as encoder:
            for frame, pts, duration in encoding.frames:
                encoder.write(frame, pts, duration)


def over_floor(manifest: Path, folder: Path, settings: Visualization, runs: int = 5) -> Ratio:
    """Compare rendering with its floor, in CPU time."""
    encodings: Encodings = {}
    with recorded(encodings):
        render(manifest, folder, settings)
    video = manifest.with_name("video_001.mp4")
    return alternate(
        lambda: cpu_seconds(lambda: render(manifest, folder, settings)),
        lambda: cpu_seconds(lambda: floor(video, encodings, folder)),
        runs,
    )


def qualities(folder: Path) -> Iterator[Row]:
    """Measure one word at every quality, and at 720p."""
    bars: dict[Quality, float] = {"fast": 1.20, "balanced": 1.10, "high": 1.10}
    (manifest,) = write_case(folder / "sd", SD, FRAMES, words=1)
    for quality, bar in bars.items():
        runs = 3 if quality == "high" else 5  # a run at high quality takes half a minute
        yield row(f"832x480, {quality}, 1 word: over floor", over_floor(manifest, folder, asked(quality), runs), bar)
    (manifest,) = write_case(folder / "hd", HD, FRAMES, words=1)
    yield row("1280x720, fast, 1 word: over floor", over_floor(manifest, folder, asked("fast")), 1.20)


def overlays(folder: Path) -> Iterator[Row]:
    """Measure overlays alone: each style, and several words in one. They have no bar."""
    (manifest,) = write_case(folder / "overlays", SD, FRAMES, words=1)
    for style in get_args(OverlayStyle):
        settings = only(OutputKind.OVERLAY, Visualization(overlay=style))
        yield row(
            f"832x480, balanced, 1 word, {style} overlay: over floor", over_floor(manifest, folder, settings, 3), None
        )
    for words in (2, 6):
        (manifest,) = write_case(folder / f"combined_{words}", SD, FRAMES, words=words)
        settings = only(OutputKind.COMBINED, Visualization(generate_combined=True))
        name = f"832x480, balanced, {words} words in one overlay: over floor"
        yield row(name, over_floor(manifest, folder, settings, 3), None)


def pages(folder: Path) -> Iterator[Row]:
    """Compare figures and captions with plain pictures, in CPU time."""
    (manifest,) = write_case(folder / "pages", SD, FRAMES, words=1)
    plain = asked("fast")
    for name, paged in (
        ("figures of 832x480", asked("fast", figsize=(8.32, 4.8))),
        ("full captions", asked("fast", caption="full")),
    ):
        ratio = alternate(
            lambda paged=paged: cpu_seconds(lambda: render(manifest, folder, paged)),  # type: ignore[misc]
            lambda: cpu_seconds(lambda: render(manifest, folder, plain)),
        )
        yield row(f"{name}: over plain pictures", ratio, 1.30)


def measures(folder: Path) -> Iterator[Row]:
    """Compare rendering and measuring one word with rendering it."""
    (path,) = write_case(folder / "measures", SD, FRAMES, words=1)
    manifest, settings = read_manifest(path), asked("fast")
    timeline = render_outputs(manifest, settings, folder).timeline

    def measure() -> None:
        with Folder.open(folder) as target:
            write_measures(manifest, settings, target, timeline)

    ratio = alternate(lambda: cpu_seconds(measure), lambda: cpu_seconds(lambda: render(path, folder, settings)))
    both = Ratio(ratio.work + ratio.reference, ratio.reference)
    yield row("832x480, fast, 1 word: with measures over without", both, 1.05)


def tables(folder: Path, videos: int = 100) -> Iterator[Row]:
    """Compare tables of videos, with and without measures written while rendering, with reading all maps once."""
    (path,) = write_case(folder / "tables", SD, FRAMES, words=2)
    manifest, settings = read_manifest(path), Visualization()

    def read_through() -> None:
        for _ in range(videos):
            with AttentionReader(read_manifest(path)) as reader:
                for word in reader.words.values():
                    word.frames()

    def tabulate(level: Level) -> None:
        table = Table()
        for _ in range(videos):
            add_video({level: table}, read_manifest(path), settings)

    def over_reading(level: Level, which: str) -> Row:
        ratio = alternate(lambda: cpu_seconds(lambda: tabulate(level)), lambda: cpu_seconds(read_through), runs=3)
        return row(f"measure --level {level}, {videos} {which} videos x 2 words: over reading the maps", ratio, 1.5)

    yield over_reading("video", "new")
    manifest.output_directory.mkdir(exist_ok=True)
    with Folder.open(manifest.output_directory) as target:
        write_measures(manifest, settings, target)
    yield over_reading("video", "rendered")
    yield over_reading("step", "rendered")


def parallel(folder: Path) -> Iterator[Row]:
    """Compare the wall time per word: eight words on two threads, and one word on one."""
    (eight,) = write_case(folder / "eight", SD, FRAMES, words=8)
    (one,) = write_case(folder / "one", SD, FRAMES, words=1)
    ratio = alternate(
        lambda: wall_seconds(lambda: render(eight, folder, asked("fast"), threads=2)) / 8,
        lambda: wall_seconds(lambda: render(one, folder, asked("fast"))),
    )
    yield row("8 words, 2 workers: wall per word over 1 word, 1 worker", ratio, 0.60)


def whole_program(folder: Path) -> Iterator[Row]:
    """Compare `attnwatch ROOT --once`, with start-up and all its processes, with the floor of its outputs."""
    root = folder / "program"
    manifests = write_case(root, SD, FRAMES, words=2, videos=3)
    encodings: Encodings = {}
    with recorded(encodings):
        render(manifests[0], folder, asked("fast"))
    options = ("--once", "--force", "--quiet", "--set", "quality=fast", "--set", "generate_aggregated=false")

    def floors() -> None:
        for manifest in manifests:
            floor(manifest.with_name("video_001.mp4"), encodings, folder)

    ratio = alternate(lambda: program_cpu_seconds(["attnwatch", str(root), *options]), lambda: cpu_seconds(floors))
    yield row("attnwatch ROOT --once, 3 videos x 2 words: over floor", ratio, 1.35)


REDUCE = """
import sys
from pathlib import Path
from attnwatch.contract.manifest import read_manifest
from attnwatch.tensors.reader import AttentionReader
with AttentionReader(read_manifest(Path(sys.argv[1]))) as reader:
    for word in reader.words.values():
        word.frames()
"""

RENDER = """
import sys
from pathlib import Path
from attnwatch.contract.manifest import read_manifest
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization
import matplotlib.colors
for path in sys.argv[2:]:
    render_outputs(read_manifest(Path(path)), Visualization(quality="fast"), Path(sys.argv[1]), threads=2)
"""


def per_head(folder: Path) -> Iterator[Row]:
    """Compare averaging 30 layers x 12 heads x 20 steps with reading the file once."""
    path = folder / "heads" / "maps.safetensors"
    write_tensors(path, {"word": attention(*SD, FRAMES, layers=30, heads=12, steps=20)})
    manifest = write_manifest(path.with_name("video_001.complete.json"))
    buffer = bytearray(2**20)

    def read_through() -> None:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    def reduce() -> None:
        with AttentionReader(read_manifest(manifest)) as reader:
            reader.words["word"].frames()

    ratio = alternate(lambda: cpu_seconds(reduce), lambda: cpu_seconds(read_through))
    size = path.stat().st_size / 1e6
    yield row(f"per-head tensors ({size:.0f} MB): reduce over reading through", ratio, 1.5)
    yield Row("per-head tensors: peak memory", peak_megabytes(REDUCE, str(manifest)), 250, "MB")
    path.unlink()


def memory(folder: Path) -> Iterator[Row]:
    """Measure the peak memory of a worker with few and many words and videos."""
    for name, words, videos in (("1 word", 1, 1), ("8 words", 8, 1), ("4 videos", 1, 4)):
        manifests = write_case(folder / f"memory_{words}_{videos}", SD, FRAMES, words, videos)
        found = peak_megabytes(RENDER, str(folder), *map(str, manifests))
        yield Row(f"peak memory of a worker, {name}", found, 300, "MB")


def baselines(folder: Path) -> Iterator[Row]:
    """Compare other methods of making the same two outputs with this one."""
    (manifest,) = write_case(folder / "baseline", SD, FRAMES, words=1)
    ways: dict[str, Callable[[Path, Path], None]] = {
        "a matplotlib figure per frame": figure_per_frame,
        "RGB colormap and blend": rgb_frames,
    }
    for name, way in ways.items():
        ratio = alternate(
            lambda way=way: cpu_seconds(lambda: way(manifest, folder)),  # type: ignore[misc]
            lambda: cpu_seconds(lambda: render(manifest, folder, asked("fast"))),
            runs=3,
        )
        yield row(f"{name}: over attnwatch", ratio, None)


PARTS = (qualities, overlays, pages, measures, tables, parallel, whole_program, per_head, memory, baselines)


if __name__ == "__main__":
    print_table(PARTS, "bench.json", f"numpy {np.__version__}, av {av.__version__}")
