import os
import threading
import warnings

from attnwatch.watch.events import Hints, RootWatcher
from tests.support import bury, dig, wait_until

DEEP = 300


def test_what_watchdog_says_of_a_folder_that_it_meets_twice_does_not_name_all_others(tmp_path, monkeypatch):
    said = []
    heard = threading.Event()

    def warn(message, *arguments, **keywords):
        said.append(len(str(message)))
        heard.set()

    tried = iter(range(1_000))
    hints = Hints()

    def meets_a_folder_twice():
        """Create folders in each other faster than watchdog follows; it may do so once in a while."""
        os.close(dig(tmp_path / f"deep{next(tried)}", DEEP))
        return heard.wait(1)

    with RootWatcher([tmp_path], hints):
        monkeypatch.setattr(warnings, "warn", warn)
        try:
            wait_until(meets_a_folder_twice, seconds=60)
        finally:
            for folder in tmp_path.glob("deep*"):
                bury(folder)
    assert max(said) < 10_000
