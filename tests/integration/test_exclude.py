import json

import pytest

from tests.legacy_support import OldBatch
from tests.support import Batch, attnwatch, called, read_receipt, wait_until, watching, write_receipt


@pytest.fixture
def videos(tmp_path):
    """Manifests of a video that is wanted, one in a folder that is not, and one whose own name is not."""
    root = tmp_path / "outputs"
    return Batch.make(root, "new").add(), Batch.make(root, "old").add(), Batch.make(root, "new").add(2)


EXCLUDED = ("--exclude", "old", "--exclude", "**/video_002.*")


def rendered(manifests):
    return [read_receipt(manifest) is not None for manifest in manifests]


def test_what_is_excluded_is_not_rendered(videos, tmp_path):
    run = attnwatch(tmp_path / "outputs", "--once", *EXCLUDED)
    assert run.returncode == 0
    # The manifest and the video of one, and the folder of the other.
    assert f"not rendered: 3 match `exclude`: {tmp_path}/outputs/" in run.stderr
    assert rendered(videos) == [True, False, False]


@pytest.mark.parametrize("source", ["file", "environment", "flag"])
def test_so_says_the_setting(videos, tmp_path, capsys, monkeypatch, source):
    config = tmp_path / "watcher.yaml"
    config.write_text("watcher:\n  exclude: old\n", encoding="utf-8")
    if source == "environment":
        monkeypatch.setenv("ATTNWATCH_EXCLUDE", "old")
    given = {"file": ("--config", config), "environment": (), "flag": ("--set", "exclude=old")}[source]
    _, out, _ = called(capsys, tmp_path / "outputs", "--dry-run", *given, "--exclude", "**/video_002.*")
    assert out.split() == [str(videos[0])]


def test_a_watcher_leaves_it_alone_when_it_appears(videos, tmp_path):
    batch = Batch.make(tmp_path / "outputs", "old")
    with watching(tmp_path / "outputs", "--set", "rescan_interval=1", *EXCLUDED, log=tmp_path / "log"):
        wait_until(lambda: read_receipt(videos[0]))
        later, wanted = batch.add(5), Batch.make(tmp_path / "outputs", "newer").add()
        wait_until(lambda: read_receipt(wanted))
    assert rendered([*videos, later]) == [True, False, False, False]


@pytest.mark.parametrize("command", ["check", "status", "retry", "doctor", "import"])
def test_every_command_leaves_it_out(videos, tmp_path, capsys, command):
    for manifest in videos:
        write_receipt(manifest, "broken")
    older = OldBatch(tmp_path / "outputs" / "old_older")
    older.add()
    older.make_old(1000)
    arguments = (command, tmp_path / "outputs", *(("--json",) if command == "status" else ()))
    _, everything, _ = called(capsys, *arguments)
    _, some, _ = called(capsys, *arguments, *EXCLUDED, "--exclude", "old_*")
    if command == "status":
        assert [json.loads(text)["videos"]["finished"] for text in (everything, some)] == [4, 1]
    elif command == "doctor":
        assert ("3 readable manifests" in everything, "1 readable manifest" in some) == (True, True)
        assert ("layout 1" in everything, "layout 1" in some) == (True, False)
    elif command == "import":
        assert ("1 manifest written" in everything, "0 manifests written" in some) == (True, True)
    else:
        assert "prompt_001_vid001" in some or str(videos[0]) in some
        assert str(videos[1]) not in some
        assert len(some.split("\n")) < len(everything.split("\n"))


@pytest.mark.parametrize("pattern", ["/outputs/old", ""])
def test_a_pattern_that_can_match_nothing_is_refused(videos, tmp_path, capsys, pattern):
    code, _, error = called(capsys, tmp_path / "outputs", "--dry-run", "--exclude", pattern)
    assert code == 2
    assert "--exclude: found" in " ".join(error.split())
