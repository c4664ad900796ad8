from datetime import UTC, datetime, timedelta

import pytest

from attnwatch.report.activity import SILENT_AFTER, Activity, Publisher
from tests.support import called


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def asked(capsys, *arguments):
    code, out, err = called(capsys, "status", *arguments, "--health")
    assert err == ""
    return code, out


def test_it_is_healthy_while_a_watcher_shows_that_it_is_alive(outputs, capsys):
    with Publisher([outputs]) as publisher:
        publisher.publish(Activity((str(outputs),), "1", rendered=1_200, waiting=3))
        assert asked(capsys, str(outputs)) == (0, "healthy: 1,200 rendered, 3 waiting\n")
    assert asked(capsys, str(outputs)) == (1, f"not healthy: no watcher of this machine in {outputs}\n")


def test_a_paused_watcher_is_healthy_and_says_why_it_waits(outputs, capsys):
    with Publisher([outputs]) as publisher:
        publisher.publish(Activity((str(outputs),), "1", paused="the disk is full"))
        assert asked(capsys, str(outputs)) == (0, "healthy: paused: the disk is full\n")


def test_a_watcher_that_hangs_is_not_healthy(outputs, capsys, monkeypatch):
    silent = datetime.now(UTC) - timedelta(seconds=SILENT_AFTER + 5)
    monkeypatch.setattr("attnwatch.report.activity.now", silent.isoformat)
    with Publisher([outputs]) as publisher:
        publisher.publish(Activity((str(outputs),), "1"))
        code, out = asked(capsys, str(outputs))
    assert (code, out) == (1, f"not healthy: the watcher has been silent for more than 30 s in {outputs}\n")


def test_watchers_of_other_machines_say_nothing_about_this_one(outputs, capsys):
    with Publisher([outputs]) as publisher:
        publisher.publish(Activity((str(outputs),), "1", host="node7"))
        assert asked(capsys, str(outputs))[0] == 1


def test_with_outputs_elsewhere_the_watcher_is_looked_for_there(outputs, tmp_path, capsys):
    out = tmp_path / "elsewhere"
    out.mkdir()
    with Publisher([out]) as publisher:
        publisher.publish(Activity((str(outputs),), "1", out=str(out)))
        assert asked(capsys, str(outputs), "--out", str(out))[0] == 0
