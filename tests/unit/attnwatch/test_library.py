import base64
import hashlib
import os
import re
import subprocess
import sys

import av
import numpy as np
import pytest
from filelock import FileLock

import attnwatch
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import (
    AttnwatchError,
    BusyError,
    ConfigError,
    JobError,
    ManifestError,
    NotReadyError,
    TensorError,
    UnknownNameError,
    VideoError,
)
from tests import support
from tests.support import FRAMES, GRID, HEIGHT, WIDTH, Batch, blob_centre, blob_maps, brightest, decode, read_receipt

KINDS = ("attention", "overlay", "static")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("ATTNWATCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


def opened(batch):
    return attnwatch.open(batch.folder)


def only_video(batch):
    (video,) = opened(batch).values()
    return video


def snapshot(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def shown(clip, tmp_path):
    """Decode the video that a notebook would show."""
    (data,) = re.findall(r'src="data:video/mp4;base64,([A-Za-z0-9+/=]+)"', clip._repr_html_())
    path = tmp_path / "shown.mp4"
    path.write_bytes(base64.b64decode(data, validate=True))
    return decode(path)


def rgb(frame):
    return frame.to_ndarray(format="rgb24").astype(float)


# The public names of the package


def test_the_package_exports_exactly_these_names():
    assert attnwatch.__all__ == ["AttnwatchError", "Batch", "Clip", "Video", "open", "render_video"]
    assert set(attnwatch.__all__) <= set(dir(attnwatch))
    assert attnwatch.AttnwatchError is AttnwatchError
    assert attnwatch.open.__module__ == attnwatch.Batch.__module__ == "attnwatch.library"


def test_other_names_are_not_attributes_of_the_package():
    with pytest.raises(AttributeError, match="module 'attnwatch' has no attribute 'opne'"):
        attnwatch.opne  # noqa: B018


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import attnwatch", "numpy av matplotlib pydantic torch"),
        ("import attnwatch.cli.app", "numpy av matplotlib torch pydantic yaml watchdog"),
        ("import attnwatch; attnwatch.open; attnwatch.render_video", "torch diffusers matplotlib.pyplot"),
    ],
)
def test_modules_are_imported_only_when_needed(code, absent):
    check = f"{code}; import sys; print(*set({absent.split()}) & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == ""


# A batch


def test_a_batch_maps_names_to_videos_in_order_of_path(batch):
    for prompt, number in [(2, 1), (1, 2), (1, 1)]:
        batch.add(number, prompt=prompt, tensors={}, source=False, attention=[])
    videos = opened(batch)
    assert list(videos) == ["prompt_001_vid001", "prompt_001_vid002", "prompt_002_vid001"]
    assert len(videos) == 3
    assert "prompt_002_vid001" in videos
    assert "prompt_002_vid002" not in videos
    assert 1 not in videos
    assert videos.get("prompt_002_vid002") is None
    assert {name: video.video_id for name, video in videos.items()} == {name: name for name in videos}
    assert repr(videos) == f"<Batch {str(batch.folder)!r}: 3 videos>"


def test_a_manifest_is_read_when_its_video_is_accessed(batch):
    path = batch.add(tensors={}, source=False, attention=[], generation={"prompt": "before"})
    videos = opened(batch)
    support.write_manifest(path, attention=[], generation={"prompt": "after"})
    assert videos["prompt_001_vid001"].prompt == "after"


def test_a_video_is_found_by_the_name_in_its_manifest(batch):
    batch.add(1, tensors={}, source=False, attention=[], video_id="prompt_001_vid002")
    batch.add(2, tensors={}, source=False, attention=[], video_id="dog")
    videos = opened(batch)
    assert videos["dog"].manifest.path.name == "video_002.complete.json"
    assert videos["prompt_001_vid002"].manifest.path.name == "video_001.complete.json"
    assert list(videos) == ["prompt_001_vid002", "dog"]
    assert "prompt_001_vid001" not in videos


def test_a_damaged_manifest_is_listed_and_does_not_affect_other_videos(batch):
    batch.add(1, tensors={}, source=False, attention=[])
    (batch.prompt() / "video_002.complete.json").write_text("{")
    videos = opened(batch)
    assert list(videos) == ["prompt_001_vid001", "prompt_001_vid002"]
    assert videos["prompt_001_vid001"].words == ()
    assert "prompt_001_vid002" in videos
    with pytest.raises(ManifestError, match="invalid JSON"):
        videos["prompt_001_vid002"]


