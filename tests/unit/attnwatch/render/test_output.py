"""Figures and captions as they are in the files."""

from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import read_manifest
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import HeatPainter, pixels
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import Scale
from attnwatch.render.output import Context
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.caption import Full, caption_page
from attnwatch.render.pages.counter import seconds_form
from attnwatch.render.pages.lines import TextStyle
from attnwatch.render.source import open_source
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import AttentionReader
from tests.support import Batch, blob_maps, write_source_video
from tests.unit.attnwatch.render.reference import psnr

SIZE, FRAMES, RATE = (208, 208), 9, 16
FIGURE = (4, 3)
PAGES = {"plain": {}, "word": {"caption": "word"}, "full": {"caption": "full"}, "figure": {"figsize": FIGURE}}
PER_FRAME = ("attention", "overlay")
TEXT = TextStyle(9)
UNTAGGED = Colours.of_matrix(Colorspace.ITU601)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    batch = Batch.make(tmp_path_factory.mktemp("pages"))
    path = batch.add(tensors={"kiss": blob_maps((3, 13, 13))}, frames=FRAMES)
    write_source_video(path.with_name("video_001.mp4"), width=SIZE[0], height=SIZE[1], frames=FRAMES)
    return path


@pytest.fixture(scope="module")
def made(manifest, tmp_path_factory):
    """The luma of each frame before it was encoded and after it was decoded, by page and kind."""
    before, after = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        write = Encoder.write

        def keep(self, frame, pts, duration):
            before.setdefault((page, self._path.name.split("_")[-1].split(".")[0]), []).append(luma(frame))
            write(self, frame, pts, duration)

        patch.setattr(Encoder, "write", keep)
        for page, changes in PAGES.items():
            folder = tmp_path_factory.mktemp(page)
            settings = Visualization(static_duration=0.1, interpolation_steps=0, **changes)
            for output in render_outputs(read_manifest(manifest), settings, folder).outputs:
                with av.open(str(output.path)) as container:
                    after[page, str(output.kind)] = [luma(frame) for frame in container.decode(video=0)]
    return before, after


def luma(frame):
    return pixels(frame.planes[0]).astype(int)


@contextmanager
def opened(manifest, **settings):
    """Open the context of a rendering, and its word."""
    document = read_manifest(manifest)
    with AttentionReader(document) as reader, open_source(document, reader.words["kiss"].grid) as source:
        context = Context(document, Visualization(**settings), manifest.parent, source.timeline, {})
        yield context, reader.words["kiss"]


def read(picture, cells):
    """Return the number in cells of a decoded picture: for each, the character that is most alike."""
    return "".join(_read(picture[cell.top : cell.bottom, cell.left : cell.right]) for cell in cells).strip()


def _read(cell):
    def difference(character):
        canvas = Canvas(cell.shape[1], cell.shape[0])
        canvas.write(character, 0, TEXT.ascent, TEXT)
        return np.abs(canvas.luma.astype(int) - cell).mean()

    return min("0123456789. ", key=difference)


@pytest.mark.parametrize("page", PAGES)
def test_every_frame_has_the_size_that_memory_is_planned_for(manifest, made, page):
    with opened(manifest, **PAGES[page]) as (context, _):
        width, height = context.page_size
    for kind in (*PER_FRAME, "static"):
        assert {picture.shape for picture in made[1][page, kind]} == {(height, width)}


@pytest.mark.parametrize("page", ["word", "full"])
@pytest.mark.parametrize("kind", [*PER_FRAME, "static"])
def test_a_caption_leaves_every_pixel_of_the_picture_as_it_is(made, page, kind):
    before, _ = made
    for captioned, plain in zip(before[page, kind], before["plain", kind], strict=True):
        assert (captioned[: SIZE[1]] == plain).all()


@pytest.mark.parametrize("kind", PER_FRAME)
def test_frame_k_of_a_decoded_video_says_k_divided_by_its_rate(made, kind):
    page = caption_page(SIZE, Fraction(1), "", Full("", form=seconds_form((FRAMES - 1) / RATE)))
    ((_, cells),) = page.counter.cells
    found = [read(picture, cells) for picture in made[1]["full", kind]]
    assert found == [f"{index / RATE:.2f}" for index in range(FRAMES)]


@pytest.fixture(scope="module")
def figure(manifest):
    """The page of the figures, and the map of the first frame as shares of its scale."""
    with opened(manifest, figsize=FIGURE) as (context, word):
        maps = word.frames()
        low, high = maps.min(), maps.max()
        return context.page(word, OutputKind.ATTENTION, Scale(float(low), float(high))), (maps[0] - low) / (high - low)


@pytest.mark.parametrize("kind", PER_FRAME)
def test_a_decoded_figure_counts_frames_and_seconds(made, figure, kind):
    page, _ = figure
    for index, picture in enumerate(made[1]["figure", kind]):
        found = {number.name: read(picture, cells) for number, cells in page.counter.cells}
        assert found == {"frame": f"{index + 1}", "seconds": f"{index / RATE:.2f}"}


def test_the_map_in_a_figure_is_the_plain_map_of_that_size(made, figure):
    page, shares = figure
    (box,) = page.boxes
    expected = luma(HeatPainter(*box.size, yuv_tables("viridis", UNTAGGED)).paint(shares))
    assert (made[0]["figure", "attention"][0][box.top : box.bottom, box.left : box.right] == expected).all()


def test_the_overlay_in_a_figure_is_the_plain_overlay_in_another_size(made, figure):
    page, _ = figure
    (box,) = page.boxes
    for shown, plain in zip(made[0]["figure", "overlay"], made[0]["plain", "overlay"], strict=True):
        frame = av.VideoFrame.from_ndarray(plain.astype(np.uint8), format="gray").reformat(*box.size)
        assert psnr(shown[box.top : box.bottom, box.left : box.right], luma(frame)) > 35


def test_titles_say_what_is_shown(manifest):
    with opened(manifest) as (context, word):
        titles = {kind: context.title(word, kind) for kind in OutputKind}
        alone = context.title(word, OutputKind.STATIC, prompt=False)
    shown = f"in {read_manifest(manifest).video_id}"
    assert titles[OutputKind.ATTENTION] == titles[OutputKind.OVERLAY] == f"“kiss” {shown}"
    assert titles[OutputKind.STATIC] == f"“kiss”, mean over time, {shown}"
    assert titles[OutputKind.EVOLUTION] == f"“kiss”, while denoising, {shown}"
    assert alone == "“kiss”, mean over time"


def test_captions_are_not_drawn_around_figures(manifest, figure):
    with opened(manifest, figsize=FIGURE, caption="full") as (context, word):
        page = context.page(word, OutputKind.ATTENTION, Scale(0, 1))
        assert (page.boxes, page.size) == (figure[0].boxes, figure[0].size)
