import base64
import re

import av
import numpy as np
import pytest

import attnwatch
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import (
    ConfigError,
    ManifestError,
    NotReadyError,
    TensorError,
    UnknownNameError,
)
from tests import support
from tests.exported import document, exr, files
from tests.support import (
    FRAMES,
    GRID,
    HEIGHT,
    WIDTH,
    blob_centre,
    blob_maps,
    brightest,
    contents,
    decode,
    only_video,
)


def shown(clip, tmp_path):
    """Decode the video that a notebook would show."""
    (data,) = re.findall(r'src="data:video/mp4;base64,([A-Za-z0-9+/=]+)"', clip._repr_html_())
    path = tmp_path / "shown.mp4"
    path.write_bytes(base64.b64decode(data, validate=True))
    return decode(path)


def rgb(frame):
    return frame.to_ndarray(format="rgb24").astype(float)


def test_a_video_has_a_name_a_prompt_words_and_a_manifest(batch):
    path = batch.add_full(words=("kiss", "cat"))
    video = only_video(batch)
    assert (video.video_id, video.prompt) == ("prompt_001_vid001", "a kiss and a cat")
    assert video.words == ("kiss", "cat")
    assert video.manifest == read_manifest(path)
    assert repr(video) == "<Video 'prompt_001_vid001'>"


