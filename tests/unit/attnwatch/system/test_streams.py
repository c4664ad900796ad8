import fcntl
import os
import subprocess
import sys
import threading

import pytest

from attnwatch.system.streams import Stderr, open_missing_streams
from tests.support import threads_since, wait_until

ROOM = 4096  # bytes in the smallest pipe


@pytest.fixture
def pipe():
    """Return the ends of a small pipe: what reads stderr, and stderr."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, ROOM)
    return reader, writer


@pytest.fixture
def stream(pipe, monkeypatch):
    """A stream to that pipe, which a thread writes to."""
    reader, writer = pipe
    stream = Stderr()
    stream.about_dropped = lambda number: f"{number} dropped\n"
    with os.fdopen(writer, "w", encoding="utf-8") as stderr:
        with monkeypatch.context() as here:
            here.setattr(sys, "stderr", stderr)
            stream.hand_over()
        threads = threads_since()
        yield stream
        os.close(reader)
        stream.finish()
        for thread in threads():  # else it would write to the next file of that number
            thread.join()


def lines_of(reader):
    """Read until the line "end"."""
    text = b""
    while not text.endswith(b"end\n"):
        text += os.read(reader, 65536)
    return text.decode().splitlines()


def test_texts_are_written_in_order_by_one_thread(stream, pipe):
    threads = threads_since()
    for number in range(100):
        stream.write(f"{number}\n")
    assert len(threads()) == 1
    stream.finish()
    assert os.read(pipe[0], ROOM).decode() == "".join(f"{number}\n" for number in range(100))


def test_a_reader_that_has_stopped_reading_blocks_neither_a_write_nor_the_end(stream, pipe):
    for _ in range(10_000):
        stream.write("x" * 99 + "\n")
    stream.finish()
    stream.write("after the end\n")  # the thread is still stuck
    assert set(os.read(pipe[0], ROOM).decode()) == {"x", "\n"}


def test_dropped_texts_are_counted_where_they_are_missing(stream, pipe):
    for number in range(10_000):
        stream.write(f"{number}\n")
    said, reader = [], threading.Thread(target=lambda: said.extend(lines_of(pipe[0])), daemon=True)
    reader.start()
    wait_until(lambda: not stream._writer._waiting, about="what was queued is read")
    stream.write("end\n")
    reader.join(60)
    expected = gaps = 0
    for line in said[:-1]:
        if line.endswith(" dropped"):
            expected += int(line.split()[0])
            gaps += 1
        else:
            assert line == str(expected)
            expected += 1
    assert expected == 10_000
    assert 1 <= gaps < 10


def test_a_reader_that_is_gone_is_no_error(stream, pipe):
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, pipe[0])
    os.close(null)
    for _ in range(10):
        stream.write("nobody reads this\n")
    stream.finish()


def test_until_it_is_handed_over_texts_are_written_at_once(capsys):
    stream = Stderr()
    stream.write("one")
    assert capsys.readouterr().err == "one"
    stream.hand_over()  # stderr is in memory here, which cannot block
    stream.write("two")
    assert capsys.readouterr().err == "two"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_a_closed_stream_is_replaced_by_the_null_device(tmp_path, closed):
    program = (
        "import os, sys; from attnwatch.system.streams import open_missing_streams as open_them; open_them();"
        "file = open(sys.argv[1], 'w');"  # must not become one of the streams
        "print('out', flush=True); print('err', file=sys.stderr, flush=True); assert sys.stdin is not None;"
        f"assert all(os.path.samestat(os.fstat(number), os.stat(os.devnull)) for number in {closed});"
        "file.write('whole')"
    )
    path = tmp_path / "file"
    started = [sys.executable, "-c", program, str(path)]
    subprocess.run(started, preexec_fn=lambda: [os.close(number) for number in closed], check=True)
    assert path.read_text() == "whole"


def test_open_streams_stay_as_they_are():
    before = sys.stdin, sys.stdout, sys.stderr
    open_missing_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before


def test_without_a_thread_a_text_is_written_at_once_if_the_reader_takes_it(stream, pipe, monkeypatch):
    def at_the_limit(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", at_the_limit)
    stream.write("one\n")
    assert os.read(pipe[0], 100) == b"one\n"
    for _ in range(1000):  # more than the pipe takes: this must not block
        stream.write("x" * 99 + "\n")
    stream.finish()
    assert os.read(pipe[0], ROOM).startswith(b"x")
