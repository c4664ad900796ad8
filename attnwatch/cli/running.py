"""`attnwatch run`: a command that makes videos and a watcher that renders them, in one terminal.

The command is what matters: it takes the first signal, and its exit code is that of the run. The watchers are in
sessions of their own, so that Ctrl+C does not reach them.

    the command ends, by itself or by the first signal
      -> a second watcher, with `--once`, renders what is left, beside the first, which finishes what it has begun
      -> the first watcher is ended
    the second signal ends the watchers as well

If this process is killed, the kernel ends both.
"""

import contextlib
import logging
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join

from attnwatch.cli.relay import Relay
from attnwatch.errors import CommandError
from attnwatch.system.kernel import end_with_parent

_log = logging.getLogger(__name__)

_NOT_EXECUTABLE, _NOT_FOUND, _SIGNALLED = 126, 127, 128  # exit codes, as in shells
_FROM_TERMINAL = 0x80  # si_code of a signal that the kernel sent to every process in the foreground (SI_KERNEL)
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HANDLED = (*_STOPS, signal.SIGCHLD, signal.SIGWINCH)
_SAME_TIME = 0.1  # seconds between the same signal at two processes
_END_TIME = 20.0  # seconds that a watcher may take to end


@dataclass(frozen=True)
class Watchers:
    """The command lines of the watchers, after the name of the program.

    Attributes:
        folder: what the command writes to; it may not exist yet.
        first: options of the watcher beside the command.
        last: options of the one that renders what is left.

    """

    folder: Path
    first: Sequence[str]
    last: Sequence[str]


