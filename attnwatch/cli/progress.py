"""The bar that a terminal shows while a backlog is rendered."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_RATE_PERIOD = 600.0  # seconds over which the rate is taken


class _RateColumn(ProgressColumn):
    """How many videos a minute."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{60 * task.speed:.1f} a minute,")


@contextlib.contextmanager
def bar(terminal: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while there is a backlog; yield what it is told of videos done and known."""
    columns = [
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("videos"),
        _RateColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    ]
    with Progress(*columns, console=terminal, transient=True, speed_estimate_period=_RATE_PERIOD) as drawn:
        task = drawn.add_task("", visible=False)
        yield lambda done, known: drawn.update(task, completed=done, total=known, visible=done < known)
