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

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.names import is_receipt
from attnwatch.errors import ConfigError, EngineError
from attnwatch.jobs.engine import Engine
from attnwatch.report.reporter import Report
from attnwatch.system.signals import drain, handling
from attnwatch.watch.detection import way_to_learn
from attnwatch.watch.dispatch import Dispatcher
from attnwatch.watch.events import Hints, RootWatcher
from attnwatch.watch.options import Options
from attnwatch.watch.scanner import Search

_log = logging.getLogger(__name__)

_ROOT_CHECK = 2.0  # seconds between looks whether the folders are still the same
_STOP_TIME = 5.0  # seconds that running jobs get to finish after a signal


@dataclass
class Outcome:
    """What came of one run.

    Attributes:
        rendered: number of videos rendered in this run.
        failed: what could not be rendered, in this run or before.
        signal: the signal that ended the run, if one did.

    """

    rendered: int = 0
    failed: set[Target] = field(default_factory=set)
    signal: Signals | None = None


class Daemon:
    """Renders what is finished below some folders, and goes on until it is stopped.

    Args:
        settings: merged settings.
        options: what this run is asked to do.
        engine: where jobs run; entered already.
        report: is told what happens.
        reload: returns the settings as they are now, for SIGHUP.

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
        self._search = Search(options.roots, collect=options.collect)
        self._dispatcher = Dispatcher(settings, options, engine, report)
        self._hints = Hints()
        self._signal: Signals | None = None
        self._stop_asked = False
        self._patience_over = False
        self._reload_asked = False
        self._interval = None if options.once else settings.watcher.rescan_interval

    def run(self) -> Outcome:
        """Run until everything is done (`once`), a signal comes, or a failure is not to be survived.

        Raises:
            EngineError: nothing can be started any more; what was running is abandoned.

        """
        numbers = (SIGTERM, SIGINT) if self._options.once else (SIGTERM, SIGINT, SIGHUP)
        with handling(self._note_signal, numbers) as woken, self._watcher() as watcher:
            self._report.ready()
            try:
                while not (self._stop_asked or self._dispatcher.gives_up):
                    self._look_around(watcher)
                    self._dispatcher.start_due(searching=self._search.is_busy)
                    self._dispatcher.tell()
                    if self._options.once and not self._search.is_busy and self._dispatcher.is_idle:
                        break
                    self._dispatcher.take(self._engine.wait(self._idle_seconds(), [self._hints.readable, woken]))
                    drain(woken)
                self._finish_running(woken)
            finally:
                self._dispatcher.abandon()
                self._report.close(once=self._options.once)
        failed = self._dispatcher.failed | self._dispatcher.ledger.given_up
        return Outcome(self._dispatcher.rendered, failed, self._signal)

    def _watcher(self) -> contextlib.AbstractContextManager[RootWatcher | None]:
        if self._options.once or not self._settings.watcher.file_events:
            return contextlib.nullcontext()
        return RootWatcher(self._options.roots, self._hints)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == SIGHUP:
            self._reload_asked = True
            return
        self._patience_over = self._stop_asked
        self._signal = Signals(number)
        self._stop_asked = self._dispatcher.stopping = True

    def _look_around(self, watcher: RootWatcher | None) -> None:
        """Look for a while where hints point, and everywhere when it is time to."""
        if self._reload_asked:
            self._load_again()
        if watcher is not None and watcher.refresh():
            self._search.ask_for_scan()
            self._report.activity.overflows = watcher.overflows
        self._search.follow(self._places_hinted())
        scans = self._search.scans
        for target in self._search.find(self._interval):
            self._dispatcher.consider(target)
            if self._stop_asked:
                return
        if self._search.scans > scans:
            self._take_scan(watcher)

    def _take_scan(self, watcher: RootWatcher | None) -> None:
        """Tell of a scan that is done, and decide how long after it the next one comes."""
        self._report.scanned(self._search.scans, self._search.seconds)
        once = self._options.once
        if self._search.scans == 1:
            videos = self._dispatcher.videos
            self._report.hello(
                videos, self._dispatcher.ledger.decisions.videos, self._settings.watcher.workers, once=once
            )
        self._dispatcher.ledger.prune(self._search.found)
        if not once:
            if watcher is not None and watcher.failures:
                watcher.try_again()
            way = way_to_learn(self._options.roots, watcher, self._search.folders)
            self._interval = way.interval(self._settings.watcher.rescan_interval)
            self._search.wait(self._interval)
            self._report.learns(way.mode, way.reason, self._interval)

    def _places_hinted(self) -> list[Path]:
        """Return where to look; what a receipt says is looked at here, because nobody walks where receipts lie."""
        hints = self._hints.take()
        for receipt in filter(lambda path: is_receipt(path.name), hints):
            target = self._dispatcher.ledger.decisions.owner(receipt)
            if target is not None:
                self._dispatcher.consider(target)
        return sorted(path for path in hints if not is_receipt(path.name))

    def _load_again(self) -> None:
        """Take new settings if they are right; everything is decided anew then."""
        self._reload_asked = False
        if self._reload is None:
            return
        with self._report.reloading():
            before = self._settings.watcher.file_events
            try:
                self._settings = self._reload()
            except ConfigError as error:
                _log.error("the new configuration is wrong, the old one stays: %s", error)
                return
            _log.info("the configuration was read again")
            if self._settings.watcher.file_events != before:
                _log.warning("file_events counts from the next start on")
            self._dispatcher.reload(self._settings)
            self._search.ask_for_scan()

    def _idle_seconds(self) -> float:
        if self._search.is_busy:
            return 0.0
        now = time.monotonic()
        turn = now + min(_ROOT_CHECK, self._report.patience or _ROOT_CHECK)
        start = self._dispatcher.next_start()
        return max(0.0, min(self._search.next_scan, turn, turn if start is None else start) - now)

    def _finish_running(self, woken: socket.socket) -> None:
        """Let running jobs finish for a while; what is not finished then is abandoned and done at the next start."""
        if self._signal is not None:
            self._report.stopping(self._dispatcher.running, _STOP_TIME)
        limit = time.monotonic() + _STOP_TIME
        with contextlib.suppress(EngineError):  # then nothing runs any more, which is what is wanted
            while self._engine.running and time.monotonic() < limit and not self._patience_over:
                self._dispatcher.take(self._engine.wait(limit - time.monotonic(), [woken]))
                drain(woken)
            self._dispatcher.take(self._engine.stop())
