"""Progress bar for the backlog, on a terminal; while nothing is to be done, a sign that the watcher is alive."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.text import Text

_RATE_PERIOD = 600.0  # seconds over which the rate is averaged
_REFRESHES = 4  # per second


class _RateColumn(ProgressColumn):
    """Shows the rate in videos per minute."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{60 * task.speed:.1f} a minute,")


class _Bar(Progress):
    """Shows a spinner instead of the bar while there is no backlog."""

    idle: Spinner | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield what is shown."""
        yield self.make_tasks_table(self.tasks) if self.idle is None else self.idle


@contextlib.contextmanager
def bar(terminal: Console, *, watching: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how much of the backlog is done; yield a function to call with the numbers of videos done and known.

    Args:
        terminal: where to show it.
        watching: the run goes on without a backlog.

    """
    columns = [
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("videos"),
        _RateColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    ]
    with _Bar(
        *columns,
        console=terminal,
        transient=True,
        speed_estimate_period=_RATE_PERIOD,
        refresh_per_second=_REFRESHES,
    ) as drawn:
        task = drawn.add_task("", visible=False)

        def show(done: int, known: int) -> None:
            drawn.update(task, completed=done, total=known, visible=done < known)
            if done < known:
                drawn.idle = None
            elif drawn.idle is None and watching:
                since = f"{datetime.now():%H:%M:%S}"
                drawn.idle = Spinner("line", f"watching, {done:,} rendered; nothing to render since {since}")

        yield show
