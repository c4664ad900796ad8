"""Measures videos on an engine, several at the same time, each in a process of its own: for tables of archives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from attnwatch.analysis.table import Level
from attnwatch.batches.targets import batch_of
from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.config import Settings
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MeasuresDocument
from attnwatch.errors import AttnwatchError, JobError, WorkerLostError
from attnwatch.jobs.engine import Engine
from attnwatch.jobs.measures import measures_at
from attnwatch.system.limits import Limits

_MOST_LOSSES = 10  # of one video, until it counts as not measured
_TURN = 5.0  # seconds


@dataclass(frozen=True)
class MeasureJob:
    """Measures one video.

    Attributes:
        path: what identifies it; see `read_video`.
        levels: what a row of each table is.
        settings: those that count more than the batch's own.
        rendered_in: folder of outputs, if the video was rendered with `--out`.

    """

    path: Path
    levels: tuple[Level, ...]
    settings: Settings
    rendered_in: Path | None = None

    @property
    def label(self) -> str:
        """What it is called: `measure-kiss_20260102_030405/prompt_001_vid001`."""
        return f"measure-{batch_of(self.path).name}/{outputs_of(self.path)[0]}"

    @property
    def limits(self) -> Limits:
        """Limits of its process: those of a rendering with the watcher's own settings."""
        seconds = self.settings.for_batch({}, self.path)[0].visualization_timeout
        return Limits(seconds, 1, self.settings.watcher.memory_limit, self.settings.watcher.nice)

    @property
    def home(self) -> None:
        """None: what it reads is reached from the root of the file system."""

    def seen_from(self, folder: Path) -> Self:  # noqa: ARG002 - part of the protocol
        """Return the job itself."""
        return self

    def run(self) -> MeasuresDocument | Exception:
        """Measure in this process."""
        try:
            manifest = read_video(self.path)
            settings = self.settings.for_batch(manifest.document.visualization, manifest.path)[0]
            masked = settings.nonfinite == "mask"
            return measures_at(manifest, *self.levels, masked=masked, rendered_in=self.rendered_in)
        except (AttnwatchError, OSError, MemoryError) as error:
            return error


class MeasuresElsewhere:
    """Measures videos on an engine. It is called as `measures_at` is, for one after the other, and works ahead.

    Args:
        engine: already entered.
        paths: what identifies each video, in the order in which they are asked for.
        levels: what a row of each table is.
        settings: those that count more than each batch's own.
        rendered_in: folder of outputs, if the videos were rendered with `--out`.

    """

    def __init__(
        self,
        engine: Engine,
        paths: Sequence[Path],
        levels: Sequence[Level],
        settings: Settings,
        rendered_in: Path | None = None,
    ) -> None:
        self._engine = engine
        self._left: Iterator[MeasureJob] = (MeasureJob(path, tuple(levels), settings, rendered_in) for path in paths)
        self._order = {path: number for number, path in enumerate(paths)}
        self._measured: dict[Path, object] = {}
        self._losses: dict[Path, int] = {}

    def __call__(self, manifest: Manifest, *_levels: Level, **_masked: Any) -> MeasuresDocument:  # noqa: ANN401 - as it
        """Return the measures of a video; wait until there are any.

        Raises:
            AttnwatchError: it could not be measured.
            OSError: its process could not be started.
            EngineError: the engine has failed.

        """
        number = self._order[manifest.path]
        for path in [path for path in self._measured if self._order[path] < number]:
            del self._measured[path]  # nobody has asked for it: its manifest could not be read here
        while manifest.path not in self._measured:
            self._start_more()
            for ended in self._engine.wait(_TURN):
                if isinstance(ended.job, MeasureJob):
                    self._take(ended.job, ended.outcome)
        found = self._measured.pop(manifest.path)
        if isinstance(found, MeasuresDocument):
            return found
        raise found if isinstance(found, Exception) else JobError(f"found {found!r}; expected measures")

    def _start_more(self) -> None:
        """Start as many as the engine takes. What nobody has asked for yet is in memory, so it counts, too."""
        slots = self._engine.slots or 0
        while self._engine.running + (len(self._measured) if self._engine.running else 0) < slots:
            job = next(self._left, None)
            if job is None:
                return
            self._engine.start(job)

    def _take(self, job: MeasureJob, outcome: object) -> None:
        losses = self._losses[job.path] = self._losses.get(job.path, 0) + isinstance(outcome, WorkerLostError)
        if isinstance(outcome, WorkerLostError) and losses < _MOST_LOSSES:
            self._left = _before(job, self._left)
        else:
            self._measured[job.path] = outcome


def _before(job: MeasureJob, others: Iterator[MeasureJob]) -> Iterator[MeasureJob]:
    yield job
    yield from others
