import contextlib
import logging
import os
import shutil
import time

import pytest
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from attnwatch.system.exclusion import Exclusion
from attnwatch.watch.events import Hints, RootWatcher
from tests.support import Batch, bury, dig, few_descriptors, threads_since, wait_until, write_json, write_manifest

PATIENCE = 60.0  # seconds to wait for an event, enough on a busy machine


@pytest.fixture
def hints():
    return Hints()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outputs"
    root.mkdir()
    return root


def take_until(hints, is_enough):
    """Take hints until `is_enough` is true of all that were taken; return them."""
    seen = set()
    limit = time.monotonic() + PATIENCE
    while not is_enough(seen):
        left = limit - time.monotonic()
        assert left > 0, f"only {seen}"
        if hints.readable.poll(left):
            seen |= hints.take()
    return seen


def hinted(hints, *paths):
    """Wait for hints at all of `paths`; return every hint seen."""
    return take_until(hints, set(paths).issubset)


def test_hints_are_readable_until_they_are_taken(hints, tmp_path):
    assert not hints.readable.poll(0)
    hints.add(tmp_path / "a")
    hints.add(tmp_path / "b")
    assert hints.readable.poll(0)
    assert hints.take() == {tmp_path / "a", tmp_path / "b"}
    assert not hints.readable.poll(0)
    assert hints.take() == set()


def test_many_hints_do_not_fill_the_pipe(hints, tmp_path):
    for _ in range(100_000):
        hints.add(tmp_path)
    assert hints.take() == {tmp_path}


def test_a_manifest_renamed_into_place_gives_a_hint(root, hints):
    with RootWatcher([root], hints):
        hinted(hints, write_manifest(root / "v.complete.json"))


def test_a_manifest_moved_in_from_another_folder_gives_a_hint(root, hints, tmp_path):
    with RootWatcher([root], hints):
        write_manifest(tmp_path / "v.complete.json").rename(root / "v.complete.json")
        hinted(hints, root / "v.complete.json")


def test_a_manifest_written_in_place_gives_a_hint(root, hints):
    with RootWatcher([root], hints):
        (root / "v.complete.json").write_text("{}")
        hinted(hints, root / "v.complete.json")


def test_a_manifest_in_a_nested_folder_gives_a_hint(root, hints):
    deep = root / "batch" / "videos" / "prompt_001"
    deep.mkdir(parents=True)
    with RootWatcher([root], hints):
        hinted(hints, write_manifest(deep / "v.complete.json"))


def test_folders_created_and_filled_at_once_give_a_hint_at_the_manifest_or_above_it(root, hints):
    with RootWatcher([root], hints):
        manifest = write_manifest(root / "batch" / "videos" / "prompt_001" / "v.complete.json")
        take_until(hints, lambda seen: any(map(manifest.is_relative_to, seen)))


def test_a_batch_moved_in_gives_a_hint(root, hints, tmp_path):
    batch = Batch.make(tmp_path / "elsewhere")
    batch.add()
    with RootWatcher([root], hints):
        batch.folder.rename(root / "moved")
        hinted(hints, root / "moved")


def test_a_renamed_hidden_folder_gives_a_hint_at_its_new_name(root, hints):
    (root / ".unfinished").mkdir()
    with RootWatcher([root], hints):
        (root / ".unfinished").rename(root / "batch")
        hinted(hints, root / "batch")


def test_other_files_give_no_hints(root, hints):
    with RootWatcher([root], hints):
        for name in ("v.mp4", "maps.safetensors", "batch.json", ".v.complete.json"):
            (root / name).write_text("{}")
        (root / "v.mp4").unlink()
        last = write_manifest(root / "last.complete.json")
        assert hinted(hints, last) == {last}


def test_a_new_link_to_a_folder_gives_a_hint_and_one_to_a_file_does_not(root, hints, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "file").touch()
    with RootWatcher([root], hints):
        (root / "to_a_file").symlink_to(tmp_path / "file")
        (root / "to_nowhere").symlink_to(tmp_path / "absent")
        (root / "to_itself").symlink_to("to_itself")
        (root / "batch").symlink_to(tmp_path / "elsewhere")
        assert hinted(hints, root / "batch") == {root / "batch"}


def test_the_end_of_a_batch_gives_a_hint_at_its_folder(root, hints):
    with RootWatcher([root], hints):
        write_json(root / "batch.complete.json", {})
        assert hinted(hints, root) == {root}


def test_every_root_is_watched(tmp_path, hints):
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        root.mkdir()
    with RootWatcher(roots, hints):
        hinted(hints, *(write_manifest(root / "v.complete.json") for root in roots))


