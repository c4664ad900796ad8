"""Keeps processes of tests that run at the same time from waiting for each other; read before any other test module."""

import os
from pathlib import Path

import hypothesis

# Threads of torch spin while they wait for each other: with other tests beside them, videos took 7 times as much time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A compiler that starts helpers has each of them import torch first.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

# They take a minute or more: started last, one of them would keep one process busy while the others are done.
_LONGEST = (
    "chaos/test_inputs.py",
    "unit/generator/capture/test_observed.py",
    "integration/test_watcher_trouble.py",
    "integration/test_tiny_attention.py",
    "integration/test_generator_process.py",
    "integration/test_generator_ranks.py",
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    start = {here / name: number for number, name in enumerate(_LONGEST)}
    assert all(path.exists() for path in start)
    items.sort(key=lambda item: start.get(item.path, len(start)))
