"""Generators as processes of their own that start at once, forked from one that has imported torch and diffusers.

Importing them takes five seconds of a processor, many times what the tests have a generator do.
"""

import multiprocessing
import os
import subprocess
import sys

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.integration.imported_by_generators"])


class ForkedGenerator:
    """A process that runs a function, with its stderr as text; as much of `subprocess.Popen` as tests use.

    It is killed at the end of the context if it is still running.
    """

    def __init__(self, function, *arguments, environment):
        read, write = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_run, args=(function, arguments, environment, write), daemon=True)
        self._process.start()
        write.close()
        self.stderr = os.fdopen(os.dup(read.fileno()), encoding="utf-8")
        read.close()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def wait(self, timeout):
        """Return the exit code, negative for a signal."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self.returncode

    def send_signal(self, number):
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self):
        self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._process.join()
        self.stderr.close()


def _run(function, arguments, environment, messages):
    os.setsid()  # out of reach of signals to the tests
    os.dup2(messages.fileno(), sys.stderr.fileno())
    messages.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(function(*arguments))
