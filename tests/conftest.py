"""Keeps processes of tests that run at the same time from waiting for each other; read before any other test module."""

import os

# Threads of torch spin while they wait for each other: with other tests beside them, videos took 7 times as much time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A compiler that starts helpers has each of them import torch first.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
