"""Selection of videos, their order, and outputs written elsewhere."""

import os
import signal
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration.watcher_support import QUICK
from tests.legacy_support import OldBatch
from tests.support import Batch, attnwatch, called, read_receipt, wait_until, watching


@pytest.fixture
def outputs(tmp_path):
    """Return a folder with videos of two batches and of an older one, each finished in a different month of 2025."""
    kisses, cats, old = Batch.make(tmp_path, "kiss_1"), Batch.make(tmp_path, "cats_1"), OldBatch(tmp_path / "kiss_old")
    finished = {kisses.add(1): 3, cats.add(1, prompt=2): 4, kisses.add(2): 5}
    tensors = old.add()
    for path, month in {**finished, tensors: 2, tensors / "summary.json": 2}.items():
        when = datetime(2025, month, 1).timestamp()
        os.utime(path, (when, when))
    return tmp_path


def listed(capsys, outputs, *flags):
    code, said, _ = called(capsys, outputs, "--dry-run", *flags)
    assert code == (0 if said else 1)
    return {path.removeprefix(f"{outputs}/") for path in said.splitlines()}


KISS_1, KISS_2 = (f"kiss_1/videos/prompt_001/video_00{number}.complete.json" for number in (1, 2))
CAT = "cats_1/videos/prompt_002/video_001.complete.json"
OLD = "kiss_old/attention_maps/prompt_000/vid001"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), {KISS_1, KISS_2, CAT, OLD}),
        (("--since", "2025-03-01"), {KISS_1, KISS_2, CAT}),
        (("--since", "2025-04-15"), {KISS_2}),
        (("--batch", "kiss_*"), {KISS_1, KISS_2, OLD}),
        (("--batch", "cats_1"), {CAT}),
        (("--batch", "kiss_*", "--since", "2025-02-15"), {KISS_1, KISS_2}),
        (("--batch", "dogs"), set()),
    ],
)
def test_only_requested_videos_are_selected(capsys, outputs, flags, expected):
    assert listed(capsys, outputs, *flags) == expected


@pytest.mark.parametrize(("flags", "newest_first"), [((), True), (("--oldest-first",), False)])
def test_the_video_finished_last_comes_first_by_default(outputs, flags, newest_first):
    run = attnwatch(outputs, "--once", "--workers", "1", "--set", "static_duration=0.2", *flags)
    assert run.returncode == 0, run.stderr
    order = [line.rpartition("INFO: ")[2] for line in run.stderr.splitlines() if "outputs in" in line]
    videos = [line.partition(":")[0] for line in order]
    oldest = ["prompt_000_vid001", "prompt_001_vid001", "prompt_002_vid001", "prompt_001_vid002"]
    oldest.remove(videos[0])  # the first video found starts before the scan is complete
    assert videos[1:] == (oldest[::-1] if newest_first else oldest)


