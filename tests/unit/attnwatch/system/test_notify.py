"""Tests the notification protocol with a socket in place of the service manager."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from attnwatch.system.notify import Notifier


@contextmanager
def listening(address):
    """Listen like a service manager; yield a function that returns the next notification, or None."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)

        def received():
            try:
                return manager.recv(4096).decode().splitlines()
            except BlockingIOError:
                return None

        yield received


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """Return the value of NOTIFY_SOCKET for a listening socket, and a function that returns its messages."""
    path = f"{tmp_path}/notify"
    with listening(path if request.param == "path" else f"\0{path}") as received:
        yield (path if request.param == "path" else f"@{path}"), received


def from_environment(address, **variables):
    return Notifier.from_environment({"NOTIFY_SOCKET": address, **variables})


@pytest.mark.parametrize(
    ("say", "lines"),
    [
        (Notifier.ready, ["READY=1"]),
        (Notifier.stopping, ["STOPPING=1"]),
        (lambda notifier: notifier.status("3 rendered, 1 waiting"), ["STATUS=3 rendered, 1 waiting"]),
        (lambda notifier: notifier.extend_timeout(2.5), ["EXTEND_TIMEOUT_USEC=2500000"]),
    ],
)
def test_every_message_is_one_datagram(manager, say, lines):
    address, received = manager
    say(from_environment(address))
    assert received() == lines
    assert received() is None


def test_reloading_is_sent_with_its_monotonic_start_time(manager):
    address, received = manager
    before = time.monotonic_ns() // 1000
    from_environment(address).reloading()
    first, second = received()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_status_is_always_one_line(manager):
    address, received = manager
    from_environment(address).status("waiting for\nREADY=1 \udcff")
    assert received() == ["STATUS=waiting for READY=1 \\udcff"]


def test_a_status_has_no_control_characters(manager):
    address, received = manager
    from_environment(address).status("paused: /disk\x1b[2J\x9b is full")
    assert received() == [r"STATUS=paused: /disk\u001b[2J\u009b is full"]


def test_a_status_is_sent_only_when_it_changes(manager):
    address, received = manager
    notifier = from_environment(address)
    for text in ("idle", "idle", "busy"):
        notifier.status(text)
    assert [received() for _ in range(3)] == [["STATUS=idle"], ["STATUS=busy"], None]


def test_the_watchdog_is_notified_twice_per_interval(manager, monkeypatch):
    address, received = manager
    notifier = from_environment(address, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
    assert notifier.watchdog_interval == 30
    sent = []
    for now in (100.0, 101.0, 114.9, 115.0, 129.9, 130.0):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        notifier.watchdog()
        sent.append(received())
    alive = ["WATCHDOG=1"]
    assert sent == [alive, None, None, alive, None, alive]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
    ],
)
def test_the_watchdog_is_notified_only_if_it_was_requested_from_this_process(manager, variables):
    address, received = manager
    notifier = from_environment(address, **variables)
    assert notifier.watchdog_interval is None
    notifier.watchdog()
    assert received() is None


@pytest.mark.parametrize(
    "address", [None, "", "relative", "vsock:2:1234", "/nowhere/at/all", "@nobody", "/" + "x" * 200]
)
def test_without_a_listener_nothing_happens(address):
    notifier = Notifier(address, 30.0)
    for say in (notifier.ready, notifier.reloading, notifier.stopping, notifier.watchdog):
        say()
    notifier.status("idle")
    notifier.extend_timeout(1)


def test_a_manager_with_a_full_queue_blocks_nothing_and_gets_later_messages(tmp_path):
    address = f"{tmp_path}/notify"
    with listening(address) as received:
        notifier = Notifier(address, 1000.0)
        for number in range(2000):  # more than a queue of datagrams holds
            notifier.status(str(number))
            if _full(address):
                break
        else:
            pytest.fail("the queue never filled")
        start = time.monotonic()
        for _ in range(50):
            notifier.status("last")
            notifier.watchdog()
        assert time.monotonic() - start < 20
        while received() is not None:
            pass
        notifier.status("last")
        notifier.watchdog()
        assert [received(), received()] == [["STATUS=last"], ["WATCHDOG=1"]]


def _full(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(b"", address)
        except BlockingIOError:
            return True
    return False


def test_children_do_not_inherit_the_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert Notifier.from_environment().watchdog_interval == 1
    program = "import os; print([n for n in os.environ if n.startswith(('NOTIFY_', 'WATCHDOG_'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
