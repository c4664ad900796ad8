"""Capture with a network that diffusers splits over two real processes."""

import os
import subprocess
import sys

import pytest

from tests.integration.generator_support import LIMIT, ROOT

SCRIPT = """
import sys
import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig
from generator.errors import ModelError
from generator.library import capture
from tests.integration.library_support import build, call

mode, place, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
torch.accelerator.device_count = lambda: 1  # diffusers counts no accelerator on a CPU, and divides by it
pipe = build("wan")
pipe.transformer.enable_parallelism(config=ContextParallelConfig(**{f"{mode}_degree": 2}))
if mode == "ulysses":  # on a CPU, diffusers itself cannot generate with ring attention
    assert call(pipe, "wan", steps=1).shape == (5, 48, 64, 3)
try:
    with capture(pipe, ["kiss"]):
        print("entered")
except ModelError as error:
    print(error)
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.parametrize("mode", ["ring", "ulysses"])
def test_a_network_split_over_two_processes_is_refused_in_both(tmp_path, mode):
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, mode, str(tmp_path / "meeting"), str(rank)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for process in processes:
            out, err = process.communicate(timeout=LIMIT)
            assert process.returncode == 0, err
            assert out.startswith("transformer: found context parallelism (`enable_parallelism`)")
    finally:
        for process in processes:
            process.kill()
            process.wait()
