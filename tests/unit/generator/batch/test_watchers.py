import os
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnwatch.report.activity import Activity, Publisher
from generator.batch.watchers import hint
from generator.settings import AttentionSettings, Settings

WATCHER = {"roots": ("outputs",), "version": "1"}


@pytest.fixture
def batch():
    return prepared(words={1: ("kiss",)})


def prepared(words, **attention):
    settings = Settings(attention_analysis=AttentionSettings(**attention))
    return SimpleNamespace(words=words, plan=SimpleNamespace(settings=settings))


def publish(folder, **fields):
    """Write what a watcher writes, and leave it there."""
    Publisher([folder]).publish(Activity(**{**WATCHER, **fields}))


def ended():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_without_a_watcher_the_command_is_named_and_can_be_pasted(batch):
    assert hint(batch, Path("outputs/demo")) == "attention videos: attnwatch outputs/"
    assert hint(batch, Path("my outputs/demo")) == "attention videos: attnwatch 'my outputs/'"


def test_the_folder_of_a_batch_may_be_the_current_one(batch, tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path / "demo")
    assert hint(batch, Path()) == f"attention videos: attnwatch {tmp_path}/"


@pytest.mark.parametrize("watched", ["outputs", ".", "outputs/demo"])
def test_nothing_is_said_while_a_watcher_is_at_work_there_or_above(batch, tmp_path, watched):
    (tmp_path / "outputs/demo").mkdir(parents=True)
    publish(tmp_path / watched)
    assert hint(batch, tmp_path / "outputs/demo") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"pid": ended()},
        {"host": "elsewhere", "heartbeat": (datetime.now(UTC) - timedelta(minutes=6)).isoformat()},
    ],
)
def test_a_watcher_that_has_ended_does_not_count(batch, tmp_path, fields):
    folder = tmp_path / ".attnwatch"
    folder.mkdir()
    activity = Activity(**{**WATCHER, **fields})
    content = {"host": activity.host, "pid": activity.pid, "heartbeat": activity.heartbeat}
    (folder / "x.1.json").write_text(str(content).replace("'", '"'))
    assert hint(batch, tmp_path / "demo") is not None
    alive = {"host": socket.gethostname(), "pid": os.getpid(), "heartbeat": datetime.now(UTC).isoformat()}
    (folder / "x.2.json").write_text(str(alive).replace("'", '"'))
    assert hint(batch, tmp_path / "demo") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"heartbeat": 5}', '{"heartbeat": "2025-01-01"}', "[" * 100_000])
def test_damaged_files_are_no_watchers(batch, tmp_path, content):
    (tmp_path / ".attnwatch").mkdir()
    (tmp_path / ".attnwatch" / "x.1.json").write_text(content)
    (tmp_path / ".attnwatch" / "folder.1.json").mkdir()
    assert hint(batch, tmp_path / "demo") is not None


def test_nothing_is_said_of_a_batch_without_attention(tmp_path):
    assert hint(prepared(words={1: ()}), tmp_path / "demo") is None
    off = prepared(words={1: ("kiss",)}, store_attention=False, store_aggregated_attention=False)
    assert hint(off, tmp_path / "demo") is None
