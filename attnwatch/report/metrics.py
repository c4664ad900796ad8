"""A watcher's figures for Prometheus: in a file for the node exporter's textfile collector, or over HTTP."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from attnwatch.errors import ConfigError
from attnwatch.report.activity import Activity
from attnwatch.system.files import write_file

_log = logging.getLogger(__name__)

PREFIX = "attnwatch"
LOOPBACK = "127.0.0.1"
_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Metrics:
    """The metrics of one watcher.

    Attributes:
        file: file that `write` replaces; None for none.
        oldest: returns the seconds that the oldest of the waiting videos has waited; None if none waits.

    """

    def __init__(self, activity: Activity, file: Path | None = None) -> None:
        self.file = file
        self.oldest: Callable[[], float | None] = lambda: None
        self._complaint: str | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(activity, self))
        disable_created_metrics()  # type: ignore[no-untyped-call] # they would be a further series for each of the stages
        self._stages = Histogram(
            f"{PREFIX}_stage_duration_seconds",
            "Durations of what is done for a video: queue (until it is started), verify, render, measure, publish.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        ProcessCollector(namespace=PREFIX, registry=self._registry)

    def took(self, stage: str, seconds: float) -> None:
        """Record how long a stage of a video has taken."""
        self._stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def write(self) -> None:
        """Replace the file atomically; if it cannot be written, log each reason once."""
        if self.file is None:
            return
        try:
            write_file(self.file, self.text(), durable=False)
        except OSError as error:
            if error.strerror != self._complaint:
                _log.warning("--metrics-file: %s cannot be written: %s", self.file, error.strerror)
            self._complaint = error.strerror

    @contextmanager
    def serve(self, address: str) -> Iterator[None]:
        """Serve the metrics over HTTP, in a thread, until the end of the context.

        Args:
            address: ``[HOST:]PORT``; without a host, only this machine is served.

        Raises:
            ConfigError: if this is no address, or it is in use or not of this machine.

        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or LOOPBACK
        if not port.isascii() or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - largest port
            raise ConfigError(f"--metrics-port: found {address!r}; expected a port such as 9464, or HOST:PORT")
        try:
            server, thread = start_http_server(int(port), host, self._registry)
        except OSError as error:
            raise ConfigError(
                f"--metrics-port: port {port} of {host} cannot be opened: {error.strerror}. Expected a free port of "
                "this machine: choose another one, or stop what uses it"
            ) from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Figures(Collector):
    """Reads the activity whenever it is asked for."""

    def __init__(self, activity: Activity, metrics: Metrics) -> None:
        self._activity, self._metrics = activity, metrics

    def collect(self) -> Iterator[Metric]:
        activity = self._activity
        roots = " ".join(activity.roots).encode("utf-8", "backslashreplace").decode()
        about = {"version": activity.version, "mode": activity.mode, "roots": roots}
        info = GaugeMetricFamily(f"{PREFIX}_info", "About this watcher; always 1.", labels=list(about))
        info.add_metric(list(about.values()), 1)
        yield info
        yield from _gauge("start_time_seconds", "Time of the start, in Unix time.", _unix(activity.started))
        yield from _counter("videos_rendered", "Videos rendered since the start.", activity.rendered)
        yield from _counter("attempts_failed", "Failed attempts since the start.", activity.failed)
        yield from _gauge("videos_given_up", "Videos refused or given up, as of the last scan.", activity.given_up)
        yield from _gauge("videos_waiting", "Videos waiting to be rendered.", activity.waiting)
        yield from _gauge("videos_running", "Videos being rendered.", len(activity.running))
        yield from _gauge(
            "queue_age_seconds", "How long the oldest of the waiting videos has waited.", self._metrics.oldest() or 0.0
        )
        yield from _counter("scans", "Scans of the folders since the start.", activity.scans)
        yield from _gauge("scan_duration_seconds", "Duration of the last scan.", activity.last_scan_seconds)
        yield from _gauge("last_scan_time_seconds", "End of the last scan, in Unix time.", _unix(activity.last_scan))
        yield from _counter("event_overflows", "Times that file events were lost.", activity.overflows)
        paused = activity.paused is not None
        yield from _gauge("paused", "Whether rendering is paused, at least for one disk.", paused)
        yield from _gauge("heartbeat_time_seconds", "Time of this update, in Unix time.", _unix(activity.heartbeat))


def _gauge(name: str, about: str, value: float | None) -> Iterator[Metric]:
    """Yield a metric without labels, if it has a value yet."""
    if value is not None:
        yield GaugeMetricFamily(f"{PREFIX}_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Iterator[Metric]:
    yield CounterMetricFamily(f"{PREFIX}_{name}", about, value=value)


def _unix(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
