"""The watcher as users run it: a separate process on a real folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.watcher_support import LATENCY, QUICK, slow_video, status, unfinished, wait_for_rendering
from tests.support import (
    FRAMES,
    Batch,
    attnwatch,
    decode,
    environment,
    is_running,
    read_receipt,
    remove,
    wait_until,
    watching,
    write_manifest,
    write_source_video,
)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def watch(outputs, log):
    """Return a function that runs a watcher on the folder."""

    def start(*arguments, **options):
        return watching(outputs, *QUICK, *arguments, **{"log": log, **options})

    return start


def job_processes(watcher):
    """Return all descendants of a watcher."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {watcher.process.pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {watcher.process.pid}


def test_the_backlog_is_rendered_and_then_new_videos(outputs, watch):
    batch = Batch.make(outputs)
    first = batch.add(1)
    with watch() as watcher:
        wait_for_rendering(first)
        watcher.wait_for("1 video to render, 0 up to date")
        start = time.monotonic()
        second = batch.add(2)
        wait_for_rendering(second, seconds=LATENCY)
        assert time.monotonic() - start < LATENCY
        watcher.wait_for("✅ Generated attention video: prompt_001_vid002_kiss_overlay.mp4")
        assert watcher.stop(signal.SIGTERM) == 0
    assert not unfinished(outputs)


def test_a_manifest_that_precedes_its_data_waits_for_them(outputs, watch):
    batch = Batch.make(outputs)
    hidden = Batch.make(outputs.parent / "elsewhere")
    hidden.add()
    with watch("-v") as watcher:
        watcher.wait_for("watching")
        batch.prompt().mkdir()
        manifest = write_manifest(
            batch.prompt() / "video_001.complete.json", attention=["attention_maps/vid001.safetensors"]
        )
        watcher.wait_for("not yet: prompt_001_vid001: ")
        assert status(manifest) is None
        assert "started" not in watcher.log
        (hidden.prompt() / "video_001.mp4").rename(batch.prompt() / "video_001.mp4")
        (hidden.prompt() / "attention_maps").rename(batch.prompt() / "attention_maps")
        wait_for_rendering(manifest)
    assert len(read_receipt(manifest)["attempts"]) == 1
    assert len(read_receipt(manifest)["outputs"]) == 3


def test_a_batch_moved_into_the_folder_is_rendered(outputs, watch, tmp_path):
    batch = Batch.make(tmp_path / "elsewhere")
    batch.add(1)
    batch.add(1, prompt=2)
    with watch() as watcher:
        watcher.wait_for("watching")
        batch.folder.rename(outputs / batch.folder.name)
        moved = Batch(outputs / batch.folder.name)
        wait_for_rendering(*(moved.prompt(number) / "video_001.complete.json" for number in (1, 2)), seconds=LATENCY)


def test_a_hidden_folder_is_ignored_until_it_is_renamed(outputs, watch):
    with watch() as watcher:
        watcher.wait_for("watching")
        batch = Batch.make(outputs, ".unfinished")
        manifest = batch.add()
        other = Batch.make(outputs, "other").add()
        wait_for_rendering(other)
        assert status(manifest) is None
        batch.folder.rename(outputs / "finished")
        wait_for_rendering(Batch(outputs / "finished").prompt() / manifest.name)


def test_a_root_that_does_not_exist_yet_is_waited_for(outputs, watch):
    outputs.rmdir()
    with watch() as watcher:
        watcher.wait_for("does not exist: waiting for it")
        manifest = Batch.make(outputs).add()
        wait_for_rendering(manifest)


def test_a_root_removed_and_recreated_is_watched_again(outputs, watch):
    with watch() as watcher:
        wait_for_rendering(Batch.make(outputs).add())
        remove(outputs)
        watcher.wait_for("does not exist: waiting for it")
        wait_for_rendering(Batch.make(outputs, "again").add())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_watcher_with_its_exit_code(outputs, watch, number, code):
    with watch() as watcher:
        watcher.wait_for("watching")
        assert watcher.stop(number) == code
        assert "Traceback" not in watcher.log


def test_a_signal_lets_the_running_job_finish(outputs, watch):
    manifest = slow_video(Batch.make(outputs), 1, frames=20)
    with watch("-v", "--set", "nice=0") as watcher:
        watcher.wait_for("started")
        assert watcher.stop(signal.SIGTERM) == 0
        assert "stopping: 1 running job may take 5 s to finish" in watcher.log, watcher.log
        processes = job_processes(watcher)
    assert status(manifest) == "rendered"
    assert not unfinished(outputs)
    assert not processes