def test_an_unknown_video_is_a_key_error_that_names_the_nearest(batch):
    for number in (1, 2, 3, 4):
        batch.add(number, prompt=7, tensors={}, source=False, attention=[])
    batch.add(5, prompt=7, tensors={}, source=False, attention=[], video_id="umbrella")
    with pytest.raises(KeyError) as caught:
        opened(batch)["prompt_07_vid001"]
    assert isinstance(caught.value, UnknownNameError)
    message = str(caught.value)
    assert message.startswith(f"{batch.folder}: found no video 'prompt_07_vid001'; expected one of 5, nearest: ")
    nearest = message.partition("nearest: ")[2].split(", ")
    assert nearest[0] == "prompt_007_vid001"
    assert len(nearest) == 3
    assert "umbrella" not in nearest


def test_a_batch_without_a_finished_video_is_empty(batch):
    videos = opened(batch)
    assert (len(videos), list(videos)) == (0, [])
    with pytest.raises(UnknownNameError, match="expected a finished video, but there is none"):
        videos["prompt_001_vid001"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"found nothing at .*/absent; expected .*; check the path"):
        attnwatch.open(tmp_path / "absent")


def test_what_is_excluded_is_not_in_the_batch(batch):
    batch.add()
    batch.add(2)
    assert list(attnwatch.open(batch.folder, exclude=["**/prompt_001/video_002.*"])) == ["prompt_001_vid001"]
    with pytest.raises(ConfigError, match="exclude: found"):
        attnwatch.open(batch.folder, exclude=["/outputs"])


def test_a_relative_folder_stays_the_same_when_the_working_directory_changes(batch, tmp_path, monkeypatch):
    batch.add(tensors={}, source=False, attention=[])
    monkeypatch.chdir(tmp_path)
    videos = attnwatch.open("outputs")
    monkeypatch.chdir("/")
    assert videos["prompt_001_vid001"].words == ()


def test_a_name_that_two_batches_share_is_ambiguous(tmp_path):
    for name in ("first_20260102_030405", "second_20260102_030405"):
        Batch.make(tmp_path, name).add(tensors={}, source=False, attention=[])
    videos = attnwatch.open(tmp_path)
    places = (
        r"found 'prompt_001_vid001' twice, in first_2026\S+ and second_2026\S+; expected one batch; open one of them"
    )
    with pytest.raises(ConfigError, match=places):
        videos["prompt_001_vid001"]
    with pytest.raises(ConfigError, match=places):
        list(videos)


# A video


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
        assert str(caught.value) == "prompt_001_vid001: found no words 'dog'; expected one of: cat, kiss"


def test_without_tracked_words_every_word_is_unknown(batch):
    batch.add(tensors={}, attention=[])
    with pytest.raises(UnknownNameError, match="expected none: no word was tracked"):
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
    before = snapshot(batch.folder)
    only_video(batch).overlay("kiss")
    assert snapshot(batch.folder) == before


def test_an_overlay_is_saved_exactly_as_shown(batch, tmp_path):
    batch.add()
    clip = only_video(batch).overlay("kiss")
    path = clip.save(str(tmp_path / "kiss.mp4"))
    assert path == tmp_path / "kiss.mp4"
    assert path.read_bytes() == clip.data
    assert base64.b64encode(clip.data).decode() in clip._repr_html_()
    assert len(repr(clip)) < 100


def test_an_overlay_loops_and_its_name_is_escaped(batch):
    batch.add(video_id='"><script>')
    shown_as = only_video(batch).overlay("kiss")._repr_html_()
    assert re.match(r"<video controls loop ", shown_as)
    assert "<script>" not in shown_as


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


# Rendering


def test_rendering_writes_outputs_and_receipt_like_the_watcher(batch):
    path = batch.add(words=("cat", "kiss"))
    outputs = attnwatch.render_video(path)
    names = {f"prompt_001_vid001_{word}_{kind}.mp4" for word in ("cat", "kiss") for kind in KINDS}
    assert {output.name for output in outputs} == names
    assert {output.parent for output in outputs} == {path.parent / "attention_videos"}
    assert all(len(decode(output)) > 0 for output in outputs)
    receipt = read_receipt(path)
    assert receipt["status"] == "rendered"
    assert {output["file"] for output in receipt["outputs"]} == names
    assert {entry.name for entry in outputs[0].parent.iterdir()} == {*names, "prompt_001_vid001.rendered.json"}
    todo = support.attnwatch(batch.folder, "--dry-run")
    assert (todo.returncode, todo.stdout) == (0, "")


def test_a_video_can_be_given_as_a_path_a_video_or_a_manifest(batch, tmp_path):
    path = batch.add()
    digests = set()
    for number, video in enumerate(
        [path, str(path), path.with_name("video_001.mp4"), only_video(batch), read_manifest(path)]
    ):
        outputs = attnwatch.render_video(
            video, tmp_path / str(number), generate_overlay=False, generate_aggregated=False
        )
        digests.add(hashlib.sha256(outputs[0].read_bytes()).hexdigest())
    assert len(digests) == 1


