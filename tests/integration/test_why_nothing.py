"""Why nothing is rendered: the log and the exit code of single runs."""

import os
from pathlib import Path

import pytest

from attnwatch.report.status import status
from tests.support import Batch, called, closed_folder, read_receipt, write_json


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Batch.make(tmp_path / "outputs")


@pytest.mark.parametrize("mode", ["--once", "--dry-run"])
@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (["--batch", "cats_*"], "2 videos: in no folder that matches --batch 'cats_*'; the batches are demo_"),
        (
            ["--since", "2100-01-01"],
            "2 videos: finished before --since 2100-01-01 00:00:00; the last video was finished",
        ),
    ],
)
def test_a_choice_of_videos_that_matches_nothing_is_a_failure_that_names_what_there_is(
    batch, capsys, mode, choice, why
):
    batch.add(1)
    batch.add(2)
    code, out, err = called(capsys, "outputs", mode, *choice)
    assert (code, out) == (1, "")
    assert why in err


def test_a_choice_of_words_that_matches_nothing_is_a_failure_each_time(batch, capsys):
    batch.add(words=("dog", "kiss"))
    for _ in range(2):
        code, _, err = called(capsys, "outputs", "--once", "--tokens", "cat")
        assert code == 1
        assert "1 video: none of the tracked words (dog, kiss) was requested" in err


def test_words_that_only_the_unwanted_collection_of_an_ended_batch_could_have_match_nothing(batch, capsys):
    batch.add(words=("dog",))
    write_json(batch.folder / "batch.complete.json", {})
    assert called(capsys, "outputs", "--once", "--set", "static_duration=0.2")[0] == 0
    assert called(capsys, "outputs", "--once", "--tokens", "cat")[0] == 1


def test_a_choice_that_matches_what_is_up_to_date_is_a_success(batch, capsys):
    batch.add()
    for _ in range(2):
        choice = ["--batch", "demo_*", "--since", "2020-01-01", "--tokens", "kiss"]
        assert called(capsys, "outputs", "--once", *choice, "--set", "static_duration=0.2")[0] == 0


@pytest.mark.parametrize("command", ["render", "collect"])
def test_a_named_folder_without_a_finished_video_is_a_failure(batch, capsys, command):
    code, _, err = called(capsys, command, batch.folder)
    assert code == 1
    assert f"found no finished video in {batch.folder.absolute()}" in err


def test_a_single_run_over_an_empty_folder_is_a_success_that_says_so(batch, capsys):
    write_json(batch.folder / "batch.json", {})
    code, _, err = called(capsys, "outputs", "--once")
    assert code == 0
    assert f"no video is finished yet in {batch.folder.parent.absolute()}" in err
    assert f"batches are there: {batch.folder.name}" in err


@pytest.mark.parametrize(
    ("visualization", "why"),
    [
        ({"auto_generate_per_video": False}, "neither auto_generate_per_video nor auto_generate_videos is true"),
        (
            {"auto_generate_per_video": False, "auto_generate_videos": True},
            "auto_generate_per_video is false: rendered when the batch has ended, for its collection",
        ),
    ],
)
def test_videos_that_nothing_asks_for_are_left_out_and_the_log_says_why(batch, capsys, visualization, why):
    batch.add(1, visualization=visualization)
    batch.add(2, visualization=visualization)
    code, _, err = called(capsys, "outputs", "--once")
    assert code == 0
    assert "0 videos to render, 0 up to date, 2 left out" in err
    assert f"not rendered: 2 videos: {why}" in err


def test_a_video_whose_words_were_tracked_but_not_stored_says_which_setting_stores_them(batch, capsys):
    batch.add(attention=[], generation={"template": "a (kiss)"})
    for _ in range(2):
        code, _, err = called(capsys, "outputs", "--once")
        assert code == 0
        assert "words were tracked, but no attention was stored: store_attention and" in err


def test_videos_without_a_manifest_are_named_in_the_log(batch, capsys):
    video = batch.prompt() / "video_007.mp4"
    video.parent.mkdir()
    video.write_bytes(b"video")
    os.utime(video, (0, 0))
    code, _, err = called(capsys, "outputs", "--once")
    assert code == 0
    assert f"1 video has no manifest, and so no attention to render: {video.absolute()}" in err


def test_a_folder_that_cannot_be_read_is_named_in_the_log_and_a_failure_if_it_was_asked_for(capsys):
    with closed_folder() as closed:
        why = f"1 folder cannot be read, so nothing in it is rendered: {closed} (Permission denied)"
        for folder, expected in ((closed.parent, 0), (closed, 1)):
            code, _, err = called(capsys, folder, "--once")
            assert code == expected
            assert why in err


def broken(batch):
    """Write a batch with a tensor that was cut short, and a video that is empty."""
    batch.add_full(1)
    batch.add_full(2)
    tensors = batch.prompt() / "attention_maps" / "vid001.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-7])
    (batch.prompt() / "video_002.mp4").write_bytes(b"")


def test_a_single_run_and_the_status_after_it_agree_on_incomplete_files(batch, capsys):
    broken(batch)
    code, _, err = called(capsys, "outputs", "--once")
    assert code == 1
    assert err.count("❌ ") == 2
    assert "2 videos could not be rendered" in err
    stock = status(batch.folder)
    assert (stock.videos.failed, stock.videos.waiting) == (2, 0)
    for failure, file in zip(stock.failures, ("vid001.safetensors", "video_002.mp4"), strict=True):
        assert f"{file} has only" in failure.reason
        assert failure.reason in err


@pytest.mark.parametrize("fault", ["incomplete", "refused"])
def test_they_agree_with_outputs_in_a_folder_of_their_own_that_nothing_was_rendered_to_yet(batch, capsys, fault):
    manifest = batch.add(1)
    if fault == "refused":
        manifest.write_text("{")
    else:
        next(batch.folder.rglob("*.safetensors")).unlink()
    assert called(capsys, "outputs", "--once", "--out", "elsewhere")[0] == 1
    root = Path("outputs").absolute()
    assert status(root, Path("elsewhere").absolute()).videos.failed == 1


def test_a_file_that_is_completed_after_a_single_run_is_rendered_by_the_next(batch, capsys):
    whole = batch.add_full(1)
    tensors = batch.prompt() / "attention_maps" / "vid001.safetensors"
    data = tensors.read_bytes()
    for _ in range(4):  # more often than max_attempts
        tensors.write_bytes(data[:-7])
        assert called(capsys, "outputs", "--once")[0] == 1
    tensors.write_bytes(data)
    assert called(capsys, "outputs", "--once", "--set", "static_duration=0.2")[0] == 0
    assert read_receipt(whole)["status"] == "rendered"


def test_fail_on_visualization_error_stops_at_the_first_incomplete_video(batch, capsys):
    broken(batch)
    manifest = batch.add_full(3)
    os.utime(manifest, (0, 0))  # the last in the order
    code, _, err = called(capsys, "outputs", "--once", "--workers", "1", "--set", "fail_on_visualization_error=true")
    assert code == 1
    assert err.count("❌ ") == 1
    assert read_receipt(manifest) is None
