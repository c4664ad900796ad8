import hashlib

import pytest
from filelock import FileLock

import attnwatch
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import (
    BusyError,
    ConfigError,
    JobError,
    NotReadyError,
    TensorError,
    VideoError,
)
from tests import support
from tests.support import FRAMES, blob_maps, contents, decode, only_video, read_receipt

KINDS = ("attention", "overlay", "static")


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
    documents = {f"prompt_001_vid001.{kind}.json" for kind in ("measures", "rendered")}
    assert {entry.name for entry in outputs[0].parent.iterdir()} == names | documents
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
    before = contents(batch.folder)
    outputs = attnwatch.render_video(only_video(batch), tmp_path / "new" / "pictures", generate_step_evolution=True)
    names = {f"prompt_001_vid001_kiss_{kind}.mp4" for kind in (*KINDS, "evolution")}
    assert {output.name for output in outputs} == names
    assert {entry.name for entry in (tmp_path / "new" / "pictures").iterdir()} == names
    assert contents(batch.folder) == before


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
