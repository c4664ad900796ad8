"""Calls the commands that do not render."""

import json

import pytest

from attnwatch.report.activity import Activity, Publisher
from tests.support import Batch, called, write_manifest, write_receipt


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Batch.make(tmp_path / "outputs")


def light(batch, number=1):
    return write_manifest(batch.prompt() / f"video_{number:03d}.complete.json", attention=[])


def test_status_prints_text_or_json(batch, capsys):
    write_receipt(light(batch, 1), "crashed")
    light(batch, 2)
    code, out, err = called(capsys, "status", "outputs")
    assert (code, err) == (0, "")
    assert f"{batch.folder.parent}: 2 finished videos\n" in out
    assert "prompt_001_vid001: crashed; 1 attempt, next attempt in" in out
    code, out, err = called(capsys, "status", "outputs", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["videos"]["waiting"] == 1


ESCAPE = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e"


def test_status_shows_what_others_wrote_escaped_and_cut(batch, capsys):
    place = write_receipt(light(batch), f"{ESCAPE}{'x' * 100_000}")
    activity = Activity((str(batch.folder),), "1", reason=ESCAPE, host=f"host{ESCAPE}", paused=ESCAPE)
    with Publisher([batch.folder]) as publisher:
        publisher.publish(activity)
        for options in ([], ["--json"]):
            out = called(capsys, "status", "outputs", *options)[1]
            assert not set(ESCAPE) & set(out) - set("2J]0;titlem31[")
            assert r"\u001b[2J" in out
    assert len(out) < 20_000
    assert json.loads(out)["failures"][0]["reason"] == place.read().attempts[0].error


@pytest.mark.parametrize("arguments", [["check", "outputs"], ["outputs", "--dry-run"], ["retry", "outputs"]])
def test_names_are_printed_as_one_line_without_control_characters(batch, capsys, arguments):
    manifest = write_manifest(batch.folder / f"one\ntwo{ESCAPE}" / "v.complete.json", attention=[])
    if arguments[0] == "retry":
        write_receipt(manifest, "crashed")
    out = called(capsys, *arguments)[1]
    assert r"one\ntwo\u001b" in out or arguments[0] == "retry"
    assert not set("\x1b\x07\x9b\u202e") & set(out)


def test_an_error_is_printed_without_control_characters(batch, capsys):
    code, _, err = called(capsys, "check", f"nowhere{ESCAPE}")
    assert code == 2
    assert not set("\x1b\x07\x9b\u202e") & set(err)


def test_retry_lists_the_videos_it_has_reset(batch, capsys):
    place = write_receipt(light(batch), "crashed", attempts=3)
    code, out, err = called(capsys, "retry", "outputs")
    assert (code, out, err) == (0, "prompt_001_vid001: will be tried again\n1 video will be tried again\n", "")
    assert place.read().attempts == ()


def test_a_reset_video_is_rendered_by_the_next_run(batch, capsys):
    manifest = batch.add()
    place = write_receipt(manifest, "crashed", attempts=3)
    assert called(capsys, "outputs", "--dry-run")[1] == ""
    called(capsys, "retry", "outputs", "prompt_001_vid001")
    assert called(capsys, "outputs", "--once")[0] == 0
    assert (place.read().status, len(place.read().attempts)) == ("rendered", 1)


def test_status_and_retry_find_outputs_in_another_folder(batch, capsys, tmp_path):
    manifest = batch.add(source=False)
    (manifest.parent / "video_001.mp4").write_bytes(b"no video")
    out = ("--out", "elsewhere")
    assert called(capsys, "outputs", "--once", "--set", "settle_time=0", *out)[0] == 1
    assert "failed    1\n    prompt_001_vid001: " in called(capsys, "status", "outputs", *out)[1]
    assert called(capsys, "retry", "outputs", *out)[:2] == (
        0,
        "prompt_001_vid001: will be tried again\n1 video will be tried again\n",
    )
    (receipt,) = (tmp_path / "elsewhere").rglob("*.rendered.json")
    assert json.loads(receipt.read_text())["attempts"] == []
    assert not list(batch.folder.rglob("attention_videos"))


@pytest.mark.parametrize("command", ["status", "retry"])
def test_a_missing_folder_of_outputs_is_an_error_and_not_created(batch, capsys, tmp_path, command):
    code, out, err = called(capsys, command, "outputs", "--out", "nowhere")
    assert (code, out) == (2, "")
    assert "--out: found no folder nowhere; expected the folder of the outputs; check the path" in err
    assert not (tmp_path / "nowhere").exists()


def test_retry_exits_with_1_if_a_video_was_not_reset(batch, capsys):
    write_receipt(light(batch))
    code, out, _ = called(capsys, "retry", "outputs", "prompt_001_vid001")
    assert (code, out.splitlines()[0]) == (1, "prompt_001_vid001: not failed but rendered")


def test_retry_of_an_unknown_name_exits_with_2(batch, capsys):
    write_receipt(light(batch), "crashed")
    code, out, err = called(capsys, "retry", "outputs", "prompt_001_vid01")
    assert (code, out) == (2, "")
    assert "did you mean 'prompt_001_vid001'?" in err


@pytest.mark.parametrize("command", ["status", "retry", "doctor"])
@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_these_commands_need_a_folder(batch, tmp_path, capsys, command, folder):
    (tmp_path / "file").touch()
    code, out, err = called(capsys, command, folder)
    assert (code, out) == (2, "")
    assert folder in err


@pytest.mark.parametrize("command", ["statsu", "retri", "docter"])
def test_a_misspelt_command_is_corrected(batch, capsys, command):
    assert "did you mean `" in called(capsys, command)[2]


def test_doctor_lists_its_findings_and_exits_with_1_on_a_problem(batch, capsys, tmp_path):
    light(batch)
    code, out, err = called(capsys, "doctor", "outputs")
    assert (code, err) == (0, "")
    assert "ok       1 readable manifest\n" in out
    assert out.splitlines()[-1].startswith("0 problems, ")
    (tmp_path / "settings.yaml").write_text("watcher: {min_free_space: 9999TiB}")
    code, out, err = called(capsys, "doctor", "outputs", "--config", "settings.yaml")
    assert (code, err) == (1, "")
    assert "problem  " in out
    assert "\n         -> free some space" in out
    assert out.splitlines()[-1].startswith("1 problem, ")
