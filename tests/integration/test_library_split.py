"""Capture with networks that diffusers splits over two real processes."""

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.integration.generator_support import LIMIT, ROOT

SCRIPT = """
import sys
import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig
from generator.errors import ModelError
from generator.library import capture
from tests.integration.library_support import build, call

place, rank = sys.argv[1], int(sys.argv[2])
dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
torch.accelerator.device_count = lambda: 1  # diffusers counts no accelerator on a CPU, and divides by it
for mode in ("ring", "ulysses"):
    pipe = build("wan")
    pipe.transformer.enable_parallelism(config=ContextParallelConfig(**{f"{mode}_degree": 2}))
    if mode == "ulysses":  # on a CPU, diffusers itself cannot generate with ring attention
        assert call(pipe, "wan", steps=1).shape == (5, 48, 64, 3)
    try:
        with capture(pipe, ["kiss"]):
            print(mode, "was captured")
    except ModelError as error:
        print(mode, error)
dist.barrier()
dist.destroy_process_group()
"""


def start(place, rank):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(place), str(rank)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_network_split_over_two_processes_is_refused_in_both(tmp_path):
    with ExitStack() as stack:
        processes = [stack.enter_context(start(tmp_path / "meeting", rank)) for rank in (0, 1)]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            out, err = process.communicate(timeout=LIMIT)
            assert process.returncode == 0, err
            found = "transformer: found context parallelism (`enable_parallelism`)"
            assert [line.partition(",")[0] for line in out.splitlines()] == [f"ring {found}", f"ulysses {found}"]
