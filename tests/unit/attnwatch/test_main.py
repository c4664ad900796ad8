"""The entry point, before the program handles signals itself."""

import subprocess
import sys

from tests.support import environment

INTERRUPTED_AT_AN_IMPORT = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "attnwatch.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
runpy.run_module("attnwatch", run_name="__main__")
"""


def interrupted(*prefix):
    return subprocess.run(
        [*prefix, sys.executable, "-c", INTERRUPTED_AT_AN_IMPORT, "--version"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_interrupt_during_the_imports_ends_the_program_without_a_traceback():
    done = interrupted()
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_interrupts_that_the_caller_ignores_stay_ignored():
    """As in `nohup` and in the background of a script."""
    done = interrupted("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    assert done.returncode == 0
    assert done.stdout
