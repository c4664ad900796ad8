"""Composed videos, decoded again."""

import numpy as np
import pytest

from attnwatch.batches.videos import read_video
from attnwatch.contract.kinds import OutputKind, only
from attnwatch.errors import ConfigError, NotReadyError, UnknownNameError
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.colours import Colours
from attnwatch.render.side_by_side.composing import compose
from attnwatch.render.side_by_side.plan import planned
from attnwatch.render.side_by_side.scene import Request, Scene
from attnwatch.render.side_by_side.videos import opened
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization
from tests.legacy_support import OldBatch
from tests.moving import add_numbered, number_of
from tests.sounds import sound_codecs, write_with_sound
from tests.support import Batch, decode

SETTINGS = Visualization(quality="high")


def bars(scale):
    return colour_bar(OutputKind.OVERLAY, scale, SETTINGS, yuv_tables("viridis", Colours.usual(480)))


class Composed:
    """A composition, decoded, with the places of its cells."""

    def __init__(self, folder, manifests, settings=SETTINGS, **request):
        self.path = folder / "composed.mp4"
        read, asked = [read_video(manifest) for manifest in manifests], Request(**request)
        self.written = compose(read, settings, asked, self.path)
        self.frames = [frame.to_ndarray()[: frame.height].astype(int) for frame in decode(self.path)]
        self.boxes = places(read, asked, settings, self.seconds)

    @property
    def seconds(self):
        return float(len(self.frames) / self.written.rate)

    def cell(self, tick, video, column=0):
        box = self.boxes[video][column]
        return self.frames[tick][box.top : box.top + box.height, box.left : box.left + box.width]

    def numbers(self, video, column=0):
        """Return the numbers of the frames that a cell shows, by the grey of its middle."""
        return [number_of(np.median(self.cell(tick, video, column))) for tick in range(len(self.frames))]


