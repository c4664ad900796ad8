"""Reports a run: to the log, the terminal, the service manager and other programs.

The log gets one line per output, one per video, and one per cause of trouble.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.batches.passed import named_first
from attnwatch.batches.targets import Target, batch_of
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.names import OUTPUT_DIRECTORY, SHEET_PREFIX
from attnwatch.contract.receipts import Place
from attnwatch.errors import shortened
from attnwatch.report.activity import Activity, Mode, Publisher, Running, now
from attnwatch.report.hooks import Hooks
from attnwatch.report.log import counted
from attnwatch.report.reasons import LONGEST_REASON
from attnwatch.system.notify import Notifier

if TYPE_CHECKING:
    from attnwatch.report.metrics import Metrics  # a run without them is spared its libraries

_log = logging.getLogger(__name__)

_METRICS_INTERVAL = 5.0  # seconds
_HOOK_TIME, _ONCE_HOOK_TIME = 1.0, 60.0  # seconds that commands get at the end of a run
_SUMMARY_INTERVAL = 60.0  # seconds
_MOST_REASONS = 1_000  # that are remembered as logged

Progress = Callable[[int, int], None]


@dataclass
class Audience:
    """Where a run is reported, besides the log.

    Attributes:
        progress: progress bar; called with the numbers of renderings done and known. None to log a line per minute.
        notifier: connection to the service manager.
        publisher: writer of activity files; None for none.
        hooks: runner of the user's command.
        metrics: figures for Prometheus; None for none.

    """

    progress: Progress | None = None
    notifier: Notifier = field(default_factory=Notifier)
    publisher: Publisher | None = None
    hooks: Hooks = field(default_factory=lambda: Hooks(None))
    metrics: "Metrics | None" = None


@dataclass(frozen=True)
class Stock:
    """Numbers of videos after the first scan.

    Attributes:
        videos: to render.
        up_to_date: rendered before.
        given_up: refused or given up.
        left_out: that this run does not render although nothing is wrong with them.

    """

    videos: int
    up_to_date: int
    given_up: int
    left_out: int


class Report:
    """Keeps the figures of a run and reports them."""

    def __init__(self, activity: Activity, audience: Audience) -> None:
        self.activity = activity
        self._audience = audience
        self._done = self._linked = self._summed_up = 0
        self._next_summary = time.monotonic() + _SUMMARY_INTERVAL
        self._next_metrics = 0.0
        self._reasons: set[str] = set()
        self._found_nothing = False

    @property
    def patience(self) -> float | None:
        """Longest time between two calls of `beat`, in seconds; None if there is no limit."""
        interval = self._audience.notifier.watchdog_interval
        return None if interval is None else interval / 4

    def hello(self, stock: Stock, workers: int | None, *, once: bool) -> None:
        """Report, after the first scan, how much there is to do."""
        verb = "rendering" if once else "watching"
        counts = f"{counted(stock.videos, 'video')} to render, {stock.up_to_date} up to date"
        if stock.given_up:
            counts += f", {stock.given_up} refused or given up"
        if stock.left_out:
            counts += f", {stock.left_out} left out"
        if workers is not None:
            counts += f", {workers} at a time"
        _log.info("%s %s: %s", verb, ", ".join(self.activity.roots), counts)

    def finds_nothing(self, batches: Sequence[Path]) -> None:
        """Report, once, that a scan has found no finished video, and which batches are there nevertheless."""
        if self._found_nothing:
            return
        self._found_nothing = True
        about = f"no video is finished yet in {', '.join(self.activity.roots)}"
        if batches:
            about += f"; batches are there: {named_first([batch.name for batch in batches])}"
        _log.info("%s", about)

    def leaves_out(self, reasons: tuple[str, ...]) -> None:
        """Report which videos are left out, and log each reason once."""
        self.activity.left_out = reasons
        for text in reasons:
            if self._is_new(text.partition(": ")[2]):
                _log.info("not rendered: %s", text)

    def _is_new(self, reason: str) -> bool:
        """Return whether a reason has not been logged, as far as is remembered: those of others have no end."""
        if reason in self._reasons:
            return False
        if len(self._reasons) >= _MOST_REASONS:
            self._reasons.clear()
        self._reasons.add(reason)
        return True

    def learns(self, mode: Mode, reason: str, interval: float) -> None:
        """Report how new videos are found, and log each reason for scanning often once."""
        activity = self.activity
        if mode != "events" and self._is_new(reason):
            _log.warning("the folders are scanned every %.0f s: %s", interval, reason)
        activity.mode, activity.reason, activity.rescan_interval = mode, reason, interval

    def scanned(self, scans: int, seconds: float) -> None:
        """Record a finished scan."""
        if scans != self.activity.scans:
            self.activity.scans, self.activity.last_scan, self.activity.last_scan_seconds = scans, now(), seconds

    def rendered(self, target: Target, place: Place, receipt: ReceiptDocument, *, linked: bool = False) -> None:
        """Report the outputs of a video, and run the user's command.

        Args:
            target: what was rendered.
            place: of the receipt.
            receipt: as written.
            linked: the outputs are those beside the video, which have been reported before.

        """
        self._done += 1
        self._linked += linked
        self.activity.slow = None
        self.activity.rendered += receipt.status == "rendered"
        about = _fields(target, place, receipt)
        if receipt.status == "skipped":
            self._log_skipped(receipt, about)
        else:
            self._log_outputs(target, receipt, about, linked=linked)
        self._audience.hooks.run(receipt, place.path)

    def _log_outputs(
        self, target: Target, receipt: ReceiptDocument, about: Mapping[str, object], *, linked: bool
    ) -> None:
        if linked:
            text = "%s: %d linked in the collection of %s"
            _log.info(text, receipt.video_id, len(receipt.outputs), about["batch"], extra=dict(about))
            return
        for output in receipt.outputs:
            fields = {**about, "file": output.file, "kind": output.kind, "token": output.token}
            # A collection has the same names again, so they are told with their folder.
            name = output.file if target.batch is None else f"{target.batch.name}/{OUTPUT_DIRECTORY}/{output.file}"
            _log.info("✅ Generated attention video: %s", name, extra=fields)
        notes = "".join(f"; {note}" for note in receipt.notes)
        seconds = receipt.attempts[-1].seconds
        outputs = counted(len(receipt.outputs), "output")
        where = "" if target.batch is None else f" in the collection of {target.batch.name}"
        batch = f" ({about['batch']})" if target.batch is None else ""
        text = "%s: %s%s in %.1f s%s%s"
        _log.info(text, receipt.video_id, outputs, where, seconds, batch, notes, extra={**about, "seconds": seconds})

    def _log_skipped(self, receipt: ReceiptDocument, about: Mapping[str, object]) -> None:
        """Report that there was nothing to render; why, once for each reason."""
        reason = shortened("; ".join(receipt.notes), LONGEST_REASON)
        why = f": {reason}" if reason and self._is_new(reason) else ""
        _log.info("%s: nothing to render (%s)%s", receipt.video_id, about["batch"], why, extra=dict(about))

    def failed(self, target: Target, place: Place, receipt: ReceiptDocument, then: str) -> None:
        """Report why a video could not be rendered, and what happens next (`then`)."""
        self.activity.failed += 1
        self.activity.slow = None
        tried = f"attempt {len(receipt.attempts)}"
        error = receipt.attempts[-1].error
        about = _fields(target, place, receipt)
        fields = {**about, "error": error, "next_attempt": receipt.next_attempt}
        _log.error("❌ %s (%s, %s): %s; %s", receipt.video_id, about["batch"], tried, error, then, extra=fields)

    def follow(self, oldest: Callable[[], float | None]) -> None:
        """Have metrics ask for the seconds that the oldest of the waiting videos has waited."""
        if (metrics := self._audience.metrics) is not None:
            metrics.oldest = oldest

    def took(self, stages: Mapping[str, float]) -> None:
        """Record the seconds that stages of a video have taken."""
        if (metrics := self._audience.metrics) is not None:
            for stage, seconds in stages.items():
                metrics.took(stage, seconds)

    def starved(self, place: Place, reason: str) -> None:
        """Report that a job was ended because this machine did not let it work."""
        self.activity.slow = f"{place.video_id}: {reason}"
        _log.warning("%s: %s", place.video_id, reason, extra={"video_id": place.video_id})

    def beat(self, *, waiting: int, paused: str | None) -> None:
        """Publish the current state and prove that the loop is alive; called in every turn of it."""
        activity = self.activity
        activity.waiting, activity.paused = waiting, paused
        self._show_progress(waiting + len(activity.running))
        self._audience.notifier.watchdog()
        state = f"paused: {paused}" if paused else f"{activity.rendered} rendered, {activity.failed} failed"
        self._audience.notifier.status(f"{state}; {len(activity.running)} running, {waiting} waiting")
        if self._audience.publisher is not None:
            self._audience.publisher.publish(activity)
        if time.monotonic() >= self._next_metrics:
            self._next_metrics = time.monotonic() + _METRICS_INTERVAL
            self._write_metrics()

    def _show_progress(self, left: int) -> None:
        if self._audience.progress is not None:
            self._audience.progress(self._done, self._done + left)
            return
        now, done = time.monotonic(), self._done - self._summed_up
        if now < self._next_summary:
            return
        if done and left:
            rate = done / (now - self._next_summary + _SUMMARY_INTERVAL) * 60
            minutes = max(left / rate, 1)
            remaining = f"{counted(left, 'rendering')} to go, at {rate:.1f} a minute about {minutes:,.0f} min"
            _log.info("%d rendered, %s", self._done, remaining)
        self._summed_up, self._next_summary = self._done, now + _SUMMARY_INTERVAL

    def runs(self, places: Iterable[tuple[Place, str | None]]) -> None:
        """Record which videos are being rendered, each with the worker of a cluster that has it."""
        since = {(running.video_id, running.manifest): running.since for running in self.activity.running}
        named = ((place.video_id, str(place.manifest), worker) for place, worker in places)
        self.activity.running = [
            Running(video_id, manifest, since.get((video_id, manifest)) or now(), worker)
            for video_id, manifest, worker in named
        ]

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell the service manager, during the context, that the settings are being reloaded."""
        self._audience.notifier.reloading()
        yield
        self._audience.notifier.ready()

    def ready(self) -> None:
        """Report that the watcher is ready: it will notice every video that is finished from now on."""
        self._audience.notifier.ready()

    def stopping(self, running: int, seconds: float) -> None:
        """Report that the run is stopping, and how long that may take."""
        self._audience.notifier.stopping()
        self._audience.notifier.extend_timeout(3 * seconds)
        jobs = f": {counted(running, 'running job')} may take {seconds:g} s to finish" if running else ""
        _log.info("stopping%s", jobs)

    def collected(self, folders: Sequence[Path], up_to_date: int, failed: int) -> None:
        """Report what `attnwatch collect` has made in the folders of collections."""
        sheets = sorted(sheet.name for folder in folders for sheet in folder.glob(f"{SHEET_PREFIX}*.png"))
        made = f"{self._done - self._linked} rendered, {self._linked} linked, {up_to_date} up to date, {failed} failed"
        shown = f"; {counted(len(sheets), 'contact sheet')}: {named_first(sheets)}" if sheets else ""
        _log.info("collected in %s: %s%s", ", ".join(map(str, folders)), made, shown)

    def close(self, *, once: bool) -> None:
        """Finish the commands and write the metrics; a run with `once` waits longer for its commands."""
        self._audience.hooks.close(_ONCE_HOOK_TIME if once else _HOOK_TIME)
        self._write_metrics()

    def _write_metrics(self) -> None:
        if self._audience.metrics is not None:
            self.activity.heartbeat = now()
            self._audience.metrics.write()


def _fields(target: Target, place: Place, receipt: ReceiptDocument) -> dict[str, object]:
    """Return the extra fields of a JSON log line."""
    return {
        "video_id": receipt.video_id,
        "batch": (target.batch or batch_of(target.manifest)).name,
        "manifest": str(place.manifest),
        "status": receipt.status,
    }