def test_out_writes_outputs_and_receipts_elsewhere_and_nothing_into_the_archive(outputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "new"
    before = sorted(outputs.rglob("*"))
    quick = ("--set", "static_duration=0.2", "--set", "quality=fast")
    for found in ("4 videos to render, 0 up to date", "0 videos to render, 4 up to date"):
        run = attnwatch(outputs, "--once", "--out", out, *quick)
        assert run.returncode == 0, run.stderr
        assert found in run.stderr
    assert sorted(outputs.rglob("*")) == before
    receipts = {str(path.relative_to(out)) for path in out.rglob("*.rendered.json")}
    assert receipts == {
        "cats_1/videos/prompt_002/attention_videos/prompt_002_vid001.rendered.json",
        "kiss_1/videos/prompt_001/attention_videos/prompt_001_vid001.rendered.json",
        "kiss_1/videos/prompt_001/attention_videos/prompt_001_vid002.rendered.json",
        "kiss_old/videos/prompt_000/attention_videos/prompt_000_vid001.rendered.json",
    }
    assert "rendered  4 " in attnwatch("status", outputs, "--out", out).stdout
    collected = attnwatch("collect", outputs / "kiss_1", "--out", out / "collection", *quick)
    assert collected.returncode == 0, collected.stderr
    assert (out / "collection/attention_videos/contact_sheet_kiss.png").exists()
    assert sorted(outputs.rglob("*")) == before


@pytest.mark.parametrize("flags", [("--once",), ("--dry-run",), ("render",)])
def test_out_refuses_two_folders_of_the_same_name(capsys, tmp_path, flags):
    first, second = tmp_path / "disk_1" / "outputs", tmp_path / "disk_2" / "outputs"
    for root in (first, second):
        Batch.make(root).add()
    out = tmp_path / "out"
    code, _, said = called(capsys, *flags, first, second, "--out", out)
    assert code == 2
    assert f"found two folders named 'outputs', {first} and {second}; expected different names" in said
    assert not list(out.rglob("*"))
    assert called(capsys, first, second, "--dry-run")[0] == 0


def test_out_keeps_videos_of_one_folder_together(capsys, outputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    videos = [outputs / KISS_1, outputs / KISS_2]
    assert called(capsys, "render", *videos, "--out", out, "--set", "static_duration=0.2")[0] == 0
    assert len(list((out / "prompt_001" / "attention_videos").glob("*.rendered.json"))) == 2


def test_a_watcher_with_out_keeps_its_activity_file_there_and_writes_nothing_into_the_archive(tmp_path):
    archive, out = tmp_path / "archive", tmp_path / "out"
    Batch.make(archive).add()
    before = sorted(archive.rglob("*"))
    with watching(archive, "--out", out, "--set", "static_duration=0.2", log=tmp_path / "log") as watcher:
        watcher.wait_for("3 outputs in")
        wait_until(lambda: list(out.glob(".attnwatch/*.json")), about="the watcher's file")
        assert sorted(archive.rglob("*")) == before
        assert f"pid {watcher.process.pid} " in attnwatch("status", archive, "--out", out).stdout
        assert watcher.stop(signal.SIGTERM) == 0
    assert sorted(archive.rglob("*")) == before
    assert not (out / ".attnwatch").exists()


@pytest.fixture
def linked(tmp_path):
    """A folder that holds only a link to a batch elsewhere, and the batch's manifest as seen through it."""
    manifest = Batch.make(tmp_path / "elsewhere").add()
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "demo").symlink_to(manifest.parents[2])
    return outputs, outputs / "demo" / manifest.relative_to(manifest.parents[2])


def test_a_batch_that_is_linked_while_watching_is_named_at_once(linked, tmp_path):
    outputs, _ = linked
    (outputs / "demo").rename(tmp_path / "link")
    with watching(outputs, *QUICK, log=tmp_path / "log") as watcher:
        watcher.wait_for("watching")
        (tmp_path / "link").rename(outputs / "demo")
        watcher.wait_for(f"1 linked folder is not followed: {outputs / 'demo'}")


def test_a_linked_batch_is_counted_and_not_rendered(linked):
    outputs, manifest = linked
    said = f"1 linked folder is not followed: {outputs / 'demo'}; --follow-links follows it"
    assert said in attnwatch(outputs, "--once").stderr
    assert said in attnwatch("status", outputs).stdout
    assert read_receipt(manifest) is None


def test_a_linked_batch_is_rendered_on_request(linked):
    outputs, manifest = linked
    assert attnwatch(outputs, "--once", "--follow-links").returncode == 0
    assert read_receipt(manifest)["status"] == "rendered"
    assert "rendered  1" in attnwatch("status", outputs, "--follow-links").stdout
    assert "0 wrong" in attnwatch("check", outputs, "--follow-links").stdout


def test_files_that_are_links_are_read_on_request(tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add()
    for name in ("video_001.mp4", "attention_maps/vid001.safetensors"):
        pool = tmp_path / Path(name).name
        (manifest.parent / name).rename(pool)
        (manifest.parent / name).symlink_to(pool)
    attnwatch(tmp_path / "outputs", "--once")
    assert "leaves the directory through a link" in read_receipt(manifest)["attempts"][-1]["error"]
    assert attnwatch(tmp_path / "outputs", "--once", "--follow-links").returncode == 0
    assert read_receipt(manifest)["status"] == "rendered"
