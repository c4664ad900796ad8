"""A job that sleeps, in a module that workers of a cluster can import, too."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from attnwatch.system.limits import Limits

SECONDS = 0.2


@dataclass(frozen=True)
class Sleep:
    """Sleeps, so that a machine with few cores can run many at the same time."""

    number: int

    @property
    def label(self) -> str:
        return "sleep"

    @property
    def limits(self) -> Limits:
        return Limits(60.0)

    @property
    def home(self) -> None:
        return None

    def seen_from(self, folder: Path) -> Self:
        return self

    def run(self) -> int:
        time.sleep(SECONDS)
        return self.number
