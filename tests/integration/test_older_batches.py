"""Older batches, finished or still being generated, are rendered as they are and left unchanged."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.legacy_support import FRAMES, GRID, HEIGHT, LAYOUTS, WIDTH, OldBatch
from tests.support import attnwatch, blob_centre, blob_maps, decode, environment, wait_until, watching

QUICK = ("--set", "static_duration=0.2", "--set", "quality=fast")
CELL = WIDTH / GRID[2]


def contents(batch):
    """Return the digest and time of every file that the generator wrote, and the time of every tensor folder."""
    files = [path for path in batch.folder.rglob("*") if path.is_file() and "attention_videos" not in path.parts]
    folders = [path for path in (batch.folder / "attention_maps").rglob("*") if path.is_dir()]
    return {path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) for path in files}, {
        path: path.stat().st_mtime_ns for path in folders
    }


def render(batch, *arguments):
    run = attnwatch(batch.folder, "--once", *QUICK, *arguments)
    assert run.returncode == 0, run.stderr
    return run


def outputs(batch, number=1, prompt=0):
    stem = f"{batch.video_id(number, prompt)}_"
    return {path.name.removeprefix(stem) for path in batch.outputs(number, prompt).glob(f"{stem}*.mp4")}


FORMS = [
    {"compressed": False, "dtype": np.float16},
    {"compressed": True, "dtype": np.float32, "blocks": 3, "heads": 2},
    {"compressed": True, "dtype": np.float16, "heads": 4},
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_hottest_spot_is_at_the_blob_and_old_files_stay_unchanged(tmp_path, layout):
    batch = OldBatch(tmp_path / "batch", layout)
    for number, form in enumerate(FORMS, start=1):
        batch.add(number, words=("kiss", "two men"), **form)
    before = contents(batch)
    render(batch, "--set", "colormap=gray", "--set", "interpolation_steps=0")
    assert contents(batch) == before
    for number in range(1, len(FORMS) + 1):
        kinds = ("attention", "overlay", "static")
        assert outputs(batch, number) == {f"{word}_{kind}.mp4" for word in ("kiss", "two_men") for kind in kinds}
        assert batch.receipt(number)["status"] == "rendered"
        frames = decode(batch.outputs() / f"{batch.video_id(number)}_two_men_attention.mp4")
        assert len(frames) == FRAMES
        for index, frame in enumerate(frames):
            row, column = blob_centre((index + 3) // 4, GRID)
            found = np.unravel_index(frame.to_ndarray(format="gray").argmax(), (HEIGHT, WIDTH))
            assert abs(found[0] + 0.5 - (row + 0.5) * CELL) <= CELL / 2
            assert abs(found[1] + 0.5 - (column + 0.5) * CELL) <= CELL / 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_its_video_only_attention_is_rendered_with_a_note(tmp_path, layout):
    batch = OldBatch(tmp_path / "batch", layout)
    batch.add(1, source=False)
    run = render(batch)
    (receipt,) = (json.loads(path.read_text()) for path in batch.folder.rglob("*.rendered.json"))
    assert {output["kind"] for output in receipt["outputs"]} == {"attention", "static"}
    assert any("no overlay: " in note for note in receipt["notes"])
    assert "no overlay: " in run.stderr


def test_a_video_is_not_rendered_again_until_it_changes(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add()
    render(batch)
    assert "0 videos to render, 1 up to date" in render(batch).stderr
    batch.write_word("kiss", maps=blob_maps(GRID, peak=0.9))
    assert "1 video to render" in render(batch, "--set", "settle_time=0").stderr


def test_outputs_stay_when_the_video_is_removed(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add()
    render(batch)
    before = outputs(batch, 1)
    next(batch.folder.rglob("video_*.mp4")).unlink()
    assert "0 videos to render, 1 up to date" in render(batch).stderr
    assert outputs(batch, 1) == before
    assert json.loads(attnwatch("status", tmp_path, "--json").stdout)["videos"]["rendered"] == 1


def test_the_collection_of_a_batch_includes_older_videos(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add(1)
    batch.add(1, prompt=1)
    run = attnwatch("collect", batch.folder, *QUICK)
    assert run.returncode == 0, run.stderr
    collected = {path.name for path in (batch.folder / "attention_videos").iterdir()}
    assert {
        "prompt_000_vid001_kiss_overlay.mp4",
        "prompt_001_vid001_kiss_overlay.mp4",
        "contact_sheet_kiss.png",
    } <= collected


@pytest.mark.parametrize(("layout", "path"), [(1, "video"), (2, "tensors"), (3, "video")])
def test_one_video_can_be_named(tmp_path, layout, path):
    batch = OldBatch(tmp_path, layout)
    batch.add(1)
    batch.add(2)
    run = attnwatch("render", getattr(batch, path)(2), *QUICK)
    assert run.returncode == 0, run.stderr
    assert (batch.receipt(1), batch.receipt(2)["status"]) == (None, "rendered")


def test_other_commands_accept_older_videos_too(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add(1)
    batch.add(2)
    (batch.add(3) / "token_kiss/step_000.npy").write_bytes(b"damaged")
    batch.make_old(3600)
    waiting = json.loads(attnwatch("status", tmp_path, "--json").stdout)["videos"]
    assert (waiting["finished"], waiting["waiting"]) == (3, 3)
    assert attnwatch(tmp_path, "--once", *QUICK).returncode == 1
    done = json.loads(attnwatch("status", tmp_path, "--json").stdout)["videos"]
    assert (done["rendered"], done["failed"]) == (2, 1)
    checked = attnwatch("check", tmp_path)
    assert "3 documents, 1 wrong" in checked.stdout
    examined = attnwatch("doctor", tmp_path).stdout
    assert "3 videos of older batches without manifests (layout 1)" in examined
    assert "step_000.npy: the file itself: found" in examined


def test_pickles_are_refused_and_never_run(tmp_path):
    batch = OldBatch(tmp_path)
    trap = tmp_path / "trap"
    batch.add_pickles(f"touch {trap}")
    run = attnwatch(tmp_path, "--once")
    assert run.returncode == 1
    assert f"`attnwatch import --trust-pickle {tmp_path}` converts them" in run.stderr
    assert batch.receipt()["status"] == "failed"
    assert not trap.exists()


WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from tests.legacy_support import OldBatch
from tests.support import write_source_video

batch, pause, dies_at = OldBatch(Path(sys.argv[1])), float(sys.argv[2]), int(sys.argv[3])
for number in (1, 2):
    for step in range(4):
        if number == 2 and step == dies_at:
            half = batch.tensors(2) / "token_kiss" / f"step_{step:03d}.npy"
            half.write_bytes(b"\\x93NUMPY")
            sys.exit(9)
        batch.write_word("kiss", number, steps=[step])
        time.sleep(pause)
    batch.write_summary(number, steps=range(4))
    time.sleep(pause)
    whole = write_source_video(batch.folder / "elsewhere.mp4", width=128, height=96, frames=9).read_bytes()
    path = batch.video(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, len(whole), len(whole) // 3):
            file.write(whole[start : start + len(whole) // 3])
            file.flush()
            time.sleep(pause)
"""