def test_a_second_signal_ends_the_watcher_at_once_and_the_next_run_completes_the_work(outputs, watch):
    manifest = slow_video(Batch.make(outputs), 1)
    with watch() as watcher:
        wait_until(lambda: unfinished(outputs), about="rendering has started")
        processes = job_processes(watcher)
        watcher.process.send_signal(signal.SIGINT)
        watcher.wait_for("stopping")
        assert watcher.stop(signal.SIGINT, seconds=6) == 130
    assert processes
    wait_until(lambda: not any(map(is_running, processes)))
    assert status(manifest) is None
    assert not unfinished(outputs)
    assert attnwatch(outputs, "--once", *QUICK).returncode == 0
    assert status(manifest) == "rendered"


def test_jobs_ended_together_with_the_watcher_are_not_charged_an_attempt(outputs, watch):
    """A service manager may signal every process of a service, not only the main one."""
    manifest = slow_video(Batch.make(outputs), 1)
    with watch() as watcher:
        wait_until(lambda: unfinished(outputs), about="rendering has started")
        jobs = [pid for pid in job_processes(watcher) if os.getsid(pid) == pid]
        assert jobs
        for pid in [watcher.process.pid, *jobs]:
            os.kill(pid, signal.SIGTERM)
        assert watcher.process.wait(60) == 0
    assert status(manifest) is None
    assert not unfinished(outputs)


def test_a_restarted_watcher_finds_everything_up_to_date(outputs, watch):
    manifest = Batch.make(outputs).add()
    assert attnwatch(outputs, "--once", *QUICK).returncode == 0
    before = read_receipt(manifest)
    with watch() as watcher:
        watcher.wait_for("0 videos to render, 1 up to date")
        watcher.stop(signal.SIGTERM)
    assert read_receipt(manifest) == before


