from fractions import Fraction
from itertools import pairwise
from typing import ClassVar, get_args

import av
import numpy as np
import pytest

from attnwatch.contract.kinds import OutputKind, only
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import ConfigError, TensorError, VideoError
from attnwatch.render.compose import pixels
from attnwatch.render.video import render_outputs
from attnwatch.settings import OverlayStyle, Upsampling, Visualization
from attnwatch.tensors.loops import add_halves_with_numpy
from tests.odd_videos import tagged, turn, without_first_packet, write_trimmed_video
from tests.support import FRAMES, Batch, blob_maps, brightest, write_source_video, write_tensors
from tests.unit.attnwatch.render.reference import bilinear, coloured, psnr, rgb_of

GRID = (3, 30, 52)
SIZE = (832, 480)


def render(manifest, directory, **settings):
    """Render a video and return the decoded frames by output kind, and the rendering itself."""
    directory.mkdir(exist_ok=True)
    options = {name: settings.pop(name) for name in ("tokens", "threads") if name in settings}
    rendering = render_outputs(read_manifest(manifest), Visualization(**settings), directory, **options)
    frames = {}
    for output in rendering.outputs:
        with av.open(str(output.path)) as container:
            frames[output.kind] = list(container.decode(video=0))
    return frames, rendering


def luma(frame):
    return pixels(frame.planes[0]).astype(float)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A video of realistic size, with a moving blob."""
    batch = Batch.make(tmp_path_factory.mktemp("large"))
    tensors = {"kiss": blob_maps(GRID, dtype=np.float16)}
    manifest = batch.add(tensors=tensors, frames=9)
    write_source_video(manifest.with_name("video_001.mp4"), width=SIZE[0], height=SIZE[1], frames=9)
    return manifest


@pytest.fixture(scope="module")
def grainy(tmp_path_factory):
    """A video full of detail and grain, which moves."""
    manifest = Batch.make(tmp_path_factory.mktemp("grainy")).add(frames=9)
    rng = np.random.default_rng(0)
    detail = 128 + 40 * rng.normal(size=(14, 30)).repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(manifest.with_name("video_001.mp4")), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 176, 112, "yuv420p"
        for index in range(9):
            picture = detail[:, 5 * index : 5 * index + 176] + 4 * rng.normal(size=(112, 176))
            grey = av.VideoFrame.from_ndarray(np.clip(picture, 16, 235).astype(np.uint8), format="gray")
            container.mux(stream.encode(grey.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return manifest


@pytest.fixture(scope="module")
def drifting(tmp_path_factory):
    """A grey video with a blob that drifts, and the row and column of its hottest cell at each frame."""
    frames = 9
    rows, columns = np.mgrid[:7, :13]
    centres = [(3, 5), (3, 6), (2, 7)]
    maps = np.stack([np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 3) for row, column in centres])
    manifest = Batch.make(tmp_path_factory.mktemp("drifting")).add(
        tensors={"kiss": maps.astype(np.float16)[None, None, None]}, frames=frames
    )
    write_source_video(manifest.with_name("video_001.mp4"), width=208, height=112, frames=frames, colour=(120,) * 3)
    between = np.interp(np.arange(frames), [0, 2.5, 6.5], np.arange(len(maps)))
    shown = [maps[int(at)] * (1 - at % 1) + maps[min(int(at) + 1, 2)] * (at % 1) for at in between]
    return manifest, [np.argwhere(map_ >= map_.max() - 1 / 255).mean(axis=0) for map_ in shown]


def hottest(style, shown):
    """Return the row and column of the middle of what an overlay over a grey video shows of the map's maximum."""
    if style == "contour":  # the innermost line surrounds it, and the lines around that one have the same middle
        marked = np.argwhere(np.abs(shown - np.median(shown)) > 30)
        return (marked.min(axis=0) + marked.max(axis=0)) / 2
    return np.argwhere(shown >= shown.max() - 1).mean(axis=0)


