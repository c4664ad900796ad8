import re

import pytest

from tests.legacy_support import OldBatch
from tests.support import Batch, called


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


@pytest.mark.parametrize("given", ["manifest", "video", "folder", "batch", "name"])
def test_a_video_is_given_by_its_path_by_its_name_or_as_the_only_one_of_a_batch(
    batch, tmp_path, capsys, monkeypatch, given
):
    manifest = batch.add()
    monkeypatch.chdir(tmp_path)
    video, name = manifest.with_name("video_001.mp4"), "demo/prompt_001_vid001"
    path = {"manifest": manifest, "video": video, "folder": batch.folder, "batch": "demo", "name": name}[given]
    code, out, _ = called(capsys, "still", path, "--word", "kiss", "--dpi", 50, "-o", "kiss.png")
    assert (code, out) == (0, "kiss.png\n")
    assert (tmp_path / "kiss.png").read_bytes().startswith(b"\x89PNG")


def test_one_of_several_videos_has_to_be_named(batch, tmp_path, capsys):
    batch.add()
    batch.add(2)
    code, _, err = called(capsys, "still", batch.folder, "-o", tmp_path / "a.png")
    assert code == 2
    found = " ".join(err.split())
    assert "found 2 videos in" in found
    assert "such as prompt_001_vid001 and prompt_001_vid002; expected one; name it, as in" in found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.jpg"], "found a.jpg; expected a name that ends in .png, .pdf or .svg; choose one"),
        (["-o", "new/a.png"], "found no folder new for a.png; expected an existing one; create it"),
        ([], "--output"),
        (["-o", "a.png", "--at", "1m"], "--at: found '1m'; expected a time in seconds such as 1.5s"),
        (["-o", "a.png", "--grid", "words"], "--grid: found 'words'; expected one of frames, steps, layers, heads"),
        (["-o", "a.png", "--size", "wide"], "--size: found 'wide'; expected a number"),
        (["-o", "a.png", "--layer", "0"], "layers: found 0, but kiss has one map for all layers, their mean"),
        (["-o", "a.png", "--set", "layers=0"], "layers: found 0, but kiss has one map for all layers, their mean"),
        (
            ["-o", "a.png", "--set", "generate_combined=true"],
            "--set: found 'generate_combined', which has no effect on",
        ),
        (["-o", "a.png", "--word", "dog"], "found no word 'dog'; expected one of: kiss"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(batch, capsys, monkeypatch, arguments, message):
    path = batch.add()
    monkeypatch.chdir(batch.folder)
    code, _, err = called(capsys, "still", path, *arguments)
    assert code == 2
    assert message in " ".join(err.split())
    assert not list(batch.folder.glob("*.png"))


@pytest.mark.parametrize("what", ["video", "tensors"])
def test_a_file_that_cannot_be_used_is_told_with_exit_code_1(batch, tmp_path, capsys, what):
    path, made = batch.add(), tmp_path / "kiss.png"
    name = {"video": "video_001.mp4", "tensors": "attention_maps/vid001.safetensors"}[what]
    (path.parent / name).write_bytes(b"damaged")
    code, out, err = called(capsys, "still", path, "-o", made)
    assert (code, out) == (1, "")
    assert re.search(rf"kiss.png: not written: .*{name.rpartition('/')[2]}", " ".join(err.split()))
    assert "Traceback" not in err


@pytest.mark.parametrize("given", ["video", "tensors"])
def test_a_video_of_an_older_batch_without_manifests_has_figures_too(tmp_path, capsys, given):
    old = OldBatch(tmp_path / "old")
    old.add(words=("red", "hat"))
    path = old.video() if given == "video" else old.tensors()
    code, _, err = called(capsys, "still", path, "--word", "hat", "--dpi", 50, "-o", tmp_path / "hat.pdf")
    assert (code, err) == (0, "")
