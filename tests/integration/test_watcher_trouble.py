"""Events in a long-running watcher: new settings, shortages, killed processes, folders that move."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.watcher_support import LATENCY, QUICK, slow_video, status, unfinished, wait_for_rendering
from tests.support import (
    Batch,
    blob_maps,
    is_running,
    read_receipt,
    wait_until,
    watching,
    write_manifest,
    write_tensors,
)


@pytest.fixture
def watch(outputs, tmp_path):
    """Return a function that runs a watcher on the folder."""

    def start(*arguments, root=outputs, **variables):
        return watching(root, *QUICK, *arguments, log=tmp_path / "log", **variables)

    return start


def is_being_rendered(manifest):
    video_id = f"{manifest.parent.name}_vid{manifest.name.split('.')[0].removeprefix('video_')}"
    return any(manifest.parent.glob(f"attention_videos/.{video_id}.tmp/*"))


def server_of(watcher):
    """Return the pid of a watcher's fork server."""
    pid = watcher.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    (server,) = wait_until(lambda: children.read_text().split(), about="the fork server is running")
    return int(server)


def write_settings(path, **settings):
    lines = [f"    {name}: {value}\n" for name, value in settings.items()]
    path.write_text("".join(["attention_analysis:\n  visualization_params:\n", *lines]))


def colormap(manifest):
    receipt = read_receipt(manifest)
    return receipt and receipt["settings"]["colormap"]


def test_sighup_reloads_the_configuration_and_a_wrong_one_is_refused(outputs, watch, tmp_path):
    config = tmp_path / "config.yaml"
    write_settings(config, colormap="hot")
    batch = Batch.make(outputs)
    first = batch.add(1)
    with watch("--config", config) as watcher:
        wait_for_rendering(first)
        assert colormap(first) == "hot"

        write_settings(config, colormap="no such colormap")
        watcher.process.send_signal(signal.SIGHUP)
        watcher.wait_for("the new configuration is wrong; keeping the old one")
        assert "colormap" in watcher.log
        second = batch.add(2)
        wait_for_rendering(second)
        assert colormap(second) == "hot"

        write_settings(config, colormap="viridis")
        watcher.process.send_signal(signal.SIGHUP)
        watcher.wait_for("configuration reloaded")
        wait_until(lambda: colormap(first) == colormap(second) == "viridis", about="new settings, new pictures")
        assert watcher.stop(signal.SIGTERM) == 0


def test_a_watcher_whose_fork_server_is_killed_ends_with_an_error_and_the_next_one_does_the_rest(outputs, watch):
    batch = Batch.make(outputs)
    rest = [batch.add(number) for number in (1, 2)]
    slow = slow_video(batch, 3, frames=20)  # the latest video is rendered first
    with watch("--workers", "1") as watcher:
        wait_until(lambda: is_being_rendered(slow), about="rendering has started")
        server = server_of(watcher)
        os.kill(server, signal.SIGKILL)
        assert watcher.process.wait(60) == 1
        assert "the process that starts renderings has ended" in watcher.log
        assert "start the watcher again" in watcher.log
        assert "Traceback" not in watcher.log
    assert not is_running(server)
    with watch("--workers", "1") as watcher:
        wait_for_rendering(slow, *rest)
        assert [len(read_receipt(manifest)["attempts"]) for manifest in (slow, *rest)] == [1, 1, 1]
        assert watcher.stop(signal.SIGTERM) == 0
    assert not unfinished(outputs)


def descriptors(pid):
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}


