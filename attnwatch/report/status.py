"""Collects the status of a folder for `attnwatch status`; works without a running watcher."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attnwatch.batches.passed import Passed
from attnwatch.contract.fingerprint import RENDERER_VERSION
from attnwatch.contract.names import printable
from attnwatch.contract.receipts import Place
from attnwatch.contract.status_document import (
    LARGEST_COUNT,
    FailureRecord,
    ReasonRecord,
    RunningRecord,
    StatusDocument,
    UnreadableRecord,
    Unrendered,
    UnrenderedRecord,
    WatcherRecord,
)
from attnwatch.errors import shortened
from attnwatch.report.activity import FOLDER, Activity, read_activities
from attnwatch.report.batch_counts import BatchCounts, counts
from attnwatch.report.reasons import LONGEST_REASON, Reason
from attnwatch.report.survey import survey
from attnwatch.report.video_state import Rendering
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links

_NO_REASON = "no reason is recorded"
_HOUR = timedelta(hours=1)
_MOST = 1000  # videos that are listed with the reason why they are not rendered
_MOST_REASONS = 100
_OTHERS = "other reasons"
_LONGEST = 1e9  # seconds of a rendering, so that the sum stays finite whatever receipts say


def status(
    root: Path, out: Path | None = None, links: Links = Links.NONE, excluded: Exclusion = NOTHING
) -> StatusDocument:
    """Return the status of a folder, from its manifests, receipts, locks and activity files. Writes nothing.

    Args:
        root: the folder.
        out: folder of outputs and receipts; None if they are beside the videos.
        links: which links are followed below the folder.
        excluded: what is left out below the folder.

    """
    passed = Passed()
    watchers = list(watchers_of(root if out is None else out))
    stock = _Stock(watchers)
    for rendering in survey(root, out, links, passed, excluded):
        stock.take(rendering)
    stock.batches.expect(passed.batches)
    return StatusDocument(
        root=printable(str(root)),
        at=stock.now.isoformat(timespec="seconds"),
        videos=counts(stock.counts),
        running=tuple(stock.running),
        oldest_waiting=stock.oldest_waiting(),
        failures=tuple(stock.failures),
        rendered_last_hour=stock.recent,
        outdated=stock.outdated,
        mean_seconds=round(stock.seconds / stock.rendered, 3) if stock.rendered else None,
        overflows=min(sum(watcher.overflows for watcher in watchers), LARGEST_COUNT),
        watchers=tuple(map(_watcher, watchers)),
        linked=tuple(printable(str(path)) for path in passed.linked),
        reasons=stock.reasons(),
        unrendered=tuple(stock.unrendered),
        batches=stock.batches.records(),
        unreadable=tuple(
            UnreadableRecord(path=printable(str(path)), reason=reason) for path, reason in passed.closed.items()
        ),
        without_manifest=tuple(printable(str(path)) for path in passed.unmarked),
        without_manifest_number=min(passed.unmarked_number, LARGEST_COUNT),
    )


class _Stock:
    """Counts renderings one by one without keeping them: there may be a hundred thousand."""

    def __init__(self, watchers: Iterable[Activity]) -> None:
        self.now = datetime.now(UTC)
        self.counts: Counter[str] = Counter()
        self.running: list[RunningRecord] = []
        self.failures: list[FailureRecord] = []
        self.recent = self.rendered = self.outdated = 0
        self.seconds = 0.0
        self.unrendered: list[UnrenderedRecord] = []
        self.batches = BatchCounts()
        self._reasons: Counter[tuple[Unrendered, str]] = Counter()
        self._announced = {job.manifest: job for watcher in watchers if not watcher.silent for job in watcher.running}
        self._oldest: tuple[float, Place] | None = None

    def take(self, rendering: Rendering) -> None:
        """Count a rendering."""
        place, receipt, state = rendering.place, rendering.receipt, rendering.state
        announced = self._announced.get(printable(str(place.manifest))) if self._announced else None
        if announced is not None:
            state = "running"  # perhaps on another machine, whose locks are not visible here
        if rendering.batch is None:
            self.counts[state] += 1
            self.batches.take(rendering, state)
            if rendering.reason is not None and state != "running":
                self._explain(rendering, "skipped" if state == "skipped" else "waiting", rendering.reason)
        if state == "running":
            since, worker = (announced.since, announced.worker) if announced else (None, None)
            name, manifest = place.video_id, printable(str(place.manifest))
            worker = None if worker is None else printable(worker)
            self.running.append(RunningRecord(video_id=name, manifest=manifest, since=since, worker=worker))
        elif state == "failed":
            self.failures.append(_failure(rendering))
        elif state == "waiting":
            written = _written(place.manifest, self.now)
            if self._oldest is None or written < self._oldest[0]:
                self._oldest = written, place
        if receipt is not None and receipt.status == "rendered" and receipt.attempts and rendering.batch is None:
            self.rendered += 1
            self.outdated += state == "rendered" and receipt.renderer < RENDERER_VERSION
            self.seconds += max(0.0, min(receipt.attempts[-1].seconds, _LONGEST))
            self.recent += self._is_recent(receipt.attempts[-1].at)

    def _explain(self, rendering: Rendering, state: Unrendered, reason: Reason) -> None:
        kind = shortened(reason.kind, LONGEST_REASON)
        self._reasons[state, kind if len(self._reasons) < _MOST or (state, kind) in self._reasons else _OTHERS] += 1
        if len(self.unrendered) < _MOST:
            place, text = rendering.place, printable(shortened(str(reason), LONGEST_REASON))
            record = UnrenderedRecord(
                video_id=place.video_id, manifest=printable(str(place.manifest)), state=state, reason=text
            )
            self.unrendered.append(record)

    def reasons(self) -> tuple[ReasonRecord, ...]:
        """Return why videos wait or are skipped, the most frequent reason first."""
        counted = self._reasons.most_common(_MOST_REASONS)
        return tuple(
            ReasonRecord(state=state, reason=printable(reason), videos=count) for (state, reason), count in counted
        )

    def oldest_waiting(self) -> RunningRecord | None:
        """Return the video that has been waiting longest."""
        if self._oldest is None:
            return None
        written, place = self._oldest
        since = datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")
        return RunningRecord(video_id=place.video_id, manifest=printable(str(place.manifest)), since=since)

    def _is_recent(self, at: str) -> bool:
        try:
            return self.now - datetime.fromisoformat(at) < _HOUR
        except (ValueError, TypeError):
            return False


def watchers_of(root: Path) -> Iterator[Activity]:
    """Yield the watchers with activity files in a folder, its parents or its subfolders."""
    seen = set()
    folders = [root, *root.parents, *(path.parent for path in sorted(root.glob(f"*/{FOLDER}")))]
    for activity in (activity for folder in folders for activity in read_activities(folder)):
        if (activity.host, activity.pid) not in seen:
            seen.add((activity.host, activity.pid))
            yield activity


def _written(manifest: Path, now: datetime) -> float:
    """Return the time a manifest was written; now, if it has been deleted or its time is in the future.

    Times before 1970, which some file systems hold, may be beyond those of `datetime`.
    """
    try:
        return max(0.0, min(manifest.stat().st_mtime, now.timestamp()))
    except OSError:
        return now.timestamp()


def _failure(rendering: Rendering) -> FailureRecord:
    receipt = rendering.receipt
    attempts = receipt.attempts if receipt is not None else ()
    last = attempts[-1].error if attempts else rendering.problem
    return FailureRecord(
        video_id=rendering.place.video_id,
        manifest=printable(str(rendering.place.manifest)),
        collection=None if rendering.batch is None else printable(str(rendering.batch)),
        reason=last or _NO_REASON,
        attempts=len(attempts),
        next_attempt=receipt.next_attempt if receipt is not None else None,
    )


def _watcher(activity: Activity) -> WatcherRecord:
    return WatcherRecord.model_validate({**asdict(activity), "silent": activity.silent})
