"""The place of this process among those that make one batch together, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from generator.batch.sharing.launchers import TORCH, Launcher, launcher_of
from generator.errors import SettingsError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Rank:
    """Index of this process, from 0: ``number`` among all ``size`` ones, ``local`` among those on this machine."""

    number: int = 0
    size: int = 1
    local: int = 0
    launcher: Launcher = TORCH

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Rank":
        """Read the variables that launchers set; without them this process is the only one.

        Raises:
            SettingsError: if they are not numbers, or contradict each other.

        """
        launcher = launcher_of(environment)
        names = (launcher.number, launcher.size, launcher.local)
        found = {name: environment[name] for name in names if environment.get(name)}
        try:
            number, size, local = (int(found.get(name, default)) for name, default in zip(names, "010", strict=True))
        except ValueError as error:
            raise SettingsError(f"environment variables {', '.join(names)}: expected numbers; {error}") from error
        lacks_number = size > 1 and launcher.number not in found
        if size < 1 or not 0 <= number < size or not 0 <= local < size or lacks_number:
            raise SettingsError(
                f"environment variables: found {', '.join(f'{name}={value}' for name, value in found.items())}; "
                f"expected {launcher.number} and {launcher.local} from 0 to {launcher.size} - 1, as {launcher.name} "
                f"sets them. {launcher.remedy}"
            )
        return cls(number, size, local, launcher)

    @property
    def is_first(self) -> bool:
        """Whether this process leads the batch: it writes the batch's own files and reports the outcome."""
        return self.number == 0

    @property
    def others(self) -> list[int]:
        """Numbers of all other processes."""
        return [number for number in range(self.size) if number != self.number]

    def __str__(self) -> str:
        """Name the process as in messages."""
        return f"process {self.number} of {self.size}"

    def share(self, items: Sequence[Item], number: int | None = None) -> Sequence[Item]:
        """Return every ``size``-th item: the share of this process, or of process ``number``."""
        return items[self.number if number is None else number :: self.size]

    def device(self, name: str) -> str:
        """Return the device of this process: its own GPU if several processes use the GPUs of this machine."""
        import torch  # noqa: PLC0415 - the command line needs ranks before it needs torch

        wants_gpu = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
        if self.size == 1 or not wants_gpu:
            return name
        if self.launcher.shares_gpus:
            return f"cuda:{self.local}"
        return f"cuda:{self.local % max(torch.cuda.device_count(), 1)}"
