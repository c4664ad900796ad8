"""The processes of one batch, as `accelerate launch` and `torchrun` start them.

They agree once, at the start, on the folder and on who makes which video. From then on each works alone. Each process
holds a lock in the folder, which the kernel releases however the process ends.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from generator.errors import SettingsError, first_line

log = logging.getLogger(__name__)

PATIENCE = 300.0
"""Seconds to wait for the other processes at the start."""
UNSET = "Start all processes with one of these, or run `unset RANK LOCAL_RANK WORLD_SIZE` to use one process"
Value = TypeVar("Value")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Rank:
    """Index of this process, from 0: ``number`` among all ``size`` ones, ``local`` among those on this machine."""

    number: int = 0
    size: int = 1
    local: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Rank":
        """Read the variables that launchers set; without them this process is the only one.

        Raises:
            SettingsError: if they are not numbers, or contradict each other.

        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        try:
            number, size, local = (
                int(environment.get(name, default)) for name, default in zip(names, "010", strict=True)
            )
        except ValueError as error:
            raise SettingsError(f"environment variables {', '.join(names)}: expected numbers; {error}") from error
        if size < 1 or not 0 <= number < size or not 0 <= local < size:
            found = ", ".join(f"{name}={environment[name]}" for name in names if name in environment)
            raise SettingsError(
                f"environment variables: found {found}; expected RANK and LOCAL_RANK from 0 to WORLD_SIZE - 1, as "
                f"torchrun and accelerate launch set them. {UNSET}"
            )
        return cls(number, size, local)

    @property
    def is_first(self) -> bool:
        """Whether this process leads the batch: it writes the batch's own files and reports the outcome."""
        return self.number == 0

    def share(self, items: Sequence[Item], number: int | None = None) -> Sequence[Item]:
        """Return every ``size``-th item: the share of this process, or of process ``number``."""
        return items[self.number if number is None else number :: self.size]

    def device(self, name: str) -> str:
        """Return the device of this process: its own GPU if several processes use the GPUs of this machine."""
        import torch  # noqa: PLC0415 - the command line needs ranks before it needs torch

        wants_gpu = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local}" if self.size > 1 and wants_gpu else name

    def join(self) -> None:
        """Connect all processes. Until then, a signal ends the process at once.

        Raises:
            SettingsError: if not all of them arrive in time.

        """
        if self.size == 1:
            return
        import torch.distributed as dist  # noqa: PLC0415
        from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415

        address = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
        log.info("process %d of %d: waiting for the others at %s", self.number, self.size, address)
        patience = timedelta(seconds=PATIENCE)
        try:
            store, _, _ = next(rendezvous("env://", self.number, self.size, timeout=patience))
            # With torchrun the store belongs to its agent and is there at once, whoever else has arrived.
            store.set(f"arrived/{self.number}", "")
            store.wait([f"arrived/{number}" for number in range(self.size)], patience)
        except (ValueError, RuntimeError) as error:
            raise SettingsError(
                f"process {self.number} of {self.size}: the others did not arrive at {address} within "
                f"{PATIENCE / 60:.2g} minutes ({first_line(error)}). {UNSET}"
            ) from error
        dist.init_process_group("gloo", store=store, rank=self.number, world_size=self.size)

    def agree(self, value: Value) -> Value:
        """Return the first process's value in every process; all of them must call this after `join`."""
        if self.size == 1:
            return value
        import torch.distributed as dist  # noqa: PLC0415

        values = [value]
        try:
            dist.broadcast_object_list(values, src=0)
        except RuntimeError as error:
            raise SettingsError(
                f"process {self.number} of {self.size}: another process ended before the batch began "
                f"({first_line(error)}). Its own message says why"
            ) from error
        return values[0]

    def meet(self) -> None:
        """Wait until all processes have arrived here, and disconnect them."""
        if self.size == 1:
            return
        import torch.distributed as dist  # noqa: PLC0415

        dist.barrier()
        dist.destroy_process_group()