def places(manifests, request, settings, seconds):
    from contextlib import ExitStack

    with ExitStack() as stack:
        videos = [stack.enter_context(opened(manifest, request.words, settings)) for manifest in manifests]
        return planned(Scene.of(videos, request, settings), seconds, bars).boxes


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Three videos of several rates and lengths: 9 frames in 0.56 s, 9 in 1.13 s, 12 in 0.5 s."""
    batch = Batch.make(tmp_path_factory.mktemp("batch"))
    add_numbered(batch, 1, words=("kiss", "park"))
    add_numbered(batch, 2, rate=8, peak=0.25, words=("kiss",))
    add_numbered(batch, 3, frames=12, rate=24, size=(48, 64), words=("kiss", "park"), peak=0.5)
    return batch


@pytest.fixture(scope="module")
def manifests(batch):
    return sorted(batch.folder.rglob("*.complete.json"))


@pytest.fixture(scope="module")
def matrix(manifests, tmp_path_factory):
    return Composed(tmp_path_factory.mktemp("matrix"), manifests, width=400)


def test_every_video_plays_in_time_whatever_its_rate_and_waits_at_its_end(matrix):
    assert matrix.written.rate == 24
    assert len(matrix.frames) == 27  # 1.13 s
    slow = matrix.numbers(1)
    assert slow == [min(8, tick // 3) for tick in range(27)]
    fast = matrix.numbers(2)
    assert fast[:12] == list(range(12))
    usual = matrix.numbers(0)[:13]
    assert all(abs(number / 16 - tick / 24) <= 1 / 16 for tick, number in enumerate(usual))
    assert usual == sorted(usual)


def test_a_video_that_is_over_stands_still_and_pale(matrix):
    assert np.median(matrix.cell(11, 2)) == pytest.approx(40 + 8 * 11, abs=2)
    pale = 0.45 * (40 + 8 * 11) + 0.55 * 235
    assert [np.median(matrix.cell(tick, 2)) for tick in (13, 20, 26)] == pytest.approx([pale] * 3, abs=2)


def test_columns_are_the_source_and_each_word_and_a_word_that_a_prompt_lacks_is_a_labelled_gap(matrix):
    assert [len(boxes) for boxes in matrix.boxes] == [3, 2, 3]
    assert np.ptp(matrix.cell(0, 0, 0)) < 10  # the source is of one grey
    assert np.ptp(matrix.cell(0, 0, 1)) > 40  # a word is not
    row = matrix.boxes[1]
    beyond = row[-1].left + (row[-1].left - row[0].left)
    gap = matrix.frames[0][row[0].top : row[0].top + row[0].height, beyond + 4 : beyond + row[0].width - 4]
    grey = np.median(gap)
    assert 200 < grey < 228
    assert gap.min() < 120  # what is written there


def test_one_scale_for_all_shows_that_attention_is_lower(manifests, tmp_path):
    shared = Composed(tmp_path, manifests[:2], words=("kiss",), alone=True, width=200)
    assert shared.cell(0, 1).max() < 0.75 * shared.cell(0, 0).max()
    each = Composed(tmp_path, manifests[:2], words=("kiss",), alone=True, width=200, shared=False)
    assert each.cell(0, 1).max() == pytest.approx(each.cell(0, 0).max(), abs=6)


@pytest.mark.parametrize("style", ["weighted", "contour"])
def test_a_cell_at_the_size_of_the_video_is_its_overlay(style, tmp_path):
    manifest = add_numbered(Batch.make(tmp_path), 1, size=(320, 240), frames=3)
    settings = Visualization(quality="high", overlay=style)
    composed = Composed(tmp_path, [manifest], settings)
    out = tmp_path / "out"
    out.mkdir()
    (overlay,) = render_outputs(read_video(manifest), only(OutputKind.OVERLAY, settings), out).outputs
    box = composed.boxes[0][1]
    assert (box.width, box.height) == (320, 240)
    expected = [frame.to_ndarray()[:240].astype(int) for frame in decode(overlay.path)]
    for tick, picture in enumerate(expected):
        assert np.abs(composed.cell(tick, 0, 1) - picture).mean() < 1.5


def test_the_clock_shows_the_seconds(matrix):
    right = [frame[:24, -90:] for frame in matrix.frames]
    assert np.abs(right[0] - right[1]).max() > 100
    assert np.abs(right[3] - right[3]).max() == 0


def test_a_single_word_of_several_videos_needs_no_source_unless_asked_for(manifests, tmp_path):
    assert [len(boxes) for boxes in Composed(tmp_path, manifests[1:2], width=200).boxes] == [2]
    plain = Composed(tmp_path, manifests, words=("kiss",), width=200)
    assert [len(boxes) for boxes in plain.boxes] == [1, 1, 1]
    asked = Composed(tmp_path, manifests, words=("kiss", "kiss"), source=True, width=200)
    assert [len(boxes) for boxes in asked.boxes] == [2, 2, 2]


def test_the_rate_can_be_chosen(manifests, tmp_path):
    composed = Composed(tmp_path, manifests[:1], Visualization(fps=8), width=200, words=("kiss",))
    assert composed.written.rate == 8
    assert composed.numbers(0) == [0, 2, 4, 6, 8]


def test_an_older_batch_is_composed_like_any_other(tmp_path):
    tensors = OldBatch(tmp_path).add()
    composed = Composed(tmp_path, [tensors], width=200)
    assert composed.written.rate == 16
    assert len(composed.boxes[0]) == 2


def test_a_video_that_is_absent_is_shown_as_maps_alone_if_that_is_asked_for(tmp_path):
    manifest = Batch.make(tmp_path).add(source=False)
    with pytest.raises(NotReadyError, match=r"found no video_001\.mp4; .*--alone --no-source"):
        Composed(tmp_path, [manifest])
    assert len(Composed(tmp_path, [manifest], alone=True, source=False, width=100).frames) > 1


def test_a_word_that_no_video_has_is_refused_with_those_that_there_are(manifests, tmp_path):
    with pytest.raises(UnknownNameError, match="found no word 'dog' in 3 videos; expected one of: kiss, park"):
        Composed(tmp_path, manifests, words=("dog",))


def test_more_than_36_pictures_are_refused(manifests, tmp_path):
    with pytest.raises(ConfigError, match=r"found 39 pictures .* \(13 videos, 2 words and the source\);"):
        Composed(tmp_path, manifests[:1] * 13)
    with pytest.raises(ConfigError, match="found 5,000 pictures"):
        compose([read_video(manifests[0])] * 5000, SETTINGS, Request(), tmp_path / "a.mp4")


def test_videos_that_do_not_fit_into_the_memory_together_are_refused(manifests, tmp_path):
    one = 20 * 64 * 48  # bytes
    about = r"found 3 videos of up to 64 x 48 .* 180 KiB .* at most 120 KiB, the memory_limit; choose fewer"
    with pytest.raises(ConfigError, match=about):
        Composed(tmp_path, manifests, memory=2 * one)
    Composed(tmp_path, manifests[:2], memory=2 * one, words=("kiss",), width=200)


def test_a_word_is_found_by_its_text_and_an_ambiguous_one_is_refused(tmp_path):
    texts = {"two_men": "two men", "man": "Man", "man_2": "Man"}
    tokens = [{"slug": slug, "text": text} for slug, text in texts.items()]
    manifest = read_video(add_numbered(Batch.make(tmp_path), 1, words=tuple(texts), tokens=tokens, frames=2))
    with opened(manifest, ("two men", "man"), SETTINGS) as video:
        assert dict(video.texts) == {"two men": "two men", "man": "Man"}
    with pytest.raises(UnknownNameError, match="found 2 words 'Man'; expected one of: man, man_2"):
        Composed(tmp_path, [manifest.path], words=("Man",))


def test_sound_belongs_to_a_single_video_only(tmp_path):
    batch = Batch.make(tmp_path)
    made = [add_numbered(batch, number) for number in (1, 2)]
    for manifest in made:
        write_with_sound(manifest.with_name("video_001.mp4"))
    assert sound_codecs(Composed(tmp_path, made[:1], width=200).path) == ["aac"]
    assert sound_codecs(Composed(tmp_path, made, width=200).path) == []
    assert sound_codecs(Composed(tmp_path, made[:1], Visualization(audio=False), width=200).path) == []


def test_maps_that_are_placed_by_time_are_told(tmp_path):
    grid = {"frames": 3, "height": 6, "width": 8, "temporal_stride": 4, "causal_first_frame": True}
    manifest = add_numbered(Batch.make(tmp_path), 1, frames=20, grid=grid)
    composed = Composed(tmp_path, [manifest], width=200)
    (note,) = composed.written.notes
    assert note.startswith("prompt_001_vid001: the video has 20 frames")


def test_characters_that_no_font_has_are_told(tmp_path):
    manifest = add_numbered(Batch.make(tmp_path), 1, frames=2, generation={"prompt": "a \ue000 kiss"})
    (note,) = Composed(tmp_path, [manifest], width=200).written.notes
    assert note.startswith("labels show □ for 1 character that no installed font has")