def sources_of(manifest):
    with av.open(str(manifest.with_name("video_001.mp4"))) as container:
        return list(container.decode(video=0))


@pytest.fixture
def manifest(tmp_path):
    return Batch.make(tmp_path / "outputs").add()


def expected_shares(steps=None):
    """Return the normalized map of each video frame of `large`, computed independently in float64."""
    maps = blob_maps(GRID, dtype=np.float16).astype(np.float64).mean(axis=(0, 1, 2))
    middles = [0, 2.5, 6.5]
    frames = np.stack(
        [
            np.array([[np.interp(t, middles, maps[:, y, x]) for x in range(GRID[2])] for y in range(GRID[1])])
            for t in range(9)
        ]
    )
    return (frames - frames.min()) / (frames.max() - frames.min())


@pytest.fixture(scope="module")
def shares():
    return expected_shares()


class TestAgainstAnIndependentReference:
    @pytest.mark.parametrize("colormap", ["hot", "viridis", "inferno", "magma", "turbo", "gray"])
    def test_attention_matches_the_matplotlib_colours_within_one_level(self, large, shares, tmp_path, colormap):
        frames, _ = render(large, tmp_path / "out", colormap=colormap, generate_overlay=False)
        for index in (0, 4, 8):
            expected = coloured(bilinear(shares[index], SIZE[1], SIZE[0]), colormap)
            assert np.abs(rgb_of(frames["attention"][index]) - expected).mean() <= 1.0

    @pytest.mark.parametrize("alpha", [0.3, 0.6])
    @pytest.mark.parametrize("style", ["uniform", "weighted", "spotlight"])
    def test_the_overlay_lays_the_map_over_the_source(self, large, shares, tmp_path, style, alpha):
        asked = {"overlay": style, "overlay_alpha": alpha, "colormap": "hot"}
        frames, _ = render(large, tmp_path / "out", generate_attention_only=False, **asked)
        for index, source in enumerate(sources_of(large)):
            share = bilinear(shares[index], SIZE[1], SIZE[0])
            heat = np.zeros((*share.shape, 3)) if style == "spotlight" else coloured(share, "hot")
            weight = alpha * {"uniform": np.ones_like(share), "weighted": share, "spotlight": 1 - share}[style]
            heat_luma = 16 + 219 / 255 * (heat @ [0.299, 0.587, 0.114])
            expected = (1 - weight) * luma(source) + weight * heat_luma
            assert psnr(luma(frames["overlay"][index]), expected) >= 42

    @pytest.mark.parametrize("quality", ["fast", "balanced", "high"])
    def test_the_source_stays_as_it_is_where_the_model_does_not_look(self, grainy, tmp_path, quality):
        frames, _ = render(grainy, tmp_path / "out", vmin=10, vmax=11, generate_attention_only=False, quality=quality)
        pairs = zip(sources_of(grainy), frames["overlay"], strict=True)
        assert psnr(*np.transpose([(luma(source), luma(frame)) for source, frame in pairs], (1, 0, 2, 3))) >= 45

    @pytest.mark.parametrize("upsampling", get_args(Upsampling))
    @pytest.mark.parametrize("style", [*get_args(OverlayStyle), "combined"])
    def test_the_hottest_spot_of_every_overlay_is_in_its_latent_cell(self, drifting, tmp_path, style, upsampling):
        manifest, places = drifting
        asked = {"generate_combined": True} if style == "combined" else {"overlay": style}
        kind = OutputKind.COMBINED if style == "combined" else OutputKind.OVERLAY
        settings = only(kind, Visualization(overlay_alpha=1, colormap="gray", upsampling=upsampling, **asked))
        frames, _ = render(manifest, tmp_path / "out", **settings.model_dump(exclude_unset=True))
        assert len(frames[kind]) == len(places)
        for frame, place in zip(frames[kind], places, strict=True):
            spot = hottest(style, luma(frame)[: 80 if style == "combined" else None])  # above the legend
            assert np.abs((spot + 0.5) / 16 - 0.5 - place).max() <= 0.5

    def test_the_hottest_spot_is_within_half_a_latent_cell_in_every_frame(self, large, shares, tmp_path):
        frames, _ = render(large, tmp_path / "out", colormap="gray", generate_overlay=False)
        for frame, share in zip(frames["attention"], shares, strict=True):
            y, x = np.unravel_index(luma(frame).argmax(), (SIZE[1], SIZE[0]))
            # The highest level may be a plateau; compare its centre.
            top = np.argwhere(luma(frame) >= luma(frame).max() - 1)
            y, x = top.mean(axis=0)
            row, column = np.argwhere(share >= share.max() - 1 / 255).mean(axis=0)
            assert abs((y + 0.5) / 16 - 0.5 - row) <= 0.5
            assert abs((x + 0.5) / 16 - 0.5 - column) <= 0.5