def test_deleting_a_receipt_causes_a_new_rendering(outputs):
    manifest = Batch.make(outputs).add()
    attnwatch(outputs, "--once", *QUICK)
    (manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json").unlink()
    assert "1 video to render" in attnwatch(outputs, "--once", *QUICK).stderr
    assert status(manifest) == "rendered"


def test_a_killed_watcher_leaves_no_partial_output_and_no_process(outputs, watch):
    batch = Batch.make(outputs)
    quick = batch.add(1)
    with watch() as watcher:
        wait_for_rendering(quick)
        slow = slow_video(batch, 2)
        wait_until(lambda: list(outputs.rglob("*.partial")), about="the slow one has started")
        processes = job_processes(watcher)
        watcher.process.kill()
        watcher.process.wait()
    assert processes
    wait_until(lambda: not any(map(is_running, processes)), about="the watcher's processes end with it")
    assert status(slow) is None
    named = [path for path in (slow.parent / "attention_videos").iterdir() if "vid002" in path.name]
    assert all(path.name.startswith(".") for path in named)
    assert attnwatch(outputs, "--once", *QUICK).returncode == 0
    for output in read_receipt(slow)["outputs"]:
        assert (slow.parent / "attention_videos" / output["file"]).stat().st_size == output["bytes"]
    assert not unfinished(outputs)


def test_of_two_watchers_with_other_settings_the_later_one_yields_until_the_earlier_one_ends(outputs, watch, tmp_path):
    batch = Batch.make(outputs)
    with watch("--set", "colormap=viridis") as first:
        first.wait_for("watching")
        with watch("--set", "colormap=magma", log=tmp_path / "second.log") as second:
            second.wait_for("another watcher renders this tree with other settings (pid ")
            manifest = batch.add()
            wait_for_rendering(manifest)
            second.wait_for("watching")
            assert read_receipt(manifest)["settings"]["colormap"] == "viridis"
            assert "Generated" not in second.log
            assert first.stop(signal.SIGTERM) == 0
            wait_until(lambda: read_receipt(manifest)["settings"]["colormap"] == "magma", 60)
            assert second.stop(signal.SIGTERM) == 0
    assert "another watcher" not in first.log


def test_two_watchers_of_one_folder_render_each_video_once(outputs, watch, tmp_path):
    batch = Batch.make(outputs)
    manifests = [batch.add(number) for number in range(1, 6)]
    logs = [tmp_path / "log1", tmp_path / "log2"]
    with watch(log=logs[0]) as one, watch(log=logs[1]) as two:
        wait_for_rendering(*manifests)
        for watcher in (one, two):
            watcher.wait_for("watching")
        manifests += [batch.add(number) for number in range(6, 9)]
        wait_for_rendering(*manifests)
        for watcher in (one, two):
            assert watcher.stop(signal.SIGTERM) == 0
    said = logs[0].read_text() + logs[1].read_text()
    for number in range(1, 9):
        assert said.count(f"prompt_001_vid{number:03d}_kiss_overlay.mp4") == 1
    assert not unfinished(outputs)


def test_a_failing_video_is_retried_and_its_neighbours_are_rendered(outputs, watch):
    batch = Batch.make(outputs)
    manifests = [batch.add(number) for number in (1, 2, 3)]
    video = manifests[1].parent / "video_002.mp4"
    good = video.read_bytes()
    video.write_bytes(b"no video at all")
    with watch("--set", "retry_backoff=0.2") as watcher:
        wait_for_rendering(manifests[0], manifests[2])
        watcher.wait_for("attempt 2")
        assert status(manifests[1]) == "failed"
        assert read_receipt(manifests[1])["next_attempt"] is None
        assert len(read_receipt(manifests[1])["attempts"]) == 2
        video.write_bytes(good)
        batch.add(2)  # rewrites the manifest, which the watcher notices at once
        wait_until(lambda: status(manifests[1]) == "rendered")


def test_a_video_waiting_for_its_next_attempt_is_rendered_as_soon_as_it_is_fixed(outputs, watch):
    batch = Batch.make(outputs)
    manifest = batch.add()
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    with watch("--set", "retry_backoff=3600") as watcher:
        watcher.wait_for("next attempt in")
        batch.add()
        wait_until(lambda: status(manifest) == "rendered", LATENCY)


def test_force_does_not_retry_a_failing_video_without_end(outputs, watch):
    batch = Batch.make(outputs)
    manifest = batch.add(1)
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    with watch("--force", "--set", "retry_backoff=3600") as watcher:
        watcher.wait_for("attempt 1")
        other = batch.add(2)
        wait_for_rendering(other)
        assert len(read_receipt(manifest)["attempts"]) == 1


def test_a_job_that_takes_too_long_fails_and_leaves_no_files(outputs):
    manifest = slow_video(Batch.make(outputs), 1)
    done = attnwatch(outputs, "--once", *QUICK, "--set", "visualization_timeout=0.5", "--set", "nice=0")
    assert done.returncode == 1
    assert "not finished after 0.5 s; raise visualization_timeout" in done.stderr
    assert "raise visualization_timeout" in read_receipt(manifest)["attempts"][0]["error"]
    assert not unfinished(outputs)


def test_with_fail_on_visualization_error_a_failure_ends_the_watcher(outputs, watch):
    batch = Batch.make(outputs)
    manifest = batch.add()
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    with watch("--set", "fail_on_visualization_error=true") as watcher:
        assert watcher.process.wait(60) == 1
        assert "❌ prompt_001_vid001" in watcher.log


def test_without_a_terminal_the_log_is_plain(outputs):
    Batch.make(outputs).add()
    done = attnwatch(outputs, "--once", *QUICK)
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


def on_a_terminal(*arguments, **variables):
    """Run the watcher with a terminal as stderr and return what it wrote there."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "attnwatch", *map(str, arguments)],
        env=environment(TERM="xterm-256color", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    written = b""
    try:
        while part := os.read(master, 65536):
            written += part
    except OSError:  # the other end was closed
        pass
    finally:
        os.close(master)
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 0
    return written.decode()


def test_a_terminal_gets_colour_unless_no_color_is_set(outputs):
    Batch.make(outputs).add()
    assert "\x1b[3" in on_a_terminal(outputs, "--once", *QUICK)
    assert "\x1b[3" not in on_a_terminal(outputs, "--once", "--force", *QUICK, NO_COLOR="1")


WRITER = """
import json, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
folder = Path(sys.argv[1])
maps = np.random.default_rng(1).random((4, 1, 1, 3, 6, 8), dtype=np.float32) / 100
save_file({"kiss": maps}, folder / "maps.safetensors")
fields = {"format": "attnwatch/1", "video": "video_001.mp4", "attention": ["maps.safetensors"]}
(folder / ".manifest.tmp").write_text(json.dumps(fields))
(folder / ".manifest.tmp").rename(folder / "video_001.complete.json")
"""


def test_a_writer_of_ten_lines_is_enough(outputs):
    folder = outputs / "mine"
    write_source_video(folder / "video_001.mp4")
    subprocess.run([sys.executable, "-c", WRITER, str(folder)], check=True)
    assert len(WRITER.strip().splitlines()) <= 11
    done = attnwatch(outputs, "--once", *QUICK)
    assert done.returncode == 0, done.stderr
    for kind in ("attention", "overlay"):
        assert len(decode(folder / "attention_videos" / f"mine_vid001_kiss_{kind}.mp4")) == FRAMES
    assert (folder / "attention_videos" / "mine_vid001_kiss_static.mp4").exists()
    assert json.loads((folder / "attention_videos" / "mine_vid001.rendered.json").read_text())["status"] == "rendered"