def follow(parent: int) -> None:
    """Prepare a watcher that a run has started: it takes signals again, and ends when its parent does."""
    end_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(_SIGNALLED + signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def run(command: Sequence[str], watchers: Watchers, set_up_log: Callable[[], object], prefix: str) -> int:
    """Run a command beside a watcher; return the command's exit code, as in a shell.

    Args:
        command: the program and its arguments.
        watchers: the command lines of the watchers.
        set_up_log: sets up the log of this process, once its stderr is where the watchers' is.
        prefix: text before each line of the log.

    Raises:
        CommandError: the command cannot be started.

    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a caller may ignore it: nothing would be heard of children
    handled = {number for number in _HANDLED if signal.getsignal(number) is not signal.SIG_IGN}  # as with nohup
    before = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    try:
        screen = _Screen()
        process = _start(command, screen, before)
        with screen.relayed(prefix):
            set_up_log()
            code = _Run(process, command, screen, watchers, handled).wait()
    finally:
        while signal.sigtimedwait(handled, 0) is not None:  # meant for processes that have ended
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _SIGNALLED - code if code < 0 else code


def _start(command: Sequence[str], screen: "_Screen", mask: set[int | signal.Signals]) -> "subprocess.Popen[bytes]":
    def prepare() -> None:
        end_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        return subprocess.Popen(  # noqa: S603 - the user's own command
            command,
            stdout=screen.stream_in_place_of(1),
            stderr=screen.stream_in_place_of(2),
            process_group=None if _is_in_foreground() else 0,
            preexec_fn=prepare,  # noqa: PLW1509 - there are no threads yet
        )
    except OSError as error:
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        found = f"found {command[0]} ({error.strerror})"
        raise CommandError(f"{found}; expected a program after `--`; check its name", code) from None


def _is_in_foreground() -> bool:
    """Return whether the terminal sends its signals to this process, and to those that it starts."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


class _Screen:
    """The terminal that this process shows things on, if there is one, and one like it for the command."""

    def __init__(self) -> None:
        self._shown_on = next((number for number in (1, 2) if os.isatty(number)), None)
        self._ours: int | None = None
        self._theirs: int | None = None
        if self._shown_on is None:
            return
        self._ours, self._theirs = pty.openpty()
        attributes = termios.tcgetattr(self._theirs)
        attributes[1] &= ~termios.OPOST  # what is written is passed on to a terminal that does this
        termios.tcsetattr(self._theirs, termios.TCSANOW, attributes)
        self.resize()

    def stream_in_place_of(self, number: int) -> int | None:
        """Return the descriptor that the command has in place of ours; None for the same."""
        return self._theirs if os.isatty(number) else None

    def resize(self) -> None:
        """Give the command's terminal the size of ours."""
        if self._shown_on is not None and self._ours is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetwinsize(self._ours, termios.tcgetwinsize(self._shown_on))

    @contextlib.contextmanager
    def relayed(self, prefix: str) -> Iterator[None]:
        """Show, during the context, what the command writes, and the stderr of this process and its later children.

        The command must have started.
        """
        if self._theirs is not None:
            os.close(self._theirs)
        stderr = os.dup(2)
        log, end = os.pipe()
        relay = Relay(log, stderr, prefix, self._ours, self._shown_on or 1)
        sys.stderr.flush()
        os.dup2(end, 2)
        os.close(end)
        relay.start()
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            relay.finish()


class _Run:
    """A command that has started, and its watchers."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        command: Sequence[str],
        screen: _Screen,
        watchers: Watchers,
        handled: set[signal.Signals],
    ) -> None:
        self._command = process
        self._words = command
        self._group = os.getpgid(process.pid)
        self._screen = screen
        self._options = watchers
        self._handled = handled
        self._watchers: list[subprocess.Popen[bytes]] = []
        self._is_finishing = self._has_stopped_command = self._stops_watchers = self._told = False

    def wait(self) -> int:
        """Wait until the command and all watchers have ended; return the return code of the command."""
        self._start_watcher(self._options.first)
        self._handle_while(lambda: self._command.poll() is None)
        self._handle_the_same_signal()
        if not self._stops_watchers:
            self._finish()
        self._end_watchers()
        limit = time.monotonic() + _END_TIME
        self._handle_while(lambda: any(self._alive()) and time.monotonic() < limit, limit)
        for watcher in self._alive():
            watcher.kill()
        for watcher in self._watchers:
            watcher.wait()
        return self._command.returncode

    def _finish(self) -> None:
        """Render what is left, unless a signal ends this."""
        self._is_finishing = True
        if not self._options.folder.exists():
            _log.warning(
                "found nothing at %s; expected what the command makes; name its folder: attnwatch run FOLDER -- %s",
                self._options.folder,
                join(self._words),
            )
            return
        _log.info("the command has ended: rendering what is finished; Ctrl+C ends that, too")
        last = self._start_watcher(["--once", *self._options.last])
        self._handle_while(lambda: last.poll() is None)

    def _start_watcher(self, options: Sequence[str]) -> "subprocess.Popen[bytes]":
        started_by = f"--started-by={os.getpid()}"
        watcher = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, "-m", "attnwatch", str(self._options.folder), started_by, *options],
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
        )
        self._watchers.append(watcher)
        return watcher

    def _handle_while(self, goes_on: Callable[[], bool], limit: float | None = None) -> None:
        while goes_on():
            patience = _END_TIME if limit is None else max(0.0, limit - time.monotonic())
            about = signal.sigtimedwait(self._handled, patience)
            if about is not None:
                self._handle(about)

    def _handle_the_same_signal(self) -> None:
        """Handle what has come for the command: with Ctrl+C, it may have ended before this process took the signal."""
        while (about := signal.sigtimedwait(self._handled, _SAME_TIME)) is not None:
            self._handle(about)

    def _handle(self, about: signal.struct_siginfo) -> None:
        if about.si_signo == signal.SIGWINCH:
            self._screen.resize()
            self._pass_on(about)
        elif about.si_signo in _STOPS:
            self._stop(about)
        elif self._has_lost_watcher() and not self._told:
            self._told = True
            _log.error("the watcher has ended; what the command makes will be rendered when it has ended")

    def _has_lost_watcher(self) -> bool:
        """Return whether a watcher beside the running command has ended, although no signal has asked for that."""
        is_beside = self._command.poll() is None and not self._stops_watchers
        return is_beside and len(self._alive()) < len(self._watchers)

    def _stop(self, about: signal.struct_siginfo) -> None:
        """Stop the command; with the second signal, or if it has ended, the watchers."""
        nobody_looks = about.si_signo == signal.SIGHUP
        self._stops_watchers = self._has_stopped_command or self._is_finishing or nobody_looks
        self._has_stopped_command = True
        if self._command.poll() is None:
            self._pass_on(about)
        if self._stops_watchers:
            self._end_watchers()
        else:
            _log.info("stopping the command; then what is finished is rendered; a second signal ends that, too")

    def _pass_on(self, about: signal.struct_siginfo) -> None:
        """Send a signal to the command, unless it is a Ctrl+C, which the terminal has sent to it, too."""
        with contextlib.suppress(ProcessLookupError):
            if self._group != os.getpgrp():
                os.killpg(self._group, about.si_signo)
            elif about.si_code != _FROM_TERMINAL or about.si_signo != signal.SIGINT:
                self._command.send_signal(about.si_signo)

    def _end_watchers(self) -> None:
        for watcher in self._alive():
            watcher.terminate()

    def _alive(self) -> "list[subprocess.Popen[bytes]]":
        return [watcher for watcher in self._watchers if watcher.poll() is None]
