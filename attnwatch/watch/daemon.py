"""The reconcile loop: renders everything that should be rendered. Scans find all of it; events find it sooner."""

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from types import FrameType

from attnwatch.batches.discover import not_followed
from attnwatch.batches.passed import Passed, closed, excluded, unmarked
from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.names import is_receipt
from attnwatch.errors import ConfigError, EngineError
from attnwatch.jobs.engine import Engine
from attnwatch.report.reporter import Report, Stock
from attnwatch.system.signals import drain, handling
from attnwatch.watch.detection import choose_detection
from attnwatch.watch.dispatch import Dispatcher
from attnwatch.watch.events import Hints, RootWatcher
from attnwatch.watch.options import Options
from attnwatch.watch.scanner import Scanner

_log = logging.getLogger(__name__)

_ROOT_CHECK = 2.0  # seconds between checks whether the folders were replaced
_STOP_TIME = 5.0  # seconds for running jobs to finish after a signal


@dataclass
class Outcome:
    """The outcome of one run.

    Attributes:
        rendered: number of videos rendered.
        failed: targets that could not be rendered, in this run or before.
        signal: the signal that ended the run; None if none did.
        nothing: why a single run found nothing of what it was asked for; None if it found something.

    """

    rendered: int = 0
    failed: set[Target] = field(default_factory=set)
    signal: Signals | None = None
    nothing: str | None = None