def test_refresh_reports_nothing_for_an_unchanged_root(root, hints):
    with RootWatcher([root], hints) as watcher:
        write_manifest(root / "v.complete.json")
        assert not watcher.refresh()


def test_a_root_created_later_is_watched(root, hints, caplog):
    root.rmdir()
    with caplog.at_level("INFO", "attnwatch"), RootWatcher([root], hints) as watcher:
        assert f"{root} does not exist: waiting for it" in caplog.messages
        assert not watcher.refresh()
        root.mkdir()
        assert watcher.refresh()
        hinted(hints, write_manifest(root / "v.complete.json"))


def move_away_and_recreate(root):
    root.rename(root.with_name("old"))
    root.mkdir()


def delete_and_recreate(root):
    shutil.rmtree(root)
    root.mkdir()


@pytest.mark.parametrize("replace", [move_away_and_recreate, delete_and_recreate])
def test_a_replaced_root_is_watched_again(root, hints, replace):
    with RootWatcher([root], hints) as watcher:
        write_manifest(root / "before.complete.json")
        hinted(hints, root / "before.complete.json")
        replace(root)
        wait_until(watcher.refresh, seconds=PATIENCE, about="the new folder is noticed")
        hinted(hints, write_manifest(root / "after.complete.json"))


def test_a_root_that_disappears_and_returns_is_watched_again(root, hints):
    with RootWatcher([root], hints) as watcher:
        root.rename(root.with_name("old"))
        assert watcher.refresh()
        assert not watcher.refresh()
        root.with_name("old").rename(root)
        assert watcher.refresh()
        hinted(hints, write_manifest(root / "v.complete.json"))


def test_a_name_that_is_not_utf8_gives_a_hint(root, hints):
    with RootWatcher([root], hints):
        hinted(hints, write_manifest(root / os.fsdecode(b"\xff.complete.json")))


def test_a_lack_of_inotify_watches_is_logged_once_and_is_no_error(root, hints, monkeypatch, caplog):
    def at_the_limit(*arguments, **keywords):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "schedule", at_the_limit)
    with RootWatcher([root], hints) as watcher:
        assert not watcher.refresh()
    (record,) = caplog.records
    assert "found only by scanning" in record.message
    assert "limit reached" in record.message


def test_an_inotify_overflow_is_counted_and_asks_for_a_scan(root, hints, capfd):
    with RootWatcher([root], hints) as watcher:
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed")
        assert hints.readable.poll(0)
        assert hints.take() == set()
        assert watcher.overflows == 1
        assert watcher.refresh()
        assert not watcher.refresh()
    assert "overflow" not in capfd.readouterr().err


def test_other_watchdog_warnings_are_silenced_and_not_counted(root, hints, capfd):
    with RootWatcher([root], hints) as watcher:
        logging.getLogger("watchdog.observers.inotify_c").warning("something else")
        assert watcher.overflows == 0
        assert not watcher.refresh()
    assert "something else" not in capfd.readouterr().err


def test_the_watchdog_logger_is_restored_on_exit(root, hints, caplog):
    with RootWatcher([root], hints) as watcher:
        pass
    logging.getLogger("watchdog.observers").warning("Inotify queue overflowed")
    assert watcher.overflows == 0
    assert caplog.messages == ["Inotify queue overflowed"]


def test_watched_folders_counts_every_folder_and_those_created_later(root, hints):
    for name in ("a/b", "attention_videos", ".hidden"):
        (root / name).mkdir(parents=True)
    with RootWatcher([root], hints) as watcher:
        before = watcher.watched_folders()
        assert before >= len(["outputs", "a", "b", "attention_videos"])
        (root / "late").mkdir()
        wait_until(lambda: watcher.watched_folders() == before + 1, PATIENCE)


def test_a_root_that_does_not_exist_is_not_missed(root, hints, tmp_path):
    present = tmp_path / "present"
    present.mkdir()
    with RootWatcher([root, present], hints) as watcher:
        assert not any(watcher.misses_some_of(2) for _ in range(3))
        root.rmdir()
        watcher.refresh()
        assert not any(watcher.misses_some_of(2) for _ in range(3))
        assert [watcher.misses_some_of(3) for _ in range(2)] == [False, True]


def test_folders_that_scans_do_not_enter_are_not_watched(root, hints):
    for name in ("a/old/x", "a/kept", ".hidden/x", "#recycle/x", "b/c/x"):
        (root / name).mkdir(parents=True)
    with RootWatcher([root], hints, Exclusion(("old", "b/c"))) as watcher:
        wait_until(lambda: watcher.watched_folders() == 4)  # the root, a, a/kept, b
        for name in ("a/kept/old/y", "c/.hidden/y", "c/$Recycle.Bin/y", "b/c/z"):
            (root / name).mkdir(parents=True)
        hinted(hints, root / "c")
        (root / "a/old").rename(root / "a/new")
        hinted(hints, root / "a/new")
        wait_until(lambda: watcher.watched_folders() == 7)  # also c, a/new, a/new/x
        assert watcher.misses_some_of(7) is False
        write_manifest(root / "a/new/x/v.complete.json", attention=[])
        hinted(hints, root / "a/new/x/v.complete.json")


