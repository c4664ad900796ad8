"""Writes an activity as Prometheus metrics, to a file for the textfile collector of the node exporter.

Text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from attnwatch.report.activity import Activity
from attnwatch.system.files import write_file

_Sample = tuple[Mapping[str, str], float]


def write_metrics(path: Path, activity: Activity) -> None:
    """Replace the file atomically.

    Raises:
        OSError: the file cannot be written.

    """
    write_file(path, metrics(activity).encode(), durable=False)


def metrics(activity: Activity) -> str:
    """Return an activity in Prometheus' text format."""
    return "".join(_families(activity))


def _families(activity: Activity) -> Iterator[str]:
    about = {"version": activity.version, "mode": activity.mode, "roots": " ".join(activity.roots)}
    yield _family("info", "gauge", "About this watcher; always 1.", [(about, 1)])
    yield _value("start_time_seconds", "gauge", "Time of the start, in Unix time.", _unix(activity.started))
    yield _value("videos_rendered_total", "counter", "Videos rendered since the start.", activity.rendered)
    yield _value("attempts_failed_total", "counter", "Failed attempts since the start.", activity.failed)
    yield _value("videos_given_up", "gauge", "Videos refused or given up, as of the last scan.", activity.given_up)
    yield _value("videos_waiting", "gauge", "Videos waiting to be rendered.", activity.waiting)
    yield _value("videos_running", "gauge", "Videos being rendered.", len(activity.running))
    yield _value("scans_total", "counter", "Scans of the folders since the start.", activity.scans)
    yield _value("scan_duration_seconds", "gauge", "Duration of the last scan.", activity.last_scan_seconds)
    yield _value("last_scan_time_seconds", "gauge", "End of the last scan, in Unix time.", _unix(activity.last_scan))
    yield _value("event_overflows_total", "counter", "Times that file events were lost.", activity.overflows)
    yield _value("paused", "gauge", "Whether rendering is paused, at least for one disk.", activity.paused is not None)
    yield _value("heartbeat_time_seconds", "gauge", "Time of this update, in Unix time.", _unix(activity.heartbeat))


def _value(name: str, kind: str, about: str, value: float | None) -> str:
    """Return a metric without labels; an empty string if there is no value yet."""
    return "" if value is None else _family(name, kind, about, [({}, value)])


def _family(name: str, kind: str, about: str, samples: list[_Sample]) -> str:
    name = f"attnwatch_{name}"
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    lines.extend(f"{name}{_labels(labels)} {float(value):.17g}" for labels, value in samples)
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    text = value.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _unix(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
