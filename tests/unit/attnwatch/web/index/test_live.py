import pytest

from attnwatch.report.activity import Activity, Publisher, Running
from attnwatch.web.index.live import Live
from tests.support import wait_until, write_receipt


@pytest.mark.parametrize("file_events", [True, False], ids=["events", "polling"])
def test_what_happens_in_a_tree_is_known_at_once_long_before_everything_is_looked_at_again(batch, opened, file_events):
    manifest = batch.add_full(1)
    page = opened()

    def state():
        return [video["state"] for video in page.videos]

    with Live(page.catalogue, page.surveyed, file_events=file_events):
        write_receipt(manifest)
        wait_until(lambda: state() == ["rendered"])
        batch.add_full(1, prompt=2)
        wait_until(lambda: state() == ["rendered", "waiting"])


def test_what_a_watcher_says_about_itself_is_shown(batch, opened, outputs):
    manifest = batch.add_full(1)
    page = opened()
    activity = Activity((str(outputs),), "0.6.0", host="gpu-7", waiting=3)
    activity.running = [Running("prompt_001_vid001", str(manifest), activity.started)]
    with Publisher([outputs]) as publisher, Live(page.catalogue, page.surveyed):
        publisher.publish(activity)
        wait_until(lambda: page.catalogue.watcher)
        assert (page.catalogue.watcher.host, page.catalogue.watcher.waiting) == ("gpu-7", 3)
        wait_until(lambda: page.videos[0]["state"] == "running")
    assert page.detail()["worker"] == "gpu-7"