def test_a_manifest_may_omit_prompt_and_words(batch):
    batch.add(words=("b", "a"))
    assert (only_video(batch).prompt, only_video(batch).words) == (None, ("a", "b"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("step", [0, 1, 2, -1, -3])
def test_attention_of_one_step_is_the_stored_map(batch, dtype, step):
    stored = blob_maps(steps=3, dtype=dtype)
    batch.add(tensors={"kiss": stored})
    attention = only_video(batch).attention("kiss", step=step)
    assert attention.dtype == np.float32
    assert attention.shape == GRID
    np.testing.assert_array_equal(attention, stored[step, 0, 0].astype(np.float32))


def test_steps_are_numbered_as_in_the_manifest(batch):
    stored = blob_maps(steps=3)
    batch.add(tensors={"kiss": stored}, denoising=[{"index": 0}, {"index": 5}, {"index": 10}])
    video = only_video(batch)
    np.testing.assert_array_equal(video.attention("kiss", step=5), stored[1, 0, 0])
    np.testing.assert_array_equal(video.attention("kiss", step=-1), stored[2, 0, 0])
    for step in ("5-10", [5, 10], (5, 10)):
        np.testing.assert_allclose(video.attention("kiss", step=step), stored[1:, 0, 0].mean(axis=0), rtol=1e-6)
    with pytest.raises(ConfigError, match=r"found 1; expected some of the stored ones: 0, 5, 10"):
        video.attention("kiss", step=1)


def test_layers_and_heads_are_selected_by_position(batch):
    stored = blob_maps(steps=2, layers=3, heads=4)
    batch.add(tensors={"kiss": stored})
    video = only_video(batch)
    np.testing.assert_array_equal(video.attention("kiss", step=1, layer=2, head=3), stored[1, 2, 3])
    np.testing.assert_allclose(video.attention("kiss", layer=[0, 2]), stored[:, [0, 2]].mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(video.attention("kiss", head="1-2"), stored[:, :, 1:3].mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(video.attention("kiss"), stored.mean(axis=(0, 1, 2)), rtol=1e-5)
    with pytest.raises(ConfigError, match=r"found 4; expected some of the stored ones: 0-3"):
        video.attention("kiss", head=4)


@pytest.mark.parametrize(("choice", "setting"), [("layer", "store_per_block"), ("head", "store_per_head")])
def test_a_layer_or_head_of_a_batch_that_stores_their_mean_is_refused(batch, choice, setting):
    batch.add()
    video = only_video(batch)
    with pytest.raises(
        ConfigError, match=f"{choice}s: found 0, but kiss has one map for all {choice}s.*{setting}: true"
    ):
        video.attention("kiss", **{choice: 0})
    with pytest.raises(ConfigError, match=f"{setting}: true"):
        attnwatch.render_video(video, batch.folder / "pictures", **{f"{choice}s": -1})


def test_the_mean_over_all_steps_is_the_stored_one(batch):
    steps, mean = blob_maps(steps=2), blob_maps(steps=1)[0, 0, 0] * np.float32(0.125)
    batch.add(tensors={"kiss": steps, "kiss.aggregated": mean})
    np.testing.assert_array_equal(only_video(batch).attention("kiss"), mean)


@pytest.mark.parametrize("stored", ["steps", "aggregated"])
def test_masked_attention_is_nan_where_a_value_is_not_finite(batch, stored):
    maps = blob_maps()
    maps[0, 0, 0, 1, 2, 3] = np.inf
    batch.add(tensors={"kiss": maps} if stored == "steps" else {"kiss.aggregated": maps[0, 0, 0]})
    video = only_video(batch)
    with pytest.raises(TensorError):
        video.attention("kiss")
    found = video.attention("kiss", masked=True)
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 2, 3]]
    assert attnwatch.render_video(video, nonfinite="mask", quality="fast")


def test_each_call_of_attention_returns_a_new_array(batch):
    batch.add(tensors={"kiss.aggregated": blob_maps()[0, 0, 0]})
    first, second = (only_video(batch).attention("kiss") for _ in range(2))
    first += 1
    np.testing.assert_array_equal(second, blob_maps()[0, 0, 0])


def test_steps_of_an_aggregated_map_cannot_be_selected(batch):
    batch.add(tensors={"kiss.aggregated": blob_maps()[0, 0, 0]})
    with pytest.raises(ConfigError, match="found only the aggregated map"):
        only_video(batch).attention("kiss", step=0)


@pytest.mark.parametrize(("axis", "choice"), [("step", "first"), ("layer", 1.5), ("head", True)])
def test_an_invalid_selection_is_refused_under_the_name_of_its_argument(batch, axis, choice):
    batch.add()
    with pytest.raises(ConfigError, match=rf"^{axis}: found {choice!r}; "):
        only_video(batch).attention("kiss", **{axis: choice})


def test_only_the_call_determines_the_selection(batch, monkeypatch):
    stored = blob_maps(steps=2)
    batch.add(tensors={"kiss": stored}, visualization={"steps": 0})
    monkeypatch.setenv("ATTNWATCH_STEPS", "0")
    np.testing.assert_allclose(only_video(batch).attention("kiss"), stored.mean(axis=(0, 1, 2)), rtol=1e-6)


def test_steps_in_several_compressed_files_form_one_sequence(batch):
    stored = blob_maps(steps=2)
    names = [f"attention_maps/vid001/step_{step:03d}.safetensors.zst" for step in range(2)]
    for step, name in enumerate(names):
        support.write_tensors(batch.prompt() / name, {"kiss": stored[step : step + 1]})
    support.write_manifest(batch.prompt() / "video_001.complete.json", attention=names)
    np.testing.assert_array_equal(only_video(batch).attention("kiss", step=1), stored[1, 0, 0])


def test_an_unknown_word_is_a_key_error_that_lists_the_words(batch):
    batch.add(words=("cat", "kiss"))
    for use in (only_video(batch).attention, only_video(batch).overlay):
        with pytest.raises(KeyError) as caught:
            use("dog")
        assert str(caught.value) == "prompt_001_vid001: found no word 'dog'; expected one of: cat, kiss"


def test_without_tracked_words_every_word_is_unknown(batch):
    batch.add(tensors={}, attention=[])
    with pytest.raises(UnknownNameError, match="found no word; expected at least one; no word was tracked"):
        only_video(batch).attention("kiss")


def test_a_word_can_be_named_by_its_text(batch):
    tokens = [{"slug": "two_men", "text": "two men"}, {"slug": "kiss", "text": "kiss"}]
    batch.add(tensors={"two_men": blob_maps(peak=0.25), "kiss": blob_maps()}, tokens=tokens)
    np.testing.assert_array_equal(only_video(batch).attention("two men", step=0), blob_maps(peak=0.25)[0, 0, 0])


def test_a_word_of_the_negative_prompt_can_be_named_by_its_text_tensor_or_outputs(batch):
    tensors = {"kiss": blob_maps(), "uncond/two_men": blob_maps(peak=0.25)}
    negative = [{"slug": "two_men", "text": "two men"}]
    batch.add(tensors=tensors, tokens=[{"slug": "kiss", "text": "kiss"}], negative_tokens=negative)
    video = only_video(batch)
    assert list(video.words) == ["kiss", "uncond_two_men"]
    for name in ("two men", "uncond/two_men", "uncond_two_men"):
        np.testing.assert_array_equal(video.attention(name, step=0), blob_maps(peak=0.25)[0, 0, 0])


def test_a_text_shared_by_two_words_is_ambiguous(batch):
    tokens = [{"slug": slug, "text": "two men"} for slug in ("two_men", "two_men_2")]
    batch.add(tensors={token["slug"]: blob_maps() for token in tokens}, tokens=tokens)
    with pytest.raises(UnknownNameError, match="found 2 words 'two men'; expected one of: two_men, two_men_2"):
        only_video(batch).attention("two men")


def test_a_missing_tensor_file_raises_not_ready(batch):
    path = batch.add()
    video = only_video(batch)
    (path.parent / "attention_maps" / "vid001.safetensors").unlink()
    for use in (lambda: video.words, lambda: video.attention("kiss"), lambda: video.overlay("kiss")):
        with pytest.raises(NotReadyError, match=r"found no vid001.safetensors; expected the tensor file there"):
            use()


# Overlays


def test_a_notebook_shows_the_map_of_a_word_over_the_source(batch, tmp_path):
    batch.add()
    support.write_source_video(batch.prompt() / "video_001.mp4", colour=(20, 20, 20))
    frames = shown(only_video(batch).overlay("kiss", colormap="gray"), tmp_path)
    assert [(frame.width, frame.height) for frame in frames] == [(WIDTH, HEIGHT)] * FRAMES
    cell = WIDTH / GRID[2]
    for latent, frame in [(0, frames[0]), (2, frames[-1])]:
        row, column = brightest(rgb(frame)[..., 1])
        expected_row, expected_column = blob_centre(latent)
        assert abs(row / cell - 0.5 - expected_row) < 1
        assert abs(column / cell - 0.5 - expected_column) < 1.5


def test_an_overlay_is_h264_that_browsers_play(batch, tmp_path):
    batch.add()
    path = only_video(batch).overlay("kiss").save(tmp_path / "kiss.mp4")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")


def test_the_call_sets_the_opacity_of_the_map(batch, tmp_path):
    batch.add()
    support.write_source_video(batch.prompt() / "video_001.mp4", colour=(0, 0, 255))
    video = only_video(batch)
    (source, *_), (heat, *_) = (
        shown(video.overlay("kiss", overlay="uniform", overlay_alpha=alpha, colormap="gray"), tmp_path)
        for alpha in (0, 1)
    )
    assert np.abs(rgb(source) - (0, 0, 255)).mean() < 4
    assert np.ptp(rgb(heat), axis=-1).mean() < 4


def test_the_settings_of_the_batch_apply_unless_the_call_overrides_them(batch, tmp_path):
    batch.add(visualization={"overlay": "uniform", "overlay_alpha": 1.0, "colormap": "gray"})
    video = only_video(batch)
    grey, blue = (shown(video.overlay("kiss", **settings), tmp_path) for settings in ({}, {"colormap": "winter"}))
    assert np.ptp(rgb(grey[0]), axis=-1).mean() < 4
    assert np.ptp(rgb(blue[0]), axis=-1).mean() > 100


def test_words_with_the_same_text_have_separate_overlays(batch, tmp_path):
    late = np.flip(blob_maps(), axis=-1)
    batch.add(
        tensors={"kiss": blob_maps(), "kiss_2": late},
        tokens=[{"slug": "kiss", "text": "kiss"}, {"slug": "kiss_2", "text": "kiss"}],
    )
    video = only_video(batch)
    columns = []
    for word in ("kiss", "kiss_2"):
        clip = video.overlay(word, overlay="uniform", overlay_alpha=1.0, colormap="gray")
        assert clip.name == f"prompt_001_vid001_{word}_overlay.mp4"
        columns.append(brightest(rgb(shown(clip, tmp_path)[0])[..., 1])[1])
    assert columns[0] < WIDTH / 2 < columns[1]


def test_an_overlay_writes_nothing_into_the_batch(batch):
    batch.add_full()
    before = contents(batch.folder)
    only_video(batch).overlay("kiss")
    assert contents(batch.folder) == before


def test_several_words_are_combined_or_all_if_none_is_named(batch):
    batch.add(words=("kiss", "man", "dog"))
    video = only_video(batch)
    for words in (("man", "kiss"), ()):
        assert video.combined(*words).name == "prompt_001_vid001_combined.mp4"
    with pytest.raises(UnknownNameError, match=r"found no word 'tree'; expected one of: "):
        video.combined("kiss", "tree")


def test_without_tracked_words_nothing_is_combined(batch):
    batch.add(tensors={"__padding__": blob_maps()})
    with pytest.raises(UnknownNameError, match=r"found no word; expected at least one"):
        only_video(batch).combined()


def test_without_its_video_there_is_no_overlay(batch):
    batch.add(source=False)
    with pytest.raises(NotReadyError, match=r"video_001.mp4 is not there"):
        only_video(batch).overlay("kiss")


def test_a_file_changed_after_its_manifest_is_not_shown(batch):
    path = batch.add_full()
    support.write_source_video(path.parent / "video_001.mp4", frames=FRAMES + 4, colour=(9, 9, 9))
    with pytest.raises((ManifestError, NotReadyError), match=r"video_001.mp4"):
        only_video(batch).overlay("kiss")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colourmap": "hot"}, r"^colourmap: found an unknown setting; did you mean 'colormap'\?"),
        ({"overlay_alpha": 2}, r"^overlay_alpha: found 2; "),
    ],
)
def test_an_invalid_setting_is_named_as_written(batch, settings, message):
    batch.add()
    for use in (
        lambda: only_video(batch).overlay("kiss", **settings),
        lambda: attnwatch.render_video(only_video(batch), **settings),
    ):
        with pytest.raises(ConfigError, match=message):
            use()


