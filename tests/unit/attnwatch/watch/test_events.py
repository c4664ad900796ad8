import contextlib
import logging
import os
import shutil
import time

import pytest
from watchdog.observers import Observer

from attnwatch.watch.events import Hints, RootWatcher
from tests.support import Batch, few_descriptors, wait_until, write_json, write_manifest


@pytest.fixture
def hints():
    return Hints()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outputs"
    root.mkdir()
    return root


def hinted(hints, *paths, seconds=10.0):
    """Wait until all the paths were hinted at, and return everything that was."""
    seen = set()
    limit = time.monotonic() + seconds
    while not seen >= set(paths):
        left = limit - time.monotonic()
        assert left > 0, f"only {seen}"
        if hints.readable.poll(left):
            seen |= hints.take()
    return seen


def test_hints_are_readable_until_they_are_taken(hints, tmp_path):
    assert not hints.readable.poll(0)
    hints.add(tmp_path / "a")
    hints.add(tmp_path / "b")
    assert hints.readable.poll(0)
    assert hints.take() == {tmp_path / "a", tmp_path / "b"}
    assert not hints.readable.poll(0)
    assert hints.take() == set()


def test_a_million_hints_about_one_folder_do_not_fill_a_pipe(hints, tmp_path):
    for _ in range(100_000):
        hints.add(tmp_path)
    assert hints.take() == {tmp_path}


def test_a_manifest_that_is_renamed_into_place_is_hinted_at(root, hints):
    with RootWatcher([root], hints):
        hinted(hints, write_manifest(root / "v.complete.json"))


def test_a_manifest_that_comes_from_elsewhere_is_hinted_at(root, hints, tmp_path):
    with RootWatcher([root], hints):
        write_manifest(tmp_path / "v.complete.json").rename(root / "v.complete.json")
        hinted(hints, root / "v.complete.json")


def test_a_manifest_that_is_written_in_place_is_hinted_at(root, hints):
    with RootWatcher([root], hints):
        (root / "v.complete.json").write_text("{}")
        hinted(hints, root / "v.complete.json")


def test_a_manifest_deep_below_is_hinted_at(root, hints):
    deep = root / "batch" / "videos" / "prompt_001"
    deep.mkdir(parents=True)
    with RootWatcher([root], hints):
        hinted(hints, write_manifest(deep / "v.complete.json"))


def test_folders_that_are_made_and_filled_at_once_are_hinted_at_or_what_is_in_them(root, hints):
    with RootWatcher([root], hints):
        manifest = write_manifest(root / "batch" / "videos" / "prompt_001" / "v.complete.json")
        limit = time.monotonic() + 10
        seen = set()
        while not any(manifest.is_relative_to(path) for path in seen):
            assert time.monotonic() < limit
            if hints.readable.poll(1):
                seen |= hints.take()


def test_a_batch_that_is_moved_in_is_hinted_at(root, hints, tmp_path):
    batch = Batch.make(tmp_path / "elsewhere")
    batch.add()
    with RootWatcher([root], hints):
        batch.folder.rename(root / "moved")
        hinted(hints, root / "moved")


def test_a_hidden_folder_that_is_renamed_is_hinted_at_by_its_new_name(root, hints):
    (root / ".unfinished").mkdir()
    with RootWatcher([root], hints):
        (root / ".unfinished").rename(root / "batch")
        hinted(hints, root / "batch")


def test_other_files_are_no_hints(root, hints):
    with RootWatcher([root], hints):
        for name in ("v.mp4", "maps.safetensors", "batch.json", ".v.complete.json"):
            (root / name).write_text("{}")
        (root / "v.mp4").unlink()
        last = write_manifest(root / "last.complete.json")
        assert hinted(hints, last) == {last}


def test_a_batch_that_ended_is_a_hint_at_its_folder(root, hints):
    with RootWatcher([root], hints):
        write_json(root / "batch.complete.json", {})
        assert hinted(hints, root) == {root}


def test_several_folders_are_watched(tmp_path, hints):
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        root.mkdir()
    with RootWatcher(roots, hints):
        hinted(hints, *(write_manifest(root / "v.complete.json") for root in roots))


def test_a_root_that_stays_the_same_is_nothing_new(root, hints):
    with RootWatcher([root], hints) as watcher:
        write_manifest(root / "v.complete.json")
        assert not watcher.refresh()


def test_a_root_that_appears_later_is_watched_from_then_on(root, hints, caplog):
    root.rmdir()
    with caplog.at_level("INFO"), RootWatcher([root], hints) as watcher:
        assert f"{root} does not exist yet: waiting for it" in caplog.messages
        assert not watcher.refresh()
        root.mkdir()
        assert watcher.refresh()
        hinted(hints, write_manifest(root / "v.complete.json"))


def replace_by_another(root):
    root.rename(root.with_name("old"))
    root.mkdir()


def remove_and_make_again(root):
    shutil.rmtree(root)
    root.mkdir()