class TestOutputs:
    def test_each_word_has_three_outputs_named_as_in_the_contract(self, manifest, tmp_path):
        _, rendering = render(manifest, tmp_path / "out")
        assert [output.file for output in rendering.outputs] == [
            "prompt_001_vid001_kiss_attention.mp4",
            "prompt_001_vid001_kiss_overlay.mp4",
            "prompt_001_vid001_kiss_static.mp4",
        ]
        assert rendering.notes == ()

    def test_frame_size_and_times_match_the_source(self, manifest, tmp_path):
        frames, _ = render(manifest, tmp_path / "out")
        for kind in ("attention", "overlay"):
            assert [frame.time for frame in frames[kind]] == pytest.approx([i / 16 for i in range(FRAMES)])
            assert {(frame.width, frame.height) for frame in frames[kind]} == {(64, 48)}

    def test_the_static_output_has_the_requested_duration_and_does_not_move(self, manifest, tmp_path):
        frames, _ = render(manifest, tmp_path / "out", static_duration=2.0)
        assert len(frames["static"]) == 32
        assert np.abs(luma(frames["static"][0]) - luma(frames["static"][-1])).mean() < 1

    @pytest.mark.parametrize(
        ("setting", "missing"),
        [
            ("generate_attention_only", "attention"),
            ("generate_overlay", "overlay"),
            ("generate_aggregated", "static"),
        ],
    )
    def test_each_kind_can_be_left_out(self, manifest, tmp_path, setting, missing):
        frames, _ = render(manifest, tmp_path / "out", **{setting: False})
        assert set(frames) == {"attention", "overlay", "static"} - {missing}

    def test_only_the_requested_words_are_rendered(self, tmp_path):
        manifest = Batch.make(tmp_path / "outputs").add(words=("kiss", "flowers"))
        _, rendering = render(manifest, tmp_path / "out", tokens=("flowers",))
        assert {output.token for output in rendering.outputs} == {"flowers"}
        _, rendering = render(manifest, tmp_path / "none", tokens=("dog",))
        assert rendering.outputs == ()
        assert rendering.notes == ("none of the tracked words (flowers, kiss) was requested",)

    def test_several_threads_give_the_same_files(self, tmp_path):
        manifest = Batch.make(tmp_path / "outputs").add(words=("one", "two", "three"))
        render(manifest, tmp_path / "a")
        render(manifest, tmp_path / "b", threads=3)
        names = sorted(path.name for path in (tmp_path / "a").iterdir())
        assert len(names) == 9
        assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)

    def test_without_the_video_there_is_no_overlay_but_a_note(self, manifest, tmp_path):
        manifest.with_name("video_001.mp4").unlink()
        frames, rendering = render(manifest, tmp_path / "out")
        assert set(frames) == {"attention", "static"}
        assert rendering.notes == ("no overlay: the video video_001.mp4 is absent",)

    @pytest.mark.parametrize("size", [(64, 48), (66, 50), (63, 47), (130, 34)])
    def test_any_size_of_video_is_rendered(self, tmp_path, size):
        manifest = Batch.make(tmp_path / "outputs").add()
        source = manifest.with_name("video_001.mp4")
        write_source_video(source, width=size[0], height=size[1], pix_fmt="yuv444p", frames=5)
        frames, _ = render(manifest, tmp_path / "out")
        expected = (size[0] // 2 * 2, size[1] // 2 * 2)
        assert {(frame.width, frame.height) for kind in frames.values() for frame in kind} == {expected}

    def test_a_video_of_one_frame_is_rendered(self, tmp_path):
        manifest = Batch.make(tmp_path / "outputs").add(frames=1)
        frames, _ = render(manifest, tmp_path / "out")
        assert (len(frames["attention"]), len(frames["overlay"])) == (1, 1)


class TestSettings:
    """Each setting has a visible effect on the decoded pictures."""

    def test_colormap(self, manifest, tmp_path):
        hot, _ = render(manifest, tmp_path / "a", colormap="hot")
        gray, _ = render(manifest, tmp_path / "b", colormap="gray")
        assert np.ptp(pixels(gray["attention"][4].planes[2]).astype(int)) <= 2
        assert np.ptp(pixels(hot["attention"][4].planes[2]).astype(int)) > 50

    @pytest.mark.parametrize("quality", ["fast", "balanced", "high"])
    def test_quality(self, manifest, tmp_path, quality):
        frames, rendering = render(manifest, tmp_path / "out", quality=quality)
        assert len(frames["overlay"]) == FRAMES
        settings = {"fast": "subme=0", "balanced": "subme=2", "high": "subme=8"}
        assert settings[quality].encode() in rendering.outputs[0].path.read_bytes()

    @pytest.mark.parametrize(("fps", "count"), [(8, 5), (4, 3), (16, 9), (32, 18), (5, 3)])
    def test_fps_changes_the_number_of_frames_and_not_the_duration(self, manifest, tmp_path, fps, count):
        frames, _ = render(manifest, tmp_path / "out", fps=fps)
        for kind in ("attention", "overlay"):
            assert len(frames[kind]) == count
            assert [frame.time for frame in frames[kind]] == pytest.approx([i / fps for i in range(count)])

    def test_a_lower_fps_shows_the_frames_on_screen_at_that_time(self, manifest, tmp_path):
        every, _ = render(manifest, tmp_path / "a", quality="high")
        half, _ = render(manifest, tmp_path / "b", fps=8, quality="high")
        for index, frame in enumerate(half["overlay"]):
            assert np.abs(luma(frame) - luma(every["overlay"][2 * index])).mean() < 2

    def test_interpolation_steps_0_holds_each_latent_frame(self, manifest, tmp_path):
        frames, _ = render(manifest, tmp_path / "out", interpolation_steps=0, quality="high")
        pictures = [luma(frame) for frame in frames["attention"]]
        changes = [np.abs(b - a).mean() > 1 for a, b in pairwise(pictures)]
        assert changes == [True, False, False, False, True, False, False, False]

    def test_smooth_interpolation_changes_every_frame_between_latent_times(self, manifest, tmp_path):
        frames, _ = render(manifest, tmp_path / "out", quality="high")
        pictures = [luma(frame) for frame in frames["attention"]]
        assert all(np.abs(b - a).mean() > 0.5 for a, b in pairwise(pictures[:7]))

    def test_normalization_and_scale_are_reported(self, manifest, tmp_path):
        _, video = render(manifest, tmp_path / "a")
        _, fixed = render(manifest, tmp_path / "b", vmin=0.0, vmax=2.0, normalization="batch")
        maps = blob_maps().mean(axis=(0, 1, 2))
        assert video.outputs[0].scale.high == pytest.approx(maps.max(), rel=1e-3)
        assert (fixed.outputs[0].scale.low, fixed.outputs[0].scale.high) == (0.0, 2.0)

    def test_threshold_and_invert(self, manifest, tmp_path):
        plain, _ = render(manifest, tmp_path / "a", colormap="gray")
        cut, _ = render(manifest, tmp_path / "b", colormap="gray", threshold=0.9)
        inverted, _ = render(manifest, tmp_path / "c", colormap="gray", invert=True)
        assert luma(cut["attention"][4]).mean() < luma(plain["attention"][4]).mean() - 5
        total = luma(plain["attention"][4]) + luma(inverted["attention"][4])
        assert np.abs(total - (16 + 235)).mean() < 3


class TestStepsLayersAndHeads:
    """Four steps, two layers, two heads; each map has its blob in a different row, so the rows show the selection."""

    GRID = (3, 16, 8)

    @pytest.fixture
    def rows(self, tmp_path):
        maps = np.full((4, 2, 2, *self.GRID), 0.01, np.float32)
        for step in range(4):
            for layer in range(2):
                for head in range(2):
                    maps[step, layer, head, :, 4 * step + 2 * layer + head, :] = 0.9
        steps = [{"index": 10 * step} for step in range(4)]
        return Batch.make(tmp_path / "outputs").add(tensors={"kiss": maps}, denoising=steps)

    def bright_rows(self, manifest, directory, **settings):
        frames, _ = render(manifest, directory, colormap="gray", generate_overlay=False, **settings)
        picture = luma(frames["attention"][0]).mean(axis=1).reshape(16, 3).mean(axis=1)
        return np.flatnonzero(picture > 120).tolist()

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({}, list(range(16))),
            ({"steps": 20}, [8, 9, 10, 11]),
            ({"steps": -1}, [12, 13, 14, 15]),
            ({"steps": "0-10"}, list(range(8))),
            ({"steps": [0, 30]}, [0, 1, 2, 3, 12, 13, 14, 15]),
            ({"steps": 0, "layers": 1}, [2, 3]),
            ({"steps": 0, "heads": 1}, [1, 3]),
            ({"steps": 10, "layers": 0, "heads": -1}, [5]),
        ],
    )
    def test_the_mean_covers_exactly_the_selection(self, rows, tmp_path, settings, expected):
        found = self.bright_rows(rows, tmp_path / "out", vmin=0, vmax=0.9 / max(1, len(expected)), **settings)
        assert found == expected

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"steps": 5}, r"steps: found 5; expected some of the stored ones: 0, 10, 20, 30"),
            ({"layers": "4-9"}, r"layers: found '4-9'; expected some of the stored ones: 0-1"),
            ({"heads": [0, 2]}, r"heads: found \(0, 2\); expected some of the stored ones: 0-1"),
        ],
    )
    def test_the_refusal_of_a_missing_selection_lists_what_is_stored(self, rows, tmp_path, settings, message):
        with pytest.raises(ConfigError, match=message):
            render(rows, tmp_path / "out", **settings)

    def test_steps_cannot_be_selected_from_an_aggregated_map(self, tmp_path):
        tensors = {"kiss.aggregated": blob_maps()[0, 0, 0]}
        manifest = Batch.make(tmp_path / "outputs").add(tensors=tensors)
        render(manifest, tmp_path / "a")
        with pytest.raises(ConfigError, match="only the aggregated map"):
            render(manifest, tmp_path / "b", steps=0)


