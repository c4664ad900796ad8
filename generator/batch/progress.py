"""Shows the progress of a batch: two bars on a terminal, and one log line per video everywhere."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from generator.batch.plan import PlannedVideo
from generator.prompts.template import Variation

log = logging.getLogger(__name__)

MANY = 500
"""Number of prompts from which on their preparation is shown."""


class ConsoleHandler(logging.Handler):
    """Writes log records through a console: above its bars on a terminal, as whole lines elsewhere."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line, however long."""
        self._console.print(self.format(record), markup=False, highlight=False, emoji=False, soft_wrap=True)


def set_up_logging(console: Console, *, verbose: bool, prefix: str = "") -> None:
    """Log to ``console``: the generator's own messages, and warnings of all other libraries.

    ``prefix`` tells apart processes that share a log.
    """
    handler = ConsoleHandler(console)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s: {prefix}%(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("generator").setLevel(logging.DEBUG if verbose else logging.INFO)


def restore_terminal(console: Console) -> None:
    """Show the cursor, which bars hide, before the process ends abruptly."""
    if console.is_terminal:
        console.show_cursor()


@contextmanager
def loading(console: Console, what: str, *, shown: bool = True) -> Iterator[None]:
    """Show a spinner while ``what`` is loaded, if on a terminal; log the duration."""
    began = time.monotonic()
    with console.status(f"loading {escape(what)}") if shown and console.is_terminal else nullcontext():
        yield
    if shown:
        log.info("loaded %s in %.1f s", what, time.monotonic() - began)


def counted(console: Console, variations: Sequence[Variation], *, shown: bool = True) -> Iterator[Variation]:
    """Yield prompts while their words are located: many take seconds, in which a terminal shows how far it is."""
    if shown and len(variations) >= MANY and not console.is_terminal:
        log.info("locating the words of %d prompts", len(variations))
    disabled = not shown or len(variations) < MANY or not console.is_terminal
    yield from track(variations, "locating words", console=console, transient=True, disable=disabled)


class BatchProgress:
    """Progress bars of a batch and of its current video; a context manager."""

    def __init__(self, console: Console, total: int, done: int, *, bars: bool = True) -> None:
        """Start at ``done`` of ``total`` videos. Pass ``bars=False`` if several processes share the terminal."""
        self._total = total
        self._number = done
        self._began = time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not bars or not console.is_terminal,
        )
        self._batch = self._bars.add_task("videos", total=total, completed=done)
        self._denoising = self._bars.add_task("denoising", total=None)

    def __enter__(self) -> Self:
        """Show the bars."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the bars."""
        self._bars.stop()

    def begin(self, video: PlannedVideo, number: int | None = None) -> None:
        """Start the next video, or that with ``number``."""
        self._number = self._number + 1 if number is None else number
        self._began = time.monotonic()
        self._bars.reset(self._denoising, description=video.video_id, total=None)

    def step(self, done: int, total: int) -> None:
        """Show a finished denoising step; after the last one, show that the video is decoded."""
        if done < total:
            self._bars.update(self._denoising, completed=done, total=total)
        else:
            self._bars.reset(self._denoising, description="decoding", total=None)

    def finished(self, video: PlannedVideo) -> None:
        """Log a video that is complete on disk."""
        log.info("%s %.1f s", self._describe(video), time.monotonic() - self._began)
        self._bars.update(self._batch, advance=1)

    def failed(self, video: PlannedVideo, error: Exception) -> None:
        """Log a video that failed."""
        log.error("%s failed: %s: %s", self._describe(video), type(error).__name__, error)

    def _describe(self, video: PlannedVideo) -> str:
        where = f"video {self._number}/{self._total} {video.video_id}"
        return f'{where} seed {video.seed} "{video.variation.prompt}"'
