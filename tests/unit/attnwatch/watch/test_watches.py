import os
import threading
import warnings
from pathlib import Path

from attnwatch.watch import watches
from attnwatch.watch.events import Hints, RootWatcher
from tests.support import bury, dig

DEEP = 300


def test_what_watchdog_says_of_a_folder_that_it_meets_twice_does_not_name_all_others(tmp_path, monkeypatch):
    said = []
    heard = threading.Event()

    def warn(message, *arguments, **keywords):
        said.append(len(str(message)))
        heard.set()

    folders_inside = watches._folders_inside

    def one_more_inside(path, left_out):
        """Make a folder in one that is watched already and is about to be walked: it is found, and told of as well."""
        if path.endswith(b"moved"):
            Path(os.fsdecode(path), "twice").mkdir()
        return folders_inside(path, left_out)

    monkeypatch.setattr(watches, "_folders_inside", one_more_inside)
    (tmp_path / "root").mkdir()
    os.close(dig(tmp_path / "deep", DEEP))
    with RootWatcher([tmp_path / "root"], Hints()):
        monkeypatch.setattr(warnings, "warn", warn)
        (tmp_path / "deep").rename(tmp_path / "root" / "moved")
        try:
            assert heard.wait(60)
        finally:
            bury(tmp_path / "root")
    assert max(said) < 10_000