class TestStepEvolution:
    def test_each_step_has_one_frame_that_shows_its_map(self, tmp_path):
        maps = np.full((4, 1, 1, 3, 6, 8), 0.01, np.float32)
        for step in range(4):
            maps[step, ..., :, 2 * step : 2 * step + 2] = 0.5
        manifest = Batch.make(tmp_path / "outputs").add(tensors={"kiss": maps})
        write_source_video(manifest.with_name("video_001.mp4"), width=320, height=240)
        frames, _ = render(manifest, tmp_path / "out", generate_step_evolution=True, colormap="gray")
        assert len(frames["evolution"]) == 4
        columns = [brightest(luma(frame)[30:270, 8:328])[1] for frame in frames["evolution"]]
        assert columns == sorted(columns)
        assert columns[-1] - columns[0] > 100

    def test_without_stored_steps_it_is_left_out_with_a_note(self, tmp_path):
        tensors = {"kiss.aggregated": blob_maps()[0, 0, 0]}
        manifest = Batch.make(tmp_path / "outputs").add(tensors=tensors)
        frames, rendering = render(manifest, tmp_path / "out", generate_step_evolution=True)
        assert "evolution" not in frames
        assert rendering.notes == ("no step evolution for words with only an aggregated map",)


def test_a_grid_that_contradicts_the_tensors_is_refused(tmp_path):
    grid = {"frames": 3, "height": 8, "width": 6}
    manifest = Batch.make(tmp_path / "outputs").add(grid=grid)
    with pytest.raises(TensorError, match=r"grid: found 3 x 8 x 6; expected 3 x 6 x 8"):
        render(manifest, tmp_path / "out")


