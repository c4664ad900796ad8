import itertools
import time
from types import SimpleNamespace

import pytest

from attnwatch.batches.targets import Target
from attnwatch.watch.scanner import Scanner
from tests.support import Batch, write_json, write_manifest


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outputs"
    root.mkdir()
    return root


@pytest.fixture
def impatient(monkeypatch):
    """Let a slice of time be over after two looks at the clock."""
    clock = SimpleNamespace(monotonic=itertools.count().__next__, thread_time=time.thread_time)
    monkeypatch.setattr("attnwatch.watch.scanner.time", clock)
    monkeypatch.setattr("attnwatch.watch.scanner._SLICE", 2)


def put(root, *names):
    return [Target(write_manifest(root / f"{name}.complete.json")) for name in names]


def found(search, interval=None):
    """Look until there is no more to look at right now."""
    seen = []
    for _ in range(1000):
        seen += search.find(interval)
        if not search.is_busy:
            return seen
    raise AssertionError("it does not come to an end")


def test_the_first_look_is_a_scan_of_everything(root):
    targets = put(root, "a/one", "b/two")
    search = Scanner([root])
    assert search.is_busy
    assert found(search) == targets
    assert search.scans == 1


def test_several_roots_are_scanned_one_after_the_other(root, tmp_path):
    first, second = put(tmp_path / "one", "v"), put(tmp_path / "two", "v")
    assert found(Scanner([tmp_path / "two", tmp_path / "one"])) == second + first


def test_a_scan_in_many_slices_finds_the_same(root, impatient):
    targets = put(root, *(f"{folder}/{name}" for folder in "abc" for name in "12"))
    search = Scanner([root])
    (first,) = search.find(None)
    assert first == targets[0]
    assert search.is_busy
    assert search.scans == 0
    assert [first, *found(search)] == targets


def test_folders_without_videos_do_not_hold_a_slice_up(root, impatient):
    for number in range(5):
        (root / f"empty_{number}").mkdir()
    search = Scanner([root])
    assert list(search.find(None)) == []
    assert search.is_busy


def test_one_scan_only_is_followed_by_no_other(root):
    search = Scanner([root])
    found(search)
    put(root, "late")
    assert found(search) == []
    assert search.next_scan == float("inf")


def test_the_next_scan_comes_when_its_time_has_come(root):
    search = Scanner([root])
    found(search, 1000.0)
    targets = put(root, "late")
    assert found(search, 1000.0) == []
    search.seconds = 0.0
    search.wait(0)
    assert found(search, 1000.0) == targets
    assert search.scans == 2


def wait_after(root, scans, seconds):
    """Return the seconds until the next scan after so many, the last of which took so long, where 60 are asked for."""
    search = Scanner([root])
    search.scans, search.seconds = scans, seconds
    before = time.monotonic()
    search.wait(60.0)
    return search.next_scan - before


def test_scans_that_take_long_come_so_seldom_that_they_take_a_hundredth_of_the_time(root):
    assert wait_after(root, 2, 3.0) == pytest.approx(300, abs=1)
    assert wait_after(root, 2, 0.5) == pytest.approx(60, abs=1)


def test_the_first_scan_reads_everything_and_counts_for_a_tenth(root):
    assert wait_after(root, 1, 3.0) == pytest.approx(60, abs=1)
    assert wait_after(root, 1, 30.0) == pytest.approx(300, abs=1)


def test_a_scan_may_be_asked_for_before_its_time(root):
    search = Scanner([root])
    found(search, 1000.0)
    targets = put(root, "late")
    search.ask_for_scan()
    assert search.is_busy
    assert found(search, 1000.0) == targets


def test_a_scan_that_is_asked_for_during_another_one_comes_after_it(root, impatient):
    put(root, "b", "c")
    search = Scanner([root])
    assert list(search.find(None))
    early = put(root, "a")
    search.ask_for_scan()
    assert early[0] in found(search)
    assert search.scans == 2


def test_where_a_hint_points_is_looked_at_before_the_scan_goes_on(root, impatient):
    put(root, "a/one", "b/two", "c/three")
    search = Scanner([root])
    list(search.find(None))
    (hinted,) = put(root, "z/hinted")
    search.follow([hinted.manifest])
    assert found(search)[0] == hinted


def test_a_hint_at_a_folder_stands_for_everything_below_it(root):
    search = Scanner([root])
    found(search, 1000.0)
    targets = put(root, "batch/a/one", "batch/b/two")
    put(root, "elsewhere")
    search.follow([root / "batch"])
    assert search.is_busy
    assert found(search, 1000.0) == targets
    assert search.scans == 1


@pytest.mark.parametrize(
    "name", ["../outside", ".hidden/v", "attention_videos/v", "a/attention_maps/v", "a/.attnwatch/v"]
)
def test_a_hint_at_what_no_scan_would_come_to_is_not_followed(root, name):
    search = Scanner([root])
    found(search, 1000.0)
    (target,) = put(root, name)
    search.follow([target.manifest, target.manifest.parent])
    assert found(search, 1000.0) == []


def test_a_hint_at_what_is_gone_finds_nothing(root):
    search = Scanner([root])
    found(search, 1000.0)
    search.follow([root / "gone", root / "gone.complete.json"])
    assert found(search, 1000.0) == []


def test_folders_are_counted_also_those_that_are_not_entered(root):
    put(root, "batch/prompt/v")
    (root / "batch/prompt/attention_videos").mkdir()
    (root / "batch/prompt/attention_maps").mkdir()
    (root / ".hidden").mkdir()
    search = Scanner([root])
    found(search)
    assert search.folders == len(["outputs", "batch", "prompt", "attention_videos", "attention_maps"])


def test_a_scan_tells_how_much_of_the_processor_it_took(root, impatient):
    put(root, *(f"{number}/v" for number in range(20)))
    search = Scanner([root])
    found(search)
    assert 0 < search.seconds < 20


def test_a_batch_that_is_collected_by_hand_yields_nothing_but_its_collection(root):
    batch = Batch.make(root)
    manifest = batch.add(source=False)
    assert found(Scanner([batch.folder], collect=True)) == [Target(manifest, batch.folder)]


def test_a_batch_that_has_ended_is_found_twice_per_video(root):
    batch = Batch.make(root)
    manifest = batch.add(source=False)
    write_json(batch.folder / "batch.complete.json", {})
    assert found(Scanner([root])) == [Target(manifest), Target(manifest, batch.folder)]


def test_a_hint_leads_to_the_collection_only_where_the_batch_was_named(tmp_path):
    batch = Batch.make(tmp_path)
    manifest = write_manifest(batch.prompt() / "v.complete.json")
    write_json(batch.folder / "batch.complete.json", {})
    for root, targets in (
        (batch.folder, [Target(manifest), Target(manifest, batch.folder)]),
        (batch.prompt(), [Target(manifest)]),
    ):
        search = Scanner([root])
        found(search)
        search.follow([manifest])
        assert found(search) == targets
