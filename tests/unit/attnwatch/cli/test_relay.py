"""Output of a command and lines of a log on one terminal."""

import contextlib
import os
import threading
import time
import tty

import pytest

from attnwatch.cli.relay import Relay
from tests.terminal import shown


class Screen:
    """A relay between pipes and a terminal, and what the terminal was sent."""

    def __init__(self):
        self.sent = b""
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        log, self._log = os.pipe()
        screen, self._command = os.pipe()
        self.relay = Relay(log, self._theirs, "[log] ", screen, self._theirs)
        self.relay.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65_536):
                self.sent += data

    def command(self, text):
        self._put(self._command, text)

    def log(self, line):
        os.write(self._log, f"{line}\n".encode())  # the relay looks here first

    def wait_for(self, text):
        limit = time.monotonic() + 60
        while text.encode() not in self.sent:
            assert time.monotonic() < limit, self.sent
            time.sleep(0.01)

    def _put(self, descriptor, text):
        before = len(self.sent)
        os.write(descriptor, text.encode())
        limit = time.monotonic() + 60
        while len(self.sent) < before + len(text) and time.monotonic() < limit:
            time.sleep(0.005)

    def end(self):
        os.close(self._command)
        os.close(self._log)
        self.relay.finish()
        os.close(self._theirs)
        self._reader.join(60)
        os.close(self._ours)
        return self.sent.decode()


@pytest.fixture
def screen():
    return Screen()


def test_what_the_command_writes_is_passed_on_as_it_is(screen):
    text = "one\n\x1b[31mtwo\x1b[0m\r\nthree"
    screen.command(text)
    assert screen.end() == text


def test_lines_of_the_log_have_a_prefix_and_go_between_the_lines_of_the_command(screen):
    screen.command("one\n")
    screen.log("rendered")
    screen.command("two\n")
    assert screen.end() == "one\n[log] rendered\ntwo\n"


def test_a_line_goes_above_a_bar_that_is_drawn_again(screen):
    screen.command("1 |#   |")
    screen.log("rendered")
    screen.command("\r2 |##  |")
    screen.command("\r3 |### |\n")
    assert shown(screen.end()) == ["[log] rendered", "3 |### |", ""]


def frame(number):
    return f"videos {number}\ndenoising {number}"


def test_a_line_goes_above_several_bars_that_are_drawn_again(screen):
    screen.command(frame(1))
    for number in (2, 3, 4):
        screen.log(f"rendered {number}")
        screen.command(f"\r\x1b[2K\x1b[1A\x1b[2K{frame(number)}")
    logged = [f"[log] rendered {number}" for number in (2, 3, 4)]
    assert shown(screen.end()) == [*logged, "videos 4", "denoising 4"]


def test_a_line_goes_above_several_bars_that_stand_still(screen):
    screen.command(frame(1))
    screen.log("rendered 0")
    screen.command(f"\r\x1b[2K\x1b[1A\x1b[2K{frame(2)}")
    for number in (1, 2):
        screen.log(f"rendered {number}")
        screen.wait_for(f"rendered {number}\n" + frame(2))
        assert shown(screen.sent.decode())[-2:] == ["videos 2", "denoising 2"]
    screen.command(f"\r\x1b[2K\x1b[1A\x1b[2K{frame(3)}")
    logged = [f"[log] rendered {number}" for number in (0, 1, 2)]
    assert shown(screen.end()) == [*logged, "videos 3", "denoising 3"]


def test_bars_that_were_removed_are_not_drawn_again(screen):
    screen.command(frame(1))
    screen.command(f"\r\x1b[2K\x1b[1A\x1b[2K{frame(2)}")
    screen.command("\n\x1b[?25h\r\x1b[1A\x1b[2K\x1b[1A\x1b[2K")
    screen.log("rendered")
    assert [row for row in shown(screen.end()) if row] == ["[log] rendered"]


def test_lines_that_come_one_after_the_other_do_not_wait_for_a_bar_that_stands_still(screen):
    screen.command("\r1 |#   |")
    limit = time.monotonic() + 60
    while b"rendered" not in screen.sent:
        assert time.monotonic() < limit
        screen.log("rendered")
        time.sleep(0.05)
    assert shown(screen.end())[-1] == "1 |#   |"


def test_a_line_above_a_bar_that_stands_still_is_shown_after_a_while_and_the_bar_again(screen):
    screen.command("\r1 |#   |")
    screen.log("rendered")
    screen.wait_for("rendered")
    screen.command("\r2 |##  |")
    assert shown(screen.end()) == ["[log] rendered", "2 |##  |"]


@pytest.mark.parametrize("parameters", ["1;2", "?1", "0", ";", "9" * 5000])
def test_the_command_goes_on_whatever_it_writes_as_parameters_of_a_sequence(screen, parameters):
    text = f"1 |#  |\r\x1b[{parameters}A2 |## |\n"
    screen.command(text)
    screen.command("done\n")
    assert screen.end() == f"{text}done\n"


def test_a_cursor_that_the_command_has_hidden_is_shown_in_the_end(screen):
    screen.command("\x1b[?25l\r1 |#  |")
    assert screen.end().endswith("\x1b[?25h")


def test_without_a_terminal_of_the_command_only_the_log_is_passed_on():
    (log, lines), (read, write) = os.pipe(), os.pipe()
    relay = Relay(log, write, "[log] ")
    relay.start()
    os.write(lines, b"one\ntwo")
    os.close(lines)
    relay.finish()
    os.close(write)
    assert os.read(read, 100) == b"[log] one\n[log] two\n"
    os.close(read)