class Daemon:
    """Renders finished videos below some folders until it is stopped.

    Args:
        settings: merged settings.
        options: what this run was asked to do.
        engine: runs the jobs; already entered.
        report: receives the events.
        reload: reads the settings again, for SIGHUP; None if they cannot change.

    """

    def __init__(
        self,
        settings: Settings,
        options: Options,
        engine: Engine,
        report: Report,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._engine = engine
        self._report = report
        self._reload = reload
        self._scanner = Scanner(options.roots, collect=options.collect, links=options.links, excluded=options.excluded)
        self._dispatcher = Dispatcher(settings, options, engine, report)
        self._hints = Hints()
        self._signal: Signals | None = None
        self._stop_asked = False
        self._patience_over = False
        self._reload_asked = False
        self._interval = None if options.once else settings.watcher.rescan_interval

    def run(self) -> Outcome:
        """Run until everything is done (`once`), a signal arrives, or a failure occurs that must end the run.

        Raises:
            EngineError: the engine has failed; running jobs are abandoned.

        """
        numbers = (SIGTERM, SIGINT) if self._options.once else (SIGTERM, SIGINT, SIGHUP)
        with handling(self._note_signal, numbers) as woken, self._watcher() as watcher:
            self._report.ready()
            try:
                while not (self._stop_asked or self._dispatcher.results.gives_up):
                    self._look_around(watcher)
                    self._dispatcher.start_due(searching=self._scanner.is_busy)
                    self._dispatcher.tell()
                    if self._options.once and not self._scanner.is_busy and self._dispatcher.is_idle:
                        break
                    self._dispatcher.take(self._engine.wait(self._idle_seconds(), [self._hints.readable, woken]))
                    drain(woken)
                self._finish_running(woken)
            finally:
                try:
                    self._dispatcher.abandon()
                finally:
                    self._report.close(once=self._options.once)
        results, ledger = self._dispatcher.results, self._dispatcher.ledger
        results.close()
        nothing = self._why_nothing() if self._options.once and self._signal is None else None
        if self._options.collect and nothing is None:
            failed = len({target.manifest for target in results.failed | ledger.given_up})
            self._report.collected(
                [self._options.collection_of(batch) for batch in self._options.roots], ledger.up_to_date, failed
            )
        return Outcome(results.rendered, results.failed | ledger.given_up, self._signal, nothing)

    def _why_nothing(self) -> str | None:
        """Return why a single run that has ended could not do what it was asked for; None if it could."""
        unread = {root: why for root, why in self._scanner.passed.closed.items() if root in self._options.roots}
        return closed(unread) if unread else self._dispatcher.ledger.left_out.nothing()

    def _watcher(self) -> contextlib.AbstractContextManager[RootWatcher | None]:
        if self._options.once or not self._settings.watcher.file_events:
            return contextlib.nullcontext()
        return RootWatcher(self._options.roots, self._hints, self._options.excluded)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == SIGHUP:
            self._reload_asked = True
            return
        self._patience_over = self._stop_asked
        self._signal = Signals(number)
        self._stop_asked = self._dispatcher.stopping = True

    def _look_around(self, watcher: RootWatcher | None) -> None:
        """Look where hints point, and scan everything when it is time to, for one slice."""
        if self._reload_asked:
            self._reload_settings()
        if watcher is not None and watcher.refresh():
            self._scanner.ask_for_scan()
            self._report.activity.overflows = watcher.overflows
        self._scanner.follow(self._places_hinted())
        scans = self._scanner.scans
        for target in self._scanner.find(self._interval):
            self._dispatcher.consider(target)
            if self._stop_asked:
                return
        while self._scanner.linked_near:
            self._dispatcher.ledger.warn(not_followed([self._scanner.linked_near.pop()]))
        if self._scanner.scans > scans:
            self._take_scan(watcher)

    def _take_scan(self, watcher: RootWatcher | None) -> None:
        """Report a completed scan and schedule the next one."""
        self._report.scanned(self._scanner.scans, self._scanner.seconds)
        once = self._options.once
        if self._scanner.scans == 1:
            ledger = self._dispatcher.ledger
            workers = self._settings.watcher.workers if self._engine.slots is None else None
            given_up = len({target.manifest for target in ledger.given_up})
            stock = Stock(self._dispatcher.videos, ledger.up_to_date, given_up, len(ledger.left_out))
            self._report.hello(stock, workers, once=once)
        self._explain(self._scanner.passed)
        self._dispatcher.ledger.prune(self._scanner.found)
        if not once:
            if watcher is not None and watcher.failures:
                watcher.try_again()
            detection = choose_detection(self._options.roots, watcher, self._scanner.folders)
            self._interval = detection.interval(self._settings.watcher.rescan_interval)
            self._scanner.wait(self._interval)
            self._report.learns(detection.mode, detection.reason, self._interval)

    def _explain(self, passed: Passed) -> None:
        """Report why videos are not rendered that a scan has found, or may have missed."""
        ledger = self._dispatcher.ledger
        if passed.linked:
            ledger.warn(not_followed(passed.linked))
        if passed.closed:
            ledger.warn(closed(passed.closed))
        if passed.unmarked:
            ledger.warn(unmarked(passed.unmarked, passed.unmarked_number))
        if self._scanner.found == 0:
            self._report.finds_nothing(passed.batches)
        self._report.activity.given_up = len({target.manifest for target in ledger.given_up})
        left_out = ledger.left_out.reasons()
        if passed.excluded:
            left_out = (*left_out, excluded(passed.excluded, passed.excluded_number))
        self._report.leaves_out(left_out)

    def _places_hinted(self) -> list[Path]:
        """Return where to look. Receipts are handled here, because scans do not enter their folders."""
        hints = self._hints.take()
        for receipt in filter(lambda path: is_receipt(path.name), hints):
            target = self._dispatcher.ledger.decisions.owner(receipt)
            if target is not None:
                self._dispatcher.consider(target)
        return sorted(path for path in hints if not is_receipt(path.name))

    def _reload_settings(self) -> None:
        """Read the settings again; if they are valid, decide everything again."""
        self._reload_asked = False
        if self._reload is None:
            return
        with self._report.reloading():
            before = self._settings.watcher
            try:
                self._settings = self._reload()
            except ConfigError as error:
                _log.error("the new configuration is wrong; keeping the old one: %s", error)
                return
            _log.info("configuration reloaded")
            for name in ("exclude", "file_events", "engine", "path_map"):
                if getattr(self._settings.watcher, name) != getattr(before, name):
                    _log.warning("%s takes effect after a restart", name)
            self._dispatcher.reload(self._settings)
            self._scanner.ask_for_scan()

    def _idle_seconds(self) -> float:
        if self._scanner.is_busy:
            return 0.0
        now = time.monotonic()
        turn = now + min(_ROOT_CHECK, self._report.patience or _ROOT_CHECK)
        start = self._dispatcher.next_start()
        return max(0.0, min(self._scanner.next_scan, turn, turn if start is None else start) - now)

    def _finish_running(self, woken: socket.socket) -> None:
        """Give running jobs some time to finish; the rest is abandoned, and rendered at the next start."""
        if self._signal is not None:
            self._report.stopping(self._dispatcher.running, _STOP_TIME)
        limit = time.monotonic() + _STOP_TIME
        with contextlib.suppress(EngineError):  # then nothing is running
            while self._engine.running and time.monotonic() < limit and not self._patience_over:
                self._dispatcher.take(self._engine.wait(limit - time.monotonic(), [woken]))
                drain(woken)
            self._dispatcher.take(self._engine.stop())