def test_watched_folders_is_none_when_the_kernel_reports_nothing(root, hints, monkeypatch):
    with RootWatcher([root], hints) as watcher:
        monkeypatch.setattr("attnwatch.watch.events.Path", lambda _path: root / "no such folder")
        assert watcher.watched_folders() is None


def test_a_receipt_gives_a_hint_when_it_appears_and_when_it_is_deleted(root, hints):
    receipt = root / "attention_videos" / "v.rendered.json"
    receipt.parent.mkdir()
    with RootWatcher([root], hints):
        write_json(receipt, {})
        hinted(hints, receipt)
        receipt.unlink()
        hinted(hints, receipt)


def test_a_deleted_manifest_gives_no_hint(root, hints):
    gone = write_manifest(root / "gone.complete.json")
    with RootWatcher([root], hints):
        gone.unlink()
        last = write_manifest(root / "last.complete.json")
        assert hinted(hints, last) == {last}


@pytest.mark.parametrize("free", [0, 1, 2])
def test_a_lack_of_file_descriptors_is_logged_once_and_is_no_error(root, hints, caplog, free):
    watcher = RootWatcher([root], hints)
    with contextlib.ExitStack() as stack:
        with few_descriptors(free):
            stack.enter_context(watcher)
        assert list(watcher.failures) == [root]
        (record,) = caplog.records
        assert "found only by scanning" in record.message
        assert not watcher.refresh()
        assert watcher.failures


def test_try_again_restores_events_after_a_failure(root, hints):
    with contextlib.ExitStack() as stack:
        with few_descriptors(0):
            watcher = stack.enter_context(RootWatcher([root], hints))
        assert watcher.failures
        watcher.try_again()
        assert watcher.refresh()
        assert not watcher.failures
        hinted(hints, write_manifest(root / "v.complete.json"))


def test_a_dead_observer_is_replaced(root, hints):
    started = threads_since()
    with RootWatcher([root], hints) as watcher:
        (observer,) = (thread for thread in started() if isinstance(thread, BaseObserver))
        observer.stop()
        observer.join()
        assert watcher.refresh()
        hinted(hints, write_manifest(root / "v.complete.json"))


@pytest.mark.parametrize("links", [["outputs"], ["home", "outputs"]])
def test_what_happens_in_a_linked_root_is_reported_below_the_link(tmp_path, hints, links):
    """The root, or a folder above it, is a link."""
    actual = tmp_path / "disk"
    (actual / "outputs").mkdir(parents=True)
    (tmp_path / links[0]).symlink_to(actual if len(links) > 1 else actual / "outputs")
    root = tmp_path.joinpath(*links)
    with RootWatcher([root], hints) as watcher:
        assert not watcher.failures
        write_manifest(actual / "outputs" / "batch" / "v.complete.json")
        seen = hinted(hints, root / "batch")
        assert all(path.is_relative_to(root) for path in seen)
        (root / "batch").rename(root / "other")
        hinted(hints, root / "other")


def test_a_link_that_leads_elsewhere_is_followed_again(tmp_path, hints):
    root = tmp_path / "outputs"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    root.symlink_to(tmp_path / "old")
    with RootWatcher([root], hints) as watcher:
        root.unlink()
        root.symlink_to(tmp_path / "new")
        assert watcher.refresh()
        write_manifest(tmp_path / "new" / "v.complete.json")
        hinted(hints, root / "v.complete.json")


DEEP = 1_200  # more than Python's usual limit of calls in each other


def test_a_root_with_deep_folders_gives_events(root, hints, tmp_path):
    for folder in (root / "deep", tmp_path / "elsewhere"):
        os.close(dig(folder, DEEP))
    try:
        with RootWatcher([root], hints) as watcher:
            assert not watcher.failures
            (tmp_path / "elsewhere").rename(root / "moved")
            hinted(hints, root / "moved")
            hinted(hints, write_manifest(root / "v.complete.json"))
            assert not watcher.refresh()
    finally:
        bury(root)


def test_a_lack_of_threads_is_logged_once_and_is_no_error(root, hints, monkeypatch, caplog):
    def at_the_limit(*arguments, **keywords):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Observer, "start", at_the_limit)
    with RootWatcher([root], hints) as watcher:
        assert watcher.failures == {root: "can't start new thread"}
        assert not watcher.refresh()
    assert len(caplog.records) == 1
