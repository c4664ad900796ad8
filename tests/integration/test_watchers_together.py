"""Two watchers, and other programs, over the same folder: none makes another one work without end."""

import contextlib
import json

import pytest

from tests.integration.watcher_support import QUICK, wait_for_rendering
from tests.support import Batch, read_receipt, wait_until, watching, write_manifest

SOON = (*QUICK, "--set", "retry_backoff=0.1", "--set", "rescan_interval=0.5")
OTHER = ("--set", "colormap=viridis")


@pytest.fixture
def batch(outputs):
    return Batch.make(outputs)


@pytest.fixture
def watch(tmp_path):
    """A function that starts a watcher of a folder, which runs until the end of the test."""
    with contextlib.ExitStack() as stack:
        numbers = iter(range(10))
        yield lambda root, *options: stack.enter_context(
            watching(root, *SOON, *options, log=tmp_path / f"log{next(numbers)}")
        )


def after_some_scans(root, *watchers):
    """Wait until each watcher has scanned its folder a few more times."""
    for watcher in watchers:
        before = scans(root, watcher)
        wait_until(lambda watcher=watcher, before=before: scans(root, watcher) >= before + 4, 60, "four more scans")


def scans(root, watcher):
    """Return the number of scans that a watcher reports; 0 before its first report."""
    states = root.glob(f".attnwatch/*.{watcher.process.pid}.json")
    return max((json.loads(state.read_text())["scans"] for state in states), default=0)


def test_watchers_with_different_settings_try_a_broken_video_twice_in_all(batch, outputs, watch):
    manifest = batch.add()
    (manifest.parent / "attention_maps" / "vid001.safetensors").write_bytes(b"broken")
    first, second = watch(outputs), watch(outputs, *OTHER)
    wait_until(lambda: len((read_receipt(manifest) or {}).get("attempts", ())) == 2, 60, "two attempts")
    after_some_scans(outputs, first, second)
    assert (first.log + second.log).count("❌") == 2
    receipt = read_receipt(manifest)
    assert (receipt["status"], len(receipt["attempts"]), receipt["next_attempt"]) == ("failed", 2, None)


def test_one_folder_watched_under_two_paths_gets_one_receipt_for_a_refused_manifest(batch, outputs, watch, tmp_path):
    twice = [{"slug": slug, "text": "a"} for slug in ("a", "A")]
    manifest = batch.add(tokens=twice)
    (tmp_path / "alias").symlink_to(outputs)
    first, second = watch(outputs), watch(tmp_path / "alias")
    for watcher in (first, second):
        watcher.wait_for("not rendered: ")
    wait_until(lambda: read_receipt(manifest), 60, "the receipt")
    after_some_scans(outputs, first, second)  # whoever was second may have written it again, before it saw the first
    before = read_receipt(manifest)
    after_some_scans(outputs, first, second)
    assert read_receipt(manifest) == before


def test_a_receipt_of_a_later_major_version_is_left_alone_and_stops_no_other_video(batch, outputs, watch):
    manifest = batch.add()
    watcher = watch(outputs)
    wait_for_rendering(manifest)
    (path,) = manifest.parent.glob("attention_videos/*.rendered.json")
    later = path.read_text().replace("attnwatch/1", "attnwatch/2")
    path.with_name(".later").write_text(later)
    path.with_name(".later").replace(path)
    watcher.wait_for("'attnwatch/2'")
    wait_for_rendering(batch.add(2))
    assert path.read_text() == later
    assert watcher.log.count("prompt_001_vid001: 3 outputs") == 1
    assert watcher.log.count("delete it to have the video rendered again") == 1


def test_a_receipt_with_a_number_that_differs_from_itself_is_replaced_once(batch, outputs, watch):
    manifest = write_manifest(batch.add(), video="video_001.mp4", attention=[])
    first = watch(outputs)
    wait_until(lambda: read_receipt(manifest), 60, "the receipt")
    first.stop(15)
    (path,) = manifest.parent.glob("attention_videos/*.rendered.json")
    receipt = json.loads(path.read_text())
    receipt["settings"]["static_duration"] = float("nan")
    path.write_text(json.dumps({**receipt, "settings_sha256": "0" * 64}))
    watch(outputs)
    wait_until(lambda: (read_receipt(manifest) or {}).get("settings_sha256") != "0" * 64, 60, "another receipt")
    assert "NaN" not in path.read_text()
