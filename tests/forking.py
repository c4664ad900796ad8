"""Programs as processes of their own that start at once, forked from a process that has imported what they need.

Starting an interpreter and importing numpy takes most of a second of a processor, torch and diffusers five seconds:
many times what tests have the programs do. A forked process differs in nothing else: it has its own session, takes
signals, is killed, and ends as every interpreter does.

This module is also that process: `python -m tests.forking 3 MODULE...` imports the modules, and then forks a process
for each message on the socket with that descriptor.
"""

import atexit
import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

_LARGEST = 2**17  # bytes of a message
_NUMBER = struct.Struct("i")
_NOT_FOR_INTERPRETERS = ("ATTNWATCH_", "GENERATOR_", "PYTEST_", "TORCH")


class ForkServer:
    """Forks processes from one that has imported some modules; it is started when it is used first.

    Args:
        modules: names of the modules.
        variables: variables of its environment while it imports them.

    """

    def __init__(self, *modules, **variables):
        self._modules = modules
        self._variables = variables
        self._socket = None
        self._environment = None

    def knows(self, environment):
        """Return whether a forked process takes over an environment; interpreters and libraries read it at the start.

        The same is true of the user on whose behalf it runs.
        """
        self._start()
        return (_of_others(environment), os.geteuid()) == self._environment

    def start(self, function, *arguments, environment, cwd=None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        """Call a function in a new process, with what it writes in pipes or files; return the process."""
        self._start()
        return Forked(self._socket, (function, arguments, environment, os.fspath(cwd or Path.cwd())), stdout, stderr)

    def _start(self):
        if self._socket is not None:
            return
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._environment = (_of_others(os.environ), os.geteuid())
        with theirs:
            subprocess.run(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *self._modules],
                cwd=Path(__file__).parents[1],
                env={**os.environ, **self._variables},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                check=True,
            )
        atexit.register(self._socket.close)


class Forked:
    """A forked process, with as much of `subprocess.Popen` as tests use; as a context, it is killed at the end."""

    def __init__(self, server, work, stdout, stderr):
        with contextlib.ExitStack() as theirs:
            outcome, status = _pipe(theirs)
            self._outcome = outcome
            self.stdout, out = _stream(theirs, stdout, None)
            self.stderr, err = _stream(theirs, stderr, out)
            socket.send_fds(server, [pickle.dumps(work)], [status, out, err])
        self.returncode = None
        self.pid = self._receive()
        assert self.pid is not None, "the fork server has ended"

    def _receive(self):
        found = os.read(self._outcome, _NUMBER.size)
        return _NUMBER.unpack(found)[0] if found else None

    def poll(self):
        """Return the exit code, negative for a signal; None if the process is still running."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end; return the exit code."""
        if self.returncode is None:
            if not select.select([self._outcome], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self.returncode = self._receive()
            os.close(self._outcome)
            assert self.returncode is not None, "the fork server has ended"
        return self.returncode

    def communicate(self, timeout):
        """Read everything until the end; return stdout and stderr, None for what is not a pipe."""
        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe is not None]
        found, limit = dict.fromkeys(pipes, b""), time.monotonic() + timeout
        waiting = {pipe.fileno(): pipe for pipe in pipes}
        while waiting:
            ready, _, _ = select.select(waiting, [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            for descriptor in ready:
                if block := os.read(descriptor, 2**16):
                    found[waiting[descriptor]] += block
                else:
                    del waiting[descriptor]
        self.wait(max(0.0, limit - time.monotonic()))
        return tuple(None if pipe is None else _text(found[pipe]) for pipe in (self.stdout, self.stderr))

    def send_signal(self, number):
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.wait()
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


def run_program(name, *arguments):
    """Do what `python -m NAME ARGUMENTS` does."""
    sys.argv = [name, *arguments]
    return import_module(f"{name}.__main__").main()


def _of_others(environment):
    return {name: value for name, value in environment.items() if not name.startswith(_NOT_FOR_INTERPRETERS)}


def _text(data):
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


def _pipe(theirs):
    """Return both ends of a pipe; the second is closed with the context."""
    ours, other = os.pipe()
    theirs.callback(os.close, other)
    return ours, other


def _stream(theirs, wanted, out):
    """Return the file to read what a process writes, if it is a pipe, and the descriptor that the process gets."""
    if wanted == subprocess.PIPE:
        ours, other = _pipe(theirs)
        return os.fdopen(ours, encoding="utf-8"), other
    if wanted == subprocess.STDOUT:
        return None, out
    if wanted == subprocess.DEVNULL:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        theirs.callback(os.close, descriptor)
        return None, descriptor
    return None, wanted.fileno()


def serve(connection):
    """Fork a process for each message, and tell its exit code; return in such a process what it shall call.

    Ends when the process at the other end of the connection has ended, and kills what still runs.
    """
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    running = {}
    while True:
        ready, _, _ = select.select([connection, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _report_ended(running)
        if connection not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 3)
        if not message:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        status, out, err = descriptors
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (connection, woken, waker):
                end.close()
            for descriptor in (status, *running.values()):
                os.close(descriptor)
            return _become(pickle.loads(message), out, err)
        running[pid] = status
        os.write(status, _NUMBER.pack(pid))
        os.close(out)
        os.close(err)


def _report_ended(running):
    while running:
        pid, code = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status = running.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(status, _NUMBER.pack(os.waitstatus_to_exitcode(code)))
        os.close(status)


def _become(work, out, err):
    function, arguments, environment, folder = work
    os.setsid()
    for descriptor, number, name in ((out, 1, "stdout"), (err, 2, "stderr")):
        os.dup2(descriptor, number)
        os.close(descriptor)
        before = getattr(sys, name)  # it remembers what it was opened on
        new = open(number, "w", encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
        new.reconfigure(line_buffering=before.line_buffering)
        setattr(sys, name, new)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    return function, arguments


def _main():
    if os.fork():
        os._exit(0)  # tests look for children of their own process: this one is no child
    for module in sys.argv[2:]:
        import_module(module)
    gc.freeze()
    return serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    called, given = _main()
    sys.exit(called(*given))
