import av
import numpy as np
import pytest

from attnwatch.contract.kinds import OutputKind, only
from attnwatch.contract.manifest import read_manifest
from attnwatch.render.colormap import rgb_to_yuv
from attnwatch.render.colours import Colours
from attnwatch.render.combined.hues import hues_rgb
from attnwatch.render.compose import pixels
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization
from tests.sounds import sound_codecs, write_with_sound
from tests.support import FRAMES, Batch, blob_maps, write_source_video

WORDS = ("kiss", "man", "dog", "cat", "tree", "sky", "sea")
ASKED = only(OutputKind.COMBINED, Visualization(generate_combined=True, overlay_alpha=1.0))


def render(manifest, directory, settings=ASKED, **options):
    """Return the rendering and the decoded frames of its combined output."""
    directory.mkdir(exist_ok=True)
    rendering = render_outputs(read_manifest(manifest), settings, directory, **options)
    (output,) = (output for output in rendering.outputs if output.kind is OutputKind.COMBINED)
    with av.open(str(output.path)) as container:
        return rendering, output, list(container.decode(video=0))


def spot(row, column):
    """Return maps with attention at one place, `[step, layer, head, frame, row, column]`."""
    rows, columns = np.mgrid[:6, :8]
    blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2)
    return np.broadcast_to(blob, (1, 1, 1, 3, 6, 8)).astype(np.float16)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A video of seven words with attention at different places."""
    batch = Batch.make(tmp_path_factory.mktemp("words"))
    tensors = {word: (index + 1) * spot(1 + index % 2 * 2, index) for index, word in enumerate(WORDS)}
    manifest = batch.add(tensors=tensors, tokens=[{"slug": word, "text": word} for word in WORDS])
    write_source_video(manifest.with_name("video_001.mp4"), width=256, height=192)
    return manifest


@pytest.fixture(scope="module")
def combined(manifest, tmp_path_factory):
    return render(manifest, tmp_path_factory.mktemp("out"), ASKED.model_copy(update={"fps": 8.0}))


def test_a_video_has_one_named_without_a_word_and_with_the_scale_of_each(combined):
    rendering, output, _ = combined
    assert rendering.outputs == (output,)
    assert (output.file, output.token) == ("prompt_001_vid001_combined.mp4", "combined")
    assert [round(scale.high) for scale in output.scales.values()] == [1, 2, 3, 4, 5, 6]
    assert (output.scale.low, round(output.scale.high)) == (min(s.low for s in output.scales.values()), 6)


def test_the_seventh_word_is_left_out_with_a_note(combined):
    rendering, output, _ = combined
    assert list(output.scales) == list(WORDS[:6])
    assert rendering.notes == ("combined: the first 6 of 7 words, without sea; `--tokens` chooses others",)


def test_each_word_is_shown_at_its_place_in_its_hue(combined):
    *_, frames = combined
    hues = np.stack(rgb_to_yuv(hues_rgb(6), Colours.usual(192))).astype(float)
    assert len(frames) == (FRAMES + 1) // 2
    for frame in frames:
        planes = [pixels(plane).astype(float) for plane in frame.planes]
        for index in range(6):
            row, column = 32 * (1 + index % 2 * 2) + 16, 32 * index + 16  # of the middle of its cell
            shown = planes[0][row, column], planes[1][row // 2, column // 2], planes[2][row // 2, column // 2]
            assert np.abs(np.array(shown) - hues[:, index]).max() < 30
            assert np.abs(hues - np.array(shown)[:, None]).sum(axis=0).argmin() == index


def test_words_can_be_chosen(manifest, tmp_path):
    _, output, _ = render(manifest, tmp_path / "out", tokens=("sea", "cat"))
    assert list(output.scales) == ["cat", "sea"]


def test_several_threads_and_passes_give_the_same_file(manifest, tmp_path):
    settings = Visualization(generate_combined=True, generate_aggregated=False, quality="fast")
    files = []
    for name, threads in (("a", 1), ("b", 3)):
        render(manifest, tmp_path / name, settings, threads=threads)
        files.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert files[0] == files[1]
    assert len(files[0]) == 2 * len(WORDS) + 1


def test_without_the_video_it_is_over_black(tmp_path):
    manifest = Batch.make(tmp_path).add(source=False, tensors={"kiss": spot(1, 1)})
    rendering, _, frames = render(manifest, tmp_path / "out")
    assert rendering.notes[1:] == ("combined: over black, because the video is absent",)
    luma = pixels(frames[0].planes[0])
    assert luma[60:, 100:].max() < 40
    assert luma[:40, :40].max() > 120


def test_it_keeps_the_sound_of_the_video(tmp_path):
    manifest = Batch.make(tmp_path).add(words=("kiss", "man"))
    write_with_sound(manifest.with_name("video_001.mp4"))
    _, output, _ = render(manifest, tmp_path / "out")
    assert sound_codecs(output.path) == ["aac"]


def test_inverted_the_hue_stays_where_attention_is_high(manifest, tmp_path):
    settings = ASKED.model_copy(update={"overlay_alpha": 0.8})
    _, plain, frames = render(manifest, tmp_path / "plain", settings, tokens=("kiss", "man"))
    inverted = settings.model_copy(update={"invert": True})
    _, output, same = render(manifest, tmp_path / "inverted", inverted, tokens=("kiss", "man"))
    for one, other in zip(frames, same, strict=True):
        assert np.abs(pixels(one.planes[0]).astype(int) - pixels(other.planes[0])).mean() < 1
    assert (output.scale.low, output.scale.high) == (plain.scale.high, plain.scale.low)


def test_a_video_too_small_for_a_legend_says_so(tmp_path):
    manifest = Batch.make(tmp_path).add(tensors={"kiss": blob_maps(), "man": blob_maps()})
    rendering, _, frames = render(manifest, tmp_path / "out")
    assert rendering.notes == ("combined: no legend, because the video is too small for it",)
    assert len(frames) == FRAMES