def test_rendering_into_a_directory_writes_only_the_outputs(batch, tmp_path):
    batch.add()
    before = snapshot(batch.folder)
    outputs = attnwatch.render_video(only_video(batch), tmp_path / "new" / "pictures", generate_step_evolution=True)
    names = {f"prompt_001_vid001_kiss_{kind}.mp4" for kind in (*KINDS, "evolution")}
    assert {output.name for output in outputs} == names
    assert {entry.name for entry in (tmp_path / "new" / "pictures").iterdir()} == names
    assert snapshot(batch.folder) == before


def test_rendering_into_the_videos_own_directory_always_writes_a_receipt(batch):
    path = batch.add()
    attnwatch.render_video(path, path.parent / "attention_videos", colormap="gray")
    assert read_receipt(path)["settings"]["colormap"] == "gray"


def test_every_call_renders_again(batch):
    path = batch.add()
    attnwatch.render_video(path, fps=4)
    (first, *_) = attnwatch.render_video(path, per_video_fps=8)
    assert len(decode(first)) == FRAMES * 8 // 16 + 1
    first.unlink()
    attnwatch.render_video(path, per_video_fps=8)
    assert first.exists()


def test_the_call_overrides_the_environment_which_overrides_the_batch(batch, monkeypatch):
    path = batch.add(visualization={"colormap": "gray", "quality": "fast", "threshold": 0.25})
    monkeypatch.setenv("ATTNWATCH_COLORMAP", "magma")
    monkeypatch.setenv("ATTNWATCH_QUALITY", "high")
    attnwatch.render_video(path, colormap="viridis")
    settings = read_receipt(path)["settings"]
    assert (settings["colormap"], settings["quality"], settings["threshold"]) == ("viridis", "high", 0.25)


def test_a_video_that_another_process_renders_is_busy(batch):
    path = batch.add()
    directory = path.parent / "attention_videos"
    directory.mkdir()
    with (
        FileLock(directory / ".prompt_001_vid001.lock"),
        pytest.raises(BusyError, match="another process is rendering"),
    ):
        attnwatch.render_video(path)
    assert attnwatch.render_video(path)


def test_a_failed_rendering_states_the_reason_in_the_error_and_in_the_receipt(batch, tmp_path):
    path = batch.add(tensors={"kiss": -blob_maps()})
    with pytest.raises(JobError, match=r"prompt_001_vid001: not rendered: .*a negative value"):
        attnwatch.render_video(path)
    receipt = read_receipt(path)
    assert receipt["status"] == "failed"
    assert "a negative value" in receipt["attempts"][-1]["error"]
    with pytest.raises(TensorError, match="a negative value"):
        attnwatch.render_video(path, tmp_path / "pictures")
    assert list((tmp_path / "pictures").iterdir()) == []


def test_a_video_that_cannot_be_decoded_raises_a_video_error(batch, tmp_path):
    path = batch.add()
    path.with_name("video_001.mp4").write_bytes(b"no video")
    for use in (lambda: attnwatch.render_video(path, tmp_path / "x"), lambda: only_video(batch).overlay("kiss")):
        with pytest.raises(VideoError, match=r"video_001.mp4: found data that FFmpeg cannot read"):
            use()


def test_missing_files_leave_no_receipt(batch, tmp_path):
    path = batch.add()
    (path.parent / "attention_maps" / "vid001.safetensors").unlink()
    with pytest.raises(JobError, match=r"vid001.safetensors is not there yet"):
        attnwatch.render_video(path)
    with pytest.raises(NotReadyError, match=r"vid001.safetensors is not there yet"):
        attnwatch.render_video(path, tmp_path / "pictures")
    assert read_receipt(path) is None


def test_omitted_outputs_are_logged(batch, tmp_path, caplog):
    path = batch.add(source=False, visualization={"sparkle": 1})
    for directory in (None, tmp_path / "pictures"):
        caplog.clear()
        outputs = attnwatch.render_video(path, directory)
        assert {output.name for output in outputs} == {
            f"prompt_001_vid001_kiss_{kind}.mp4" for kind in ("attention", "static")
        }
        assert "prompt_001_vid001: no overlay: the video video_001.mp4 is absent" in caplog.messages
        assert "prompt_001_vid001: the batch asks for the unknown setting 'sparkle'; it is ignored" in caplog.messages


def test_without_tracked_words_nothing_is_rendered(batch, tmp_path):
    path = batch.add(tensors={}, attention=[])
    assert attnwatch.render_video(path) == ()
    assert read_receipt(path)["status"] == "skipped"
    assert attnwatch.render_video(path, tmp_path / "pictures") == ()


@pytest.mark.parametrize("name", ["video_001.mp4", "absent.complete.json", "videos"])
def test_only_a_finished_video_can_be_rendered(batch, name):
    batch.write_data()
    with pytest.raises(
        ConfigError, match=rf"found no manifest for .*{name}; expected a finished video or its manifest"
    ):
        attnwatch.render_video(batch.prompt() / name)
