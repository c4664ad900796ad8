"""Has tests run alike on every machine, and not wait for each other; read before any other test module."""

import gc
import logging
import os
import signal
from pathlib import Path

import hypothesis
import pytest

# Threads of torch spin while they wait for each other: with other tests beside them, videos took 7 times as much time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A compiler that starts helpers has each of them import torch first.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

# Arrow's own allocator takes a GiB at once. It would count as data of the jobs that tests fork, which may have 2 GiB.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

# A shell that starts the tests in the background has them ignore Ctrl+C, and so would every program that they start.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL)

# Modules stay, and torch's have a million objects: looking through them for garbage would take a second each time.
gc.disable()

# How long an example takes says more about the machine than about the code. The examples are the same in every run, so
# that a change is not refused for what it has not changed; `--hypothesis-profile=random` tries others.
hypothesis.settings.register_profile("random", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("same", hypothesis.settings.get_profile("random"), derandomize=True)
hypothesis.settings.load_profile("same")

# They take half a minute or more: started last, one of them would keep one process busy while the others are done.
_LONGEST = (
    "chaos/test_inputs.py",
    "unit/generator/capture/test_observed.py",
    "integration/test_watcher_trouble.py",
    "integration/test_tiny_attention.py",
    "integration/test_collection.py",
    "integration/test_generator_process.py",
)

# What both programs change about logging when they start, as it is before any of them has.
_LOGGERS = {
    logger: (logger.level, logger.propagate, logger.disabled)
    for logger in map(logging.getLogger, ("", "attnwatch", "generator", "uvicorn"))
}


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    start = {here / name: number for number, name in enumerate(_LONGEST)}
    assert all(path.exists() for path in start)
    items.sort(key=lambda item: start.get(item.path, len(start)))


@pytest.fixture(scope="session", autouse=True)
def _ends_are_waited_for():
    """Have no process outlive the test that has ended it: a busy machine takes longer than users should wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnwatch.system.forkserver._PATIENCE", 60.0)
        patch.setattr("attnwatch.system.group_guard._END_TIME", 60.0)
        yield


@pytest.fixture(autouse=True)
def _logging_as_at_the_start():
    """Have no test see what a program that any test or fixture has called in this process does to logging."""
    _reset_logging()
    yield
    _reset_logging()


def _reset_logging() -> None:
    for logger, (level, propagate, disabled) in _LOGGERS.items():
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
        logger.handlers[:] = [one for one in logger.handlers if type(one).__module__.startswith("_pytest")]