def test_aggregated_and_stepwise_maps_give_the_same_attention_video(tmp_path):
    maps = blob_maps(steps=4)
    both = []
    for name, tensors in (("a", {"kiss": maps}), ("b", {"kiss.aggregated": maps.mean(axis=(0, 1, 2))})):
        manifest = Batch.make(tmp_path / name).add(tensors=tensors)
        frames, _ = render(manifest, tmp_path / f"out_{name}", generate_overlay=False)
        both.append([luma(frame) for frame in frames["attention"]])
    assert np.abs(np.array(both[0]) - np.array(both[1])).max() <= 2


def test_every_output_of_a_word_shows_its_stored_aggregated_map(tmp_path):
    """The steps stored may be incomplete, so all outputs use the aggregated map."""
    whole = blob_maps()[0, 0, 0]
    tensors = {"kiss": np.ascontiguousarray(blob_maps()[..., ::-1]), "kiss.aggregated": whole}
    shown = {}
    for name, stored in (("both", tensors), ("aggregated", {"kiss.aggregated": whole})):
        manifest = Batch.make(tmp_path / name).add(tensors=stored)
        frames, _ = render(manifest, tmp_path / f"out_{name}")
        shown[name] = {kind: np.array([luma(frame) for frame in frames[kind]]) for kind in sorted(frames)}
    assert list(shown["both"]) == ["attention", "overlay", "static"]
    for kind, pictures in shown["both"].items():
        assert np.array_equal(pictures, shown["aggregated"][kind])