def leave_descriptors(pid, free):
    """Leave a process only `free` unused file descriptors; return its previous limits."""
    used = descriptors(pid)
    for _ in range(20):  # a scan opens some descriptors only for a moment
        time.sleep(0.01)
        used &= descriptors(pid)
    unused = (number for number in itertools.count() if number not in used)
    first_refused = next(itertools.islice(unused, free, None))
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_refused, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of other processes can be changed on Linux only")
@pytest.mark.parametrize("free", [0, 1, 2])
def test_a_watcher_out_of_file_descriptors_resumes_when_some_are_free(outputs, watch, free):
    batch = Batch.make(outputs)
    before = batch.add(1)
    with watch("--set", "rescan_interval=0.5") as watcher:
        wait_for_rendering(before)
        watcher.wait_for("prompt_001_vid001: 3 outputs")
        limits = leave_descriptors(watcher.process.pid, free)
        after = batch.add(2)
        watcher.wait_for("Too many open files")
        assert status(after) is None
        resource.prlimit(watcher.process.pid, resource.RLIMIT_NOFILE, limits)
        wait_for_rendering(after)
        assert len(read_receipt(after)["attempts"]) == 1
        assert watcher.stop(signal.SIGTERM) == 0


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of a few megabytes and return its folder."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root and `mount`, to mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path):
    """Write to a file until the disk is full; return it."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def test_a_full_disk_pauses_a_watcher_and_costs_no_attempt(small_disk, watch):
    batch = Batch.make(small_disk)
    before = batch.add(1)
    with watch("--set", "min_free_space=0", root=small_disk) as watcher:
        wait_for_rendering(before)
        hidden = batch.add(2).rename(batch.prompt() / ".waiting")
        filler = fill(small_disk / "filler")
        after = hidden.rename(batch.prompt() / "video_002.complete.json")
        watcher.wait_for("resumes automatically, no work is lost")
        assert status(after) is None
        assert not list(batch.prompt().glob("attention_videos/*vid002*"))
        filler.unlink()
        wait_for_rendering(after)
        watcher.wait_for("after a pause of")
        assert len(read_receipt(after)["attempts"]) == 1
        assert watcher.stop(signal.SIGTERM) == 0


def test_a_disk_below_min_free_space_is_waited_for_before_rendering_starts(small_disk, watch):
    with watch("--set", "min_free_space=4MiB", root=small_disk) as watcher:
        (small_disk / "filler").write_bytes(bytes(3 * 2**20))
        manifest = Batch.make(small_disk).add()
        watcher.wait_for("left, min_free_space is 4 MiB)")
        assert not (manifest.parent / "attention_videos").exists()
        (small_disk / "filler").unlink()
        wait_for_rendering(manifest)


def test_a_full_disk_pauses_only_videos_that_go_there(small_disk, outputs, watch):
    with watch(outputs, "--workers", "1", "--set", "min_free_space=4MiB", root=small_disk) as watcher:
        filler = small_disk / "filler"
        filler.write_bytes(bytes(3 * 2**20))
        full = Batch.make(small_disk).add()
        watcher.wait_for("left, min_free_space is 4 MiB)")
        healthy = Batch.make(outputs)
        wait_for_rendering(healthy.add(1), healthy.add(2))
        assert status(full) is None
        assert "after a pause of" not in watcher.log
        filler.unlink()
        wait_for_rendering(full)
        watcher.wait_for("after a pause of")


def remount(folder, how):
    command = ["mount", "-o", f"remount,{how}", folder]
    wait_until(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, about=f"it is {how}")


def test_a_read_only_disk_is_reported_as_such_and_waited_for(small_disk, watch):
    manifest = Batch.make(small_disk).add()
    remount(small_disk, "ro")
    with watch("--set", "min_free_space=0", root=small_disk) as watcher:
        watcher.wait_for("resumes automatically, no work is lost")
        assert "is mounted read-only; mount it read-write" in watcher.log
        assert "change its permissions" not in watcher.log
        remount(small_disk, "rw")
        wait_for_rendering(manifest)
        watcher.wait_for("after a pause of")
        assert len(read_receipt(manifest)["attempts"]) == 1


def test_maps_too_large_for_the_temporary_folder_wait_and_delay_no_other_video(small_disk, outputs, watch):
    batch = Batch.make(outputs)
    plain, compressed = batch.add(1), batch.add(2)
    os.utime(plain, (1, 1))  # so that the other video is rendered first
    write_tensors(compressed.parent / "large.safetensors.zst", {"kiss": blob_maps((8, 128, 128), steps=4)})
    write_manifest(compressed, video_id="prompt_001_vid002", attention=["large.safetensors.zst"])
    filler = fill(small_disk / "filler")
    os.truncate(filler, filler.stat().st_size - 2**16)  # a completely full folder would not be used for temporary files
    with watch("--workers", "1", "-v", TMPDIR=str(small_disk)) as watcher:
        wait_for_rendering(plain)
        watcher.wait_for("not yet: prompt_001_vid002: ")
        assert f"too few); free some space, or set TMPDIR to a folder that has it: '{small_disk}'" in watcher.log
        assert "resumes automatically" not in watcher.log
        assert status(compressed) is None
        filler.unlink()
        wait_for_rendering(compressed)
        assert len(read_receipt(compressed)["attempts"]) == 1


def test_deleting_a_receipt_is_noticed_at_once(outputs, watch):
    manifest = Batch.make(outputs).add()
    receipt = manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json"
    with watch() as watcher:
        wait_for_rendering(manifest)
        watcher.wait_for("prompt_001_vid001: 3 outputs")
        receipt.unlink()
        wait_for_rendering(manifest, seconds=LATENCY)


def test_without_file_events_scanning_finds_videos(outputs, watch):
    with watch("--set", "file_events=false", "--set", "rescan_interval=0.2") as watcher:
        watcher.wait_for("file events are switched off")
        batch = Batch.make(outputs)
        first = batch.add(1)
        wait_for_rendering(first)
        (first.parent / "attention_videos" / "prompt_001_vid001.rendered.json").unlink()
        wait_for_rendering(first, batch.add(2))


def test_tensors_replaced_at_the_same_size_are_rendered_again_but_touched_ones_are_not(outputs, watch):
    manifest = Batch.make(outputs).add()
    tensors = manifest.parent / "attention_maps" / "vid001.safetensors"
    with watch("--set", "file_events=false", "--set", "rescan_interval=0.2") as watcher:
        wait_for_rendering(manifest)
        before = read_receipt(manifest)
        tensors.touch()
        wait_until(lambda: read_receipt(manifest)["content"] != before["content"], about="the new time is recorded")
        assert read_receipt(manifest)["attempts"] == before["attempts"]
        other = write_tensors(tensors.with_name("other"), {"kiss": blob_maps(peak=0.25)})
        assert other.stat().st_size == tensors.stat().st_size
        other.rename(tensors)
        wait_until(lambda: watcher.log.count("prompt_001_vid001: 3 outputs") == 2, about="it is rendered again")
        assert read_receipt(manifest)["attempts"] != before["attempts"]


def test_a_batch_renamed_while_rendering_gets_one_set_of_outputs_at_its_new_path(outputs, watch):
    batch = Batch.make(outputs)
    manifest = slow_video(batch, 1, frames=20)
    with watch() as watcher:
        wait_until(lambda: is_being_rendered(manifest), about="rendering has started")
        batch.folder.rename(outputs / "renamed")
        moved = outputs / "renamed" / manifest.relative_to(batch.folder)
        wait_for_rendering(moved)
        last = Batch(outputs / "renamed").add(2)
        wait_for_rendering(last)
        assert watcher.stop(signal.SIGTERM) == 0
        assert watcher.log.count("✅ Generated attention video: prompt_001_vid001_a_overlay.mp4") == 1
    assert not batch.folder.exists()
    assert len(read_receipt(moved)["attempts"]) == 1
    assert len(list(outputs.rglob("*vid001_a_overlay.mp4"))) == 1
    assert not unfinished(outputs)


def test_a_watcher_that_is_stopping_ends_well_even_if_its_fork_server_dies_meanwhile(outputs, watch):
    slow = slow_video(Batch.make(outputs), 1)
    with watch("--workers", "1") as watcher:
        wait_until(lambda: is_being_rendered(slow), about="rendering has started")
        server = server_of(watcher)
        watcher.process.send_signal(signal.SIGTERM)
        watcher.wait_for("stopping")
        os.kill(server, signal.SIGKILL)
        assert watcher.process.wait(60) == 0
        assert "the process that starts renderings has ended" not in watcher.log


def test_sighup_during_start_up_does_not_end_the_watcher(outputs, watch):
    manifest = Batch.make(outputs).add()
    with watch() as watcher:
        ignored = Path(f"/proc/{watcher.process.pid}/status")
        wait_until(lambda: survives_sighup(ignored.read_text()), about="the watcher handles SIGHUP")
        watcher.process.send_signal(signal.SIGHUP)
        wait_for_rendering(manifest)
        assert watcher.stop(signal.SIGTERM) == 0


def survives_sighup(status):
    """Return whether a process ignores or handles SIGHUP, according to its /proc status."""
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigCgt"))]
    return any(mask >> (signal.SIGHUP - 1) & 1 for mask in masks)


def test_a_batch_that_asks_to_stop_at_its_first_failure_does_not_stop_the_watcher(outputs, watch):
    broken, other = Batch.make(outputs, "broken"), Batch.make(outputs, "other")
    manifest = broken.add(visualization={"fail_on_visualization_error": True})
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    with watch() as watcher:
        watcher.wait_for("❌ prompt_001_vid001")
        wait_for_rendering(other.add())
        assert watcher.stop(signal.SIGTERM) == 0


def test_with_fail_on_visualization_error_a_refused_manifest_ends_the_watcher(outputs, watch):
    (outputs / "video_001.complete.json").write_text("{}")
    with watch("--set", "fail_on_visualization_error=true") as watcher:
        assert watcher.process.wait(60) == 1


@pytest.mark.parametrize("kind", ["file", "link"])
def test_outputs_without_a_proper_folder_wait_and_the_log_says_why(outputs, watch, tmp_path, kind):
    manifest = Batch.make(outputs).add()
    folder = manifest.parent / "attention_videos"
    folder.write_text("") if kind == "file" else folder.symlink_to(tmp_path)
    with watch("-v") as watcher:
        watcher.wait_for(f"found a {kind}; expected a folder for the outputs")
        assert "started" not in watcher.log
        folder.unlink()
        wait_for_rendering(manifest)
    assert not list(tmp_path.glob("*.rendered.json"))
