"""Capture with networks that diffusers splits over two real processes."""

import subprocess
from contextlib import ExitStack

import torch
import torch.distributed
from diffusers import ContextParallelConfig

from generator.errors import ModelError
from generator.library import capture
from tests.integration.generator_support import FORKS, LIMIT, environment
from tests.integration.library_support import build, call


def try_to_capture(place, rank):
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    torch.accelerator.device_count = lambda: 1  # diffusers counts no accelerator on a CPU, and divides by it
    found = []
    for mode in ("ring", "ulysses"):
        pipe = build("wan")
        pipe.transformer.enable_parallelism(config=ContextParallelConfig(**{f"{mode}_degree": 2}))
        if mode == "ulysses":  # on a CPU, diffusers itself cannot generate with ring attention
            assert call(pipe, "wan", steps=1).shape == (5, 48, 64, 3)
        try:
            with capture(pipe, ["kiss"]):
                found.append(f"{mode} was captured")
        except ModelError as error:
            found.append(f"{mode} {error}")
    place.with_name(f"found by {rank}").write_text("\n".join(found))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_a_network_split_over_two_processes_is_refused_in_both(tmp_path):
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                FORKS.start(
                    try_to_capture, tmp_path / "meeting", rank, environment=environment(), stderr=subprocess.PIPE
                )
            )
            for rank in (0, 1)
        ]
        for rank, process in enumerate(processes):
            messages = process.stderr.read()
            assert process.wait(timeout=LIMIT) == 0, messages
            lines = (tmp_path / f"found by {rank}").read_text().splitlines()
            found = "transformer: found context parallelism (`enable_parallelism`)"
            assert [line.partition(",")[0] for line in lines] == [f"ring {found}", f"ulysses {found}"]
