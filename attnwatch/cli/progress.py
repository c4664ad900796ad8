"""Progress bar for the backlog, on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_RATE_PERIOD = 600.0  # seconds over which the rate is averaged


class _RateColumn(ProgressColumn):
    """Shows the rate in videos per minute."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{60 * task.speed:.1f} a minute,")


@contextlib.contextmanager
def bar(terminal: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while there is a backlog; yield a function to call with the numbers of videos done and known."""
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