def write(batch, *, pause, dies_at):
    command = [sys.executable, "-c", WRITER, str(batch.folder), str(pause), str(dies_at)]
    return subprocess.Popen(command, env=environment(PYTHONPATH=str(Path.cwd())))


def test_videos_of_a_running_generator_are_rendered_only_when_complete(tmp_path):
    batch = OldBatch(tmp_path / "outputs" / "batch")
    batch.folder.mkdir(parents=True)
    settings = ("--set", "settle_time=1", "--set", "settle_time_unmarked=3", "--set", "retry_backoff=600")
    with watching(tmp_path / "outputs", *QUICK, *settings, "-v", log=tmp_path / "log") as watcher:
        watcher.wait_for("watching")
        writer = write(batch, pause=0.3, dies_at=2)
        wait_until(lambda: batch.receipt(1), about="the first video's receipt")
        receipt = batch.receipt(1)
        assert receipt["status"] == "rendered"
        assert {output["kind"] for output in receipt["outputs"]} == {"attention", "overlay", "static"}
        assert len(receipt["attempts"]) == 1
        assert len(list((batch.tensors(1) / "token_kiss").glob("step_*.npy"))) == 4
        assert writer.wait(60) == 9
        died = time.monotonic()
        wait_until(lambda: batch.receipt(2), 60, "the second video's receipt")
        assert time.monotonic() - died > 2
        second = batch.receipt(2)
        assert (second["status"], second["outputs"]) == ("failed", [])
        assert "step_002.npy" in second["attempts"][0]["error"]
        assert watcher.stop(signal.SIGTERM) == 0


def test_once_waits_until_a_video_has_settled(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add(age=0)
    render(batch, "--set", "settle_time=2")
    assert batch.receipt()["status"] == "rendered"
    assert time.time() - (batch.tensors() / "summary.json").stat().st_mtime > 2


def test_a_manifest_written_later_replaces_the_older_tensors(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add()
    video = batch.video()
    video.with_suffix(".complete.json").write_text(
        json.dumps({"format": "attnwatch/1", "video": video.name, "attention": []})
    )
    assert "1 video to render" in render(batch).stderr
    assert batch.receipt()["manifest"] == "video_001.complete.json"
