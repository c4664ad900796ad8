import itertools
import time
from types import SimpleNamespace

import pytest

from attnwatch.batches.discover import walk
from attnwatch.batches.targets import Target, targets_in
from attnwatch.system.folders import Links
from attnwatch.watch.scanner import Scanner
from tests.support import Batch, write_json, write_manifest


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outputs"
    root.mkdir()
    return root


@pytest.fixture
def short_slices(monkeypatch):
    """A clock that moves 0.03 s at each reading, so that a slice of 0.05 s is over at the second one."""
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 0.03).__next__, thread_time=time.thread_time)
    monkeypatch.setattr("attnwatch.watch.scanner.time", clock)


@pytest.fixture
def still_clock(monkeypatch):
    """A clock that stands still."""
    clock = SimpleNamespace(monotonic=lambda: 1000.0, thread_time=time.thread_time)
    monkeypatch.setattr("attnwatch.watch.scanner.time", clock)
    return clock


def put(root, *names):
    return [Target(write_manifest(root / f"{name}.complete.json")) for name in names]


def found(scanner, interval=None):
    """Return the targets of all slices until the scanner is idle."""
    seen = []
    for _ in range(1000):
        seen += scanner.find(interval)
        if not scanner.is_busy:
            return seen
    raise AssertionError("the scan does not end")


def test_the_first_call_scans_everything(root):
    targets = put(root, "a/one", "b/two")
    scanner = Scanner([root])
    assert scanner.is_busy
    assert found(scanner) == targets
    assert scanner.scans == 1


def test_roots_are_scanned_in_the_given_order(root, tmp_path):
    first, second = put(tmp_path / "one", "v"), put(tmp_path / "two", "v")
    assert found(Scanner([tmp_path / "two", tmp_path / "one"])) == second + first


def test_a_scan_in_many_slices_finds_every_target(root, short_slices):
    targets = put(root, *(f"{folder}/{name}" for folder in "abc" for name in "12"))
    scanner = Scanner([root])
    (first,) = scanner.find(None)
    assert first == targets[0]
    assert scanner.is_busy
    assert scanner.scans == 0
    assert [first, *found(scanner)] == targets


def test_empty_folders_do_not_prolong_a_slice(root, short_slices):
    for number in range(5):
        (root / f"empty_{number}").mkdir()
    scanner = Scanner([root])
    assert list(scanner.find(None)) == []
    assert scanner.is_busy


def test_without_an_interval_there_is_only_one_scan(root):
    scanner = Scanner([root])
    found(scanner)
    put(root, "late")
    assert found(scanner) == []
    assert scanner.next_scan == float("inf")


def test_the_next_scan_starts_when_it_is_due(root):
    scanner = Scanner([root])
    found(scanner, 1000.0)
    targets = put(root, "late")
    assert found(scanner, 1000.0) == []
    scanner.seconds = 0.0
    scanner.wait(0)
    assert found(scanner, 1000.0) == targets
    assert scanner.scans == 2


@pytest.fixture
def delay_after(root, still_clock):
    """A function: seconds to the next scan, 60 or more, after `scans` scans of which the last took `seconds`."""

    def delay(scans, seconds):
        scanner = Scanner([root])
        scanner.scans, scanner.seconds = scans, seconds
        scanner.wait(60.0)
        return scanner.next_scan - still_clock.monotonic()

    return delay


def test_scans_take_at_most_one_percent_of_the_time(delay_after):
    assert delay_after(2, 3.0) == pytest.approx(300)
    assert delay_after(2, 0.5) == pytest.approx(60)


def test_the_first_scan_reads_everything_so_a_tenth_of_its_time_counts(delay_after):
    assert delay_after(1, 3.0) == pytest.approx(60)
    assert delay_after(1, 30.0) == pytest.approx(300)


def test_a_scan_can_be_requested_early(root):
    scanner = Scanner([root])
    found(scanner, 1000.0)
    targets = put(root, "late")
    scanner.ask_for_scan()
    assert scanner.is_busy
    assert found(scanner, 1000.0) == targets


def test_a_scan_requested_during_a_scan_follows_it(root, short_slices):
    put(root, "b", "c")
    scanner = Scanner([root])
    assert list(scanner.find(None))
    early = put(root, "a")
    scanner.ask_for_scan()
    assert early[0] in found(scanner)
    assert scanner.scans == 2


def test_a_hint_is_followed_before_the_scan_continues(root, short_slices):
    put(root, "a/one", "b/two", "c/three")
    scanner = Scanner([root])
    list(scanner.find(None))
    (hinted,) = put(root, "z/hinted")
    scanner.follow([hinted.manifest])
    assert found(scanner)[0] == hinted


def test_a_hint_at_a_folder_covers_everything_below_it(root):
    scanner = Scanner([root])
    found(scanner, 1000.0)
    targets = put(root, "batch/a/one", "batch/b/two")
    put(root, "elsewhere")
    scanner.follow([root / "batch"])
    assert scanner.is_busy
    assert found(scanner, 1000.0) == targets
    assert scanner.scans == 1