def test_an_uneven_source_keeps_its_times(tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add()
    times = [0, 500, 2000, 2100, 4000]
    with av.open(str(manifest.with_name("video_001.mp4")), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 16000)
        for pts in times:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, _ = render(manifest, tmp_path / "out")
    for kind in ("attention", "overlay"):
        assert [frame.time for frame in frames[kind]] == pytest.approx([t / 16000 for t in times], abs=1e-6)


def test_steps_are_joined_across_files(tmp_path):
    maps = blob_maps(steps=4)
    batch = Batch.make(tmp_path / "outputs")
    manifest = batch.add(attention=[f"attention_maps/vid001/step_{i:03d}.safetensors" for i in range(2)])
    for index in range(2):
        folder = manifest.parent / "attention_maps" / "vid001"
        write_tensors(folder / f"step_{index:03d}.safetensors", {"kiss": maps[2 * index : 2 * index + 2]})
    split, _ = render(manifest, tmp_path / "a", generate_overlay=False)
    whole, _ = render(batch.add(2, tensors={"kiss": maps}), tmp_path / "b", generate_overlay=False)
    assert all((luma(a) == luma(b)).all() for a, b in zip(split["attention"], whole["attention"], strict=True))


class TestNonfiniteValues:
    @pytest.fixture(params=[np.float16, np.float32])
    def broken(self, tmp_path, request):
        """A video with a hot square of nine cells that are NaN in one step and latent frame, and an infinite one."""
        maps = blob_maps(dtype=request.param)
        maps[1, 0, 0, 1, 1:4, 2:5], maps[0, 0, 0, 1, 5, 7] = np.nan, np.inf
        return Batch.make(tmp_path / "outputs").add(tensors={"kiss": maps, "man": blob_maps()})

    def test_by_default_they_are_refused(self, broken, tmp_path):
        with pytest.raises(TensorError, match=r"NaN or infinite values.*nonfinite: mask"):
            render(broken, tmp_path / "out")

    def test_masked_they_are_counted_and_every_output_is_made(self, broken, tmp_path):
        _, rendering = render(broken, tmp_path / "out", nonfinite="mask", generate_step_evolution=True)
        note = "kiss: 10 of 144 cells are NaN or infinite, and are drawn as the lower end of the scale"
        assert rendering.notes == (note,)
        assert {(output.token, output.kind) for output in rendering.outputs} >= {
            (word, kind) for word in ("kiss", "man") for kind in ("attention", "overlay", "static")
        }

    def test_a_masked_cell_has_the_colour_of_the_lower_end(self, broken, tmp_path):
        frames, _ = render(
            broken, tmp_path / "out", nonfinite="mask", tokens=("kiss",), interpolation_steps=0, colormap="gray"
        )
        picture = luma(frames["attention"][2])  # of latent frame 1
        rows, columns = picture.shape[0] / 6, picture.shape[1] / 8
        assert picture[int(2.5 * rows), int(3.5 * columns)] <= 24  # 16 is black

    def test_both_loops_give_the_same_files(self, broken, tmp_path, monkeypatch):
        found = []
        for name in ("compiled", "numpy"):
            if name == "numpy":
                monkeypatch.setattr("attnwatch.tensors.reduction.add_halves", add_halves_with_numpy)
            _, rendering = render(broken, tmp_path / name, nonfinite="mask")
            found.append([output.path.read_bytes() for output in rendering.outputs])
        assert found[0] == found[1]


def hot_columns(frames, columns=8):
    """Return the brightest of so many columns in each frame."""
    return [int(luma(frame).mean(axis=0).reshape(columns, -1).mean(axis=1).argmax()) for frame in frames]


def sweeping(frames=13):
    """Return a map whose hot column moves from the left to the right: the place tells the time."""
    maps = np.full((1, 1, 1, frames, 6, 8), 0.01, np.float32)
    for frame in range(frames):
        maps[..., frame, :, round(frame * 7 / (frames - 1))] = 0.9
    return maps


def test_the_map_moves_all_the_way_in_a_video_that_was_cut_without_encoding_it_again(tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add(tensors={"kiss": sweeping(5)})
    write_trimmed_video(manifest.with_name("video_001.mp4"), frames=30, hidden=13)
    frames, rendering = render(manifest, tmp_path / "out", colormap="gray")
    assert len(frames["attention"]) == len(frames["overlay"]) == 17
    columns = hot_columns(frames["attention"])
    assert (columns[0], columns[-1]) == (0, 7)
    assert rendering.notes == ()


class TestFrameCountsThatContradictTheGrid:
    grid: ClassVar = {"frames": 13, "height": 6, "width": 8, "temporal_stride": 4, "causal_first_frame": True}
    made: ClassVar = {"frames": 49, "fps": 16.0}

    def columns(self, folder, frames, fps, made=None):
        """Return the hot column of each frame, and the notes."""
        manifest = Batch.make(folder).add(tensors={"kiss": sweeping()}, frames=9, grid=self.grid, generation=made)
        write_source_video(manifest.with_name("video_001.mp4"), frames=frames, fps=fps)
        shown, rendering = render(manifest, folder / "out", colormap="gray", generate_overlay=False)
        return hot_columns(shown["attention"]), rendering.notes

    @pytest.fixture
    def generated(self, tmp_path):
        columns, notes = self.columns(tmp_path / "generated", 49, 16, self.made)
        assert (columns[0], columns[-1], notes) == (0, 7, ())
        return columns

    def test_an_interpolated_video_shows_each_map_at_its_time(self, tmp_path, generated):
        columns, notes = self.columns(tmp_path, 97, 32, self.made)
        assert columns[::2] == generated
        assert len(notes) == 1
        assert notes[0].startswith(
            "the video has 97 frames, the grid in its manifest covers 49: maps are placed by time"
        )

    def test_a_video_that_was_cut_shows_only_the_maps_of_what_is_left(self, tmp_path, generated):
        columns, (note,) = self.columns(tmp_path, 33, 16, self.made)
        assert columns == generated[:33]
        assert "maps are placed by time" in note

    def test_without_times_maps_are_spread_over_the_video(self, tmp_path):
        columns, (note,) = self.columns(tmp_path, 97, 16)
        assert (columns[0], columns[48], columns[-1]) == (0, 4, 7)
        assert note.endswith("maps are spread evenly over the video")


def test_decoding_that_finds_another_number_of_frames_places_the_maps_anew(tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add(tensors={"kiss": sweeping(5)}, video="video_001.ts")
    source = without_first_packet(manifest.parent)
    source.rename(manifest.with_name("video_001.ts"))
    frames, _ = render(manifest, tmp_path / "out", colormap="gray", generate_aggregated=False)
    assert len(frames["attention"]) == len(frames["overlay"]) == 12
    columns = hot_columns(frames["attention"])
    assert (columns[0], columns[-1]) == (0, 7)


def test_outputs_have_the_pixels_of_the_source_and_figures_square_ones(tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add()
    with av.open(str(manifest.with_name("video_001.mp4")), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    for figsize, expected in ((None, {"attention": 2, "overlay": 2, "static": 2}), ((6, 4), {})):
        directory = tmp_path / str(figsize)
        _, rendering = render(manifest, directory, figsize=figsize)
        for output in rendering.outputs:
            with av.open(str(output.path)) as container:
                aspect = container.streams.video[0].sample_aspect_ratio or 1
                assert aspect == expected.get(output.kind, 1)


@pytest.mark.parametrize("rotation", ["refuse", "apply"])
def test_a_turned_video_is_refused_or_shown_as_players_show_it(tmp_path, rotation):
    maps = np.full((1, 1, 1, 3, 8, 6), 0.01, np.float32)  # of the upright picture, 48 x 64
    maps[..., 0, 0] = 0.9
    manifest = Batch.make(tmp_path / "outputs").add(tensors={"kiss": maps})
    turn(manifest.with_name("video_001.mp4"), (0, 1, -1, 0))
    if rotation == "refuse":
        with pytest.raises(VideoError, match=r"turns the picture by 90 degrees clockwise; expected .* set rotation"):
            render(manifest, tmp_path / "out")
        return
    frames, _ = render(manifest, tmp_path / "out", rotation="apply", colormap="gray", overlay_alpha=0.5)
    for frame in (frames["attention"][1], frames["overlay"][1]):
        assert (frame.width, frame.height) == (48, 64)
    row, column = brightest(luma(frames["attention"][1]))
    assert (row < 16, column < 12) == (True, True)


def test_hdr_is_noted(tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add()
    tagged(manifest.with_name("video_001.mp4"), 9, 9, 16, pix_fmt="yuv420p10le", level=255)
    frames, rendering = render(manifest, tmp_path / "out", overlay_alpha=0)
    assert rendering.notes == ("the video is HDR (PQ): its pictures are mapped to the colours of BT.709",)
    assert luma(frames["overlay"][0]).mean() == pytest.approx(235, abs=1)