def test_an_export_is_a_folder_of_the_words_that_were_asked_for(batch, tmp_path):
    batch.add(words=("kiss", "cat"))
    folder = only_video(batch).export("exr", tmp_path, words="kiss", grid=True, first_number=7, steps=1)
    assert folder == tmp_path / "prompt_001_vid001_exr_grid"
    stored = only_video(batch).attention("kiss", step=1)
    assert [path.name for path in files(folder)] == [f"prompt_001_vid001_kiss.000{number}.exr" for number in (7, 8, 9)]
    assert np.stack([exr(path)[0] for path in files(folder)]).tobytes() == stored.tobytes()
    assert len(document(folder)["words"]) == 1


def test_an_export_in_an_unknown_format_is_refused(batch):
    batch.add()
    with pytest.raises(ConfigError, match="kind: found 'tiff'; expected one of: png16, exr, prores4444"):
        only_video(batch).export("tiff")


def test_the_frames_of_the_video_are_rgb_arrays(batch):
    path = batch.add(frames=3)
    support.write_source_video(path.with_name("video_001.mp4"), frames=3, colour=(20, 200, 40))
    frames = list(attnwatch.open(batch.folder)["prompt_001_vid001"].source())
    assert [(frame.shape, frame.dtype) for frame in frames] == [((HEIGHT, WIDTH, 3), np.uint8)] * 3
    assert frames[1].mean(axis=(0, 1)) == pytest.approx((20, 200, 40), abs=4)


def test_frames_of_a_video_that_is_missing_are_an_error(batch):
    batch.add(source=False)
    with pytest.raises(NotReadyError, match="found nothing; expected the video there; restore it"):
        next(attnwatch.open(batch.folder)["prompt_001_vid001"].source())


def test_steps_are_those_that_are_stored(batch):
    batch.add_full(1)
    batch.add(2, tensors={"kiss.aggregated": support.blob_maps()[0, 0, 0]})
    videos = attnwatch.open(batch.folder)
    assert [video.steps for video in videos.values()] == [(0, 1), ()]