@pytest.mark.parametrize("replace", [replace_by_another, remove_and_make_again])
def test_a_root_that_is_replaced_is_watched_again(root, hints, replace):
    with RootWatcher([root], hints) as watcher:
        write_manifest(root / "before.complete.json")
        hinted(hints, root / "before.complete.json")
        replace(root)
        wait_until(watcher.refresh, about="the new folder is noticed")
        hinted(hints, write_manifest(root / "after.complete.json"))


def test_a_root_that_is_taken_away_is_waited_for(root, hints):
    with RootWatcher([root], hints) as watcher:
        root.rename(root.with_name("old"))
        assert watcher.refresh()
        assert not watcher.refresh()
        root.with_name("old").rename(root)
        assert watcher.refresh()
        hinted(hints, write_manifest(root / "v.complete.json"))


def test_names_that_are_no_utf8_are_hinted_at(root, hints):
    with RootWatcher([root], hints):
        hinted(hints, write_manifest(root / os.fsdecode(b"\xff.complete.json")))


def test_where_there_can_be_no_events_it_is_said_and_the_rest_goes_on(root, hints, monkeypatch, caplog):
    def at_the_limit(*arguments, **keywords):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "schedule", at_the_limit)
    with RootWatcher([root], hints) as watcher:
        assert not watcher.refresh()
    (record,) = caplog.records
    assert "found only by scanning" in record.message
    assert "limit reached" in record.message


def test_an_overflow_is_heard_of_in_watchdogs_log_counted_and_reason_enough_to_scan(root, hints, capfd):
    with RootWatcher([root], hints) as watcher:
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed")
        assert hints.readable.poll(5)
        assert hints.take() == set()
        assert watcher.overflows == 1
        assert watcher.refresh()
        assert not watcher.refresh()
    assert "overflow" not in capfd.readouterr().err


def test_other_words_of_watchdogs_are_no_overflow_and_reach_nobody(root, hints, capfd):
    with RootWatcher([root], hints) as watcher:
        logging.getLogger("watchdog.observers.inotify_c").warning("something else")
        assert watcher.overflows == 0
        assert not watcher.refresh()
    assert "something else" not in capfd.readouterr().err


def test_afterwards_watchdogs_log_goes_where_it_went(root, hints, caplog):
    with RootWatcher([root], hints) as watcher:
        pass
    logging.getLogger("watchdog.observers").warning("Inotify queue overflowed")
    assert watcher.overflows == 0
    assert caplog.messages == ["Inotify queue overflowed"]


def test_every_folder_below_is_counted_as_watched_also_one_that_comes_later(root, hints):
    for name in ("a/b", "attention_videos", ".hidden"):
        (root / name).mkdir(parents=True)
    with RootWatcher([root], hints) as watcher:
        before = watcher.watched_folders()
        assert before >= len(["outputs", "a", "b", "attention_videos"])
        (root / "late").mkdir()
        wait_until(lambda: watcher.watched_folders() == before + 1)


def test_where_the_kernel_tells_nothing_the_number_of_watched_folders_is_not_known(root, hints, monkeypatch):
    with RootWatcher([root], hints) as watcher:
        monkeypatch.setattr("attnwatch.watch.events.Path", lambda _path: root / "no such folder")
        assert watcher.watched_folders() is None


def test_receipts_are_hinted_at_when_they_appear_and_when_they_are_deleted(root, hints):
    receipt = root / "attention_videos" / "v.rendered.json"
    receipt.parent.mkdir()
    with RootWatcher([root], hints):
        write_json(receipt, {})
        hinted(hints, receipt)
        receipt.unlink()
        hinted(hints, receipt)


def test_manifests_that_are_deleted_are_no_hint(root, hints):
    gone = write_manifest(root / "gone.complete.json")
    with RootWatcher([root], hints):
        gone.unlink()
        last = write_manifest(root / "last.complete.json")
        assert hinted(hints, last) == {last}


@pytest.mark.parametrize("free", [0, 1, 2])
def test_without_file_descriptors_there_are_no_events_and_it_is_said_why(root, hints, caplog, free):
    watcher = RootWatcher([root], hints)
    with contextlib.ExitStack() as stack:
        with few_descriptors(free):
            stack.enter_context(watcher)
        assert list(watcher.failures) == [root]
        (record,) = caplog.records
        assert "found only by scanning" in record.message
        assert not watcher.refresh()
        assert watcher.failures


def test_events_that_could_not_be_had_are_asked_for_again(root, hints):
    with contextlib.ExitStack() as stack:
        with few_descriptors(0):
            watcher = stack.enter_context(RootWatcher([root], hints))
        assert watcher.failures
        watcher.try_again()
        assert watcher.refresh()
        assert not watcher.failures
        hinted(hints, write_manifest(root / "v.complete.json"))


def test_an_observer_that_died_is_replaced(root, hints):
    with RootWatcher([root], hints) as watcher:
        watcher._observer.stop()
        watcher._observer.join()
        assert watcher.refresh()
        hinted(hints, write_manifest(root / "v.complete.json"))
