"""The processes of one batch, as `accelerate launch` and `torchrun` start them.

They agree once, at the start, on the folder and on who makes which video. From then on each works alone. Each process
holds a lock in the folder, which the kernel releases however the process ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from generator.errors import SettingsError

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
            SettingsError: if they are not numbers.

        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        try:
            number, size, local = (
                int(environment.get(name, default)) for name, default in zip(names, "010", strict=True)
            )
        except ValueError as error:
            raise SettingsError(f"environment variables {', '.join(names)}: expected numbers; {error}") from error
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
        """Connect all processes. Until then, a signal ends the process at once."""
        if self.size > 1:
            import torch.distributed as dist  # noqa: PLC0415

            dist.init_process_group("gloo")

    def agree(self, value: Value) -> Value:
        """Return the first process's value in every process; all of them must call this after `join`."""
        if self.size == 1:
            return value
        import torch.distributed as dist  # noqa: PLC0415

        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def meet(self) -> None:
        """Wait until all processes have arrived here, and disconnect them."""
        if self.size == 1:
            return
        import torch.distributed as dist  # noqa: PLC0415

        dist.barrier()
        dist.destroy_process_group()