@pytest.mark.parametrize(
    "name", ["../outside", ".hidden/v", "attention_videos/v", "a/attention_maps/v", "a/.attnwatch/v"]
)
def test_a_hint_at_a_path_that_scans_skip_is_ignored(root, name):
    scanner = Scanner([root])
    found(scanner, 1000.0)
    (target,) = put(root, name)
    scanner.follow([target.manifest, target.manifest.parent])
    assert found(scanner, 1000.0) == []


def test_a_hint_at_a_deleted_path_finds_nothing(root):
    scanner = Scanner([root])
    found(scanner, 1000.0)
    scanner.follow([root / "gone", root / "gone.complete.json"])
    assert found(scanner, 1000.0) == []


def test_folders_that_scans_do_not_enter_are_counted_unless_hidden(root):
    put(root, "batch/prompt/v")
    (root / "batch/prompt/attention_videos").mkdir()
    (root / "batch/prompt/attention_maps").mkdir()
    (root / ".hidden").mkdir()
    scanner = Scanner([root])
    found(scanner)
    assert scanner.folders == len(["outputs", "batch", "prompt", "attention_videos", "attention_maps"])


def test_a_scan_measures_its_processor_time(root, short_slices):
    put(root, *(f"{number}/v" for number in range(20)))
    scanner = Scanner([root])
    found(scanner)
    assert 0 < scanner.seconds < 20


def test_collect_yields_only_the_collection(root):
    batch = Batch.make(root)
    manifest = batch.add(source=False)
    assert found(Scanner([batch.folder], collect=True)) == [Target(manifest, batch.folder)]


def test_an_ended_batch_yields_each_video_and_its_collection(root):
    batch = Batch.make(root)
    manifest = batch.add(source=False)
    write_json(batch.folder / "batch.complete.json", {})
    assert found(Scanner([root])) == [Target(manifest), Target(manifest, batch.folder)]


def test_a_hint_yields_the_collection_only_if_a_root_contains_the_batch(tmp_path):
    batch = Batch.make(tmp_path)
    manifest = write_manifest(batch.prompt() / "v.complete.json")
    write_json(batch.folder / "batch.complete.json", {})
    for root, targets in (
        (batch.folder, [Target(manifest), Target(manifest, batch.folder)]),
        (batch.prompt(), [Target(manifest)]),
    ):
        scanner = Scanner([root])
        found(scanner)
        scanner.follow([manifest])
        assert found(scanner) == targets


def test_folders_inside_of_hinted_folders_are_walked_once(root, monkeypatch):
    walked = []

    def walk_and_note(path, *arguments, **keywords):
        walked.append(path)
        return walk(path, *arguments, **keywords)

    monkeypatch.setattr("attnwatch.watch.scanner.walk", walk_and_note)
    scanner = Scanner([root])
    found(scanner)
    walked.clear()
    (target,) = put(root, "a/b/c/video")
    scanner.follow([root / "a/b/c", root / "a", target.manifest, root / "a/b", root / "ab"])
    assert found(scanner) == [target, target]
    assert walked == [root / "a", target.manifest, root / "ab"]


def test_a_folder_between_a_hinted_folder_and_what_is_in_it_hides_nothing(root, monkeypatch):
    put(root, "a/x/1", "a-b/2")  # as text, a-b is between a and a/x
    walked = []
    monkeypatch.setattr(
        "attnwatch.watch.scanner.walk", lambda path, **where: walked.append(path) or walk(path, **where)
    )
    scanner = Scanner([root])
    found(scanner)
    walked.clear()
    scanner.follow([root / "a/x", root / "a-b", root / "a"])
    found(scanner)
    assert walked == [root / "a", root / "a-b"]


def test_an_unforeseen_error_about_one_folder_hides_no_other(root, monkeypatch, caplog):
    targets = put(root, "a/one", "b/two", "c/three")

    def targets_except_one(folder, *arguments):
        if folder.path.endswith("/b"):
            raise RuntimeError("nobody has foreseen this")
        return targets_in(folder, *arguments)

    monkeypatch.setattr("attnwatch.watch.scanner.targets_in", targets_except_one)
    scanner = Scanner([root])
    with caplog.at_level("DEBUG", logger="attnwatch"):
        for _ in range(2):
            scanner.ask_for_scan()
            assert found(scanner) == [targets[0], targets[2]]
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(root / "b") in said
    assert "RuntimeError: nobody has foreseen this" in said
    assert [record for record in caplog.records if record.levelname == "DEBUG" and record.exc_info]


def test_a_hint_at_a_link_to_a_folder_names_it_or_follows_it_on_request(root, tmp_path):
    put(tmp_path / "elsewhere", "v")
    (root / "inside").mkdir()
    for links, expected in ((Links.NONE, []), (Links.ALL, [Target(root / "batch" / "v.complete.json")])):
        scanner = Scanner([root], links=links)
        found(scanner)
        for name, target in (("batch", tmp_path / "elsewhere"), ("again", root / "inside")):
            (root / name).unlink(missing_ok=True)
            (root / name).symlink_to(target)
        scanner.follow([root / "batch", root / "again"])
        assert found(scanner) == expected
        assert scanner.linked_near == ([] if expected else [root / "batch"])
