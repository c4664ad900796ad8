"""The processes of one batch, as `accelerate launch` and `torchrun` start them.

They agree once, at the beginning, on the folder and on who makes which video. From then on each works alone. That a
process has ended, in whatever way, is told by its lock in the folder, which the kernel frees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from generator.errors import SettingsError

Value = TypeVar("Value")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Rank:
    """Which of ``size`` processes this is, from 0, and which of those on this machine."""

    number: int = 0
    size: int = 1
    local: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Rank":
        """Read the variables that launchers set; without them this process is the only one.

        Raises:
            SettingsError: if they are no numbers.

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
        """Whether this process speaks for all of them."""
        return self.number == 0

    def share(self, items: Sequence[Item], number: int | None = None) -> Sequence[Item]:
        """Return every ``size``-th item: those of this process, or of another by its number."""
        return items[self.number if number is None else number :: self.size]

    def device(self, name: str) -> str:
        """Give each process of a machine a GPU of its own; a device's number is that of the process then."""
        import torch  # noqa: PLC0415 - the command line needs ranks before it needs torch

        wants_gpu = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local}" if self.size > 1 and wants_gpu else name

    def join(self) -> None:
        """Wait until all processes are there. A signal before that ends the process at once."""
        if self.size > 1:
            import torch.distributed as dist  # noqa: PLC0415

            dist.init_process_group("gloo")

    def agree(self, value: Value) -> Value:
        """Return what the first process gave, in each of them; all must call this after `join`."""
        if self.size == 1:
            return value
        import torch.distributed as dist  # noqa: PLC0415

        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def meet(self) -> None:
        """Wait until all processes are here, and end their connection."""
        if self.size == 1:
            return
        import torch.distributed as dist  # noqa: PLC0415

        dist.barrier()
        dist.destroy_process_group()
