"""Reads the metrics with the parser of Prometheus' own client, from the file and over HTTP."""

import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from attnwatch.errors import ConfigError
from attnwatch.jobs.stages import STAGES
from attnwatch.report.activity import Activity, Running
from attnwatch.report.metrics import Metrics
from tests.support import free_ports

UNDRAWN = (
    "process_virtual_memory_bytes",
    "process_start_time_seconds",
    "process_open_fds",
    "process_max_fds",
    "last_scan_time_seconds",
)
"""Metrics that the dashboard leaves out."""
ROOT = Path(__file__).parents[4]


def metrics(activity):
    return Metrics(activity).text().decode()


def parse(text):
    """Return name of a sample -> {labels: value}; each name is that of the text, such as `..._total`."""
    families = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            families.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return families


@pytest.fixture
def activity():
    return Activity(
        roots=("/data/a",),
        version="1.2",
        mode="events and polling",
        scans=12,
        last_scan="2026-01-02T03:04:05+00:00",
        last_scan_seconds=0.125,
        overflows=2,
        waiting=30,
        running=[Running("a", "/o/a.complete.json", "2026-01-02T03:04:05+00:00")],
        rendered=1_234_567_890,
        failed=4,
        given_up=5,
    )


def value(families, name):
    return families[f"attnwatch_{name}"][()]


def test_the_values_are_those_of_the_activity(activity):
    families = parse(metrics(activity))
    expected = {
        "videos_rendered_total": 1_234_567_890,
        "attempts_failed_total": 4,
        "videos_given_up": 5,
        "videos_waiting": 30,
        "videos_running": 1,
        "scans_total": 12,
        "scan_duration_seconds": 0.125,
        "last_scan_time_seconds": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp(),
        "event_overflows_total": 2,
        "paused": 0,
    }
    assert {name: value(families, name) for name in expected} == expected
    assert abs(value(families, "heartbeat_time_seconds") - datetime.now(UTC).timestamp()) < 60
    assert value(families, "start_time_seconds") <= value(families, "heartbeat_time_seconds")


def test_a_pause_is_visible(activity):
    activity.paused = "the disk is full"
    assert value(parse(metrics(activity)), "paused") == 1


def test_metrics_of_scans_are_missing_before_the_first_scan(activity):
    activity.last_scan = activity.last_scan_seconds = None
    families = parse(metrics(activity))
    assert "attnwatch_last_scan_time_seconds" not in families
    assert "attnwatch_scan_duration_seconds" not in families


@pytest.mark.parametrize("root", ["/a b", '/"quoted"', "/back\\slash\\n", "/new\nline", "/ü{},=#", "/\udcff"])
def test_folder_names_may_contain_any_character(activity, root):
    activity.roots = (root,)
    (labels,) = parse(metrics(activity))["attnwatch_info"]
    assert dict(labels) == {
        "version": "1.2",
        "mode": "events and polling",
        "roots": root.encode("utf-8", "backslashreplace").decode(),
    }


def test_the_file_is_replaced_atomically(activity, tmp_path):
    path = tmp_path / "attnwatch.prom"
    figures = Metrics(activity, path)
    figures.write()
    before = path.stat().st_ino
    activity.rendered += 1
    figures.write()
    assert path.stat().st_ino != before
    assert value(parse(path.read_text()), "videos_rendered_total") == 1_234_567_891
    assert [path.name for path in tmp_path.iterdir()] == ["attnwatch.prom"]


def test_durations_of_stages_are_histograms(activity):
    figures = Metrics(activity)
    for stage in ("queue", *STAGES):
        figures.took(stage, 0.7)
    figures.took("render", 20_000)
    found = parse(figures.text().decode())
    count, total, buckets = (found[f"attnwatch_stage_duration_seconds_{kind}"] for kind in ("count", "sum", "bucket"))
    of_rendering = {labels: value for labels, value in buckets.items() if ("stage", "render") in labels}
    assert (count[("stage", "render"),], total[("stage", "render"),]) == (2, 20_000.7)
    edges = ("0.5", "1.0", "3600.0", "+Inf")
    assert [of_rendering[("le", edge), ("stage", "render")] for edge in edges] == [0, 1, 1, 2]
    assert {dict(labels)["stage"] for labels in count} == {"queue", *STAGES}
    assert not [name for name in found if name.endswith("_created")]


def test_the_age_of_the_queue_is_asked_for_when_the_metrics_are_read(activity):
    figures, ages = Metrics(activity), iter([12.5, None])
    figures.oldest = lambda: next(ages)
    assert [value(parse(figures.text().decode()), "queue_age_seconds") for _ in range(2)] == [12.5, 0]


@pytest.fixture
def port():
    (port,) = free_ports(1)
    return port


def get(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return parse(answer.read().decode())


def test_a_port_serves_what_holds_at_that_moment_until_the_run_ends(activity, port):
    with Metrics(activity).serve(str(port)):
        assert value(get(port), "videos_waiting") == 30
        activity.waiting = 29
        assert value(get(port), "videos_waiting") == 29
        refused = pytest.raises(ConfigError, match=rf"port {port} of 127\.0\.0\.1 cannot be opened: Address already in")
        with refused, Metrics(activity).serve(str(port)):
            pass
    with pytest.raises(urllib.error.URLError):
        get(port)
    with Metrics(activity).serve(str(port)):  # free again at once
        get(port)


def test_other_machines_are_not_served_unless_an_address_is_given(activity, monkeypatch):
    opened = []

    def open_server(port, host, registry):
        opened.append((host, port))
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr("attnwatch.report.metrics.start_http_server", open_server)
    for address in ("9464", "0.0.0.0:9464", "[::1]:9464"):
        refused = pytest.raises(ConfigError, match="Cannot assign requested address")
        with refused, Metrics(activity).serve(address):
            pass
    assert opened == [("127.0.0.1", 9464), ("0.0.0.0", 9464), ("::1", 9464)]


@pytest.mark.parametrize("address", ["", "http", "1.2.3.4", "65536", "-1", "localhost:", "\u0663"])
def test_what_is_no_address_is_refused(activity, address):
    refused = pytest.raises(ConfigError, match=r"--metrics-port: found .*; expected a port such as 9464, or HOST:PORT")
    with refused, Metrics(activity).serve(address):
        pass


def test_the_dashboard_for_grafana_asks_for_metrics_that_there_are(activity):
    figures = Metrics(activity)
    figures.took("render", 1.0)
    there = set(parse(figures.text().decode()))
    dashboard = json.loads((ROOT / "configs" / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    names = {name for expression in asked for name in re.findall(r"\battnwatch_\w+", expression)}
    assert names
    assert names <= there, names - there
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in there} - {
        "attnwatch_" + rest for rest in UNDRAWN
    } <= {name.removesuffix("_bucket") for name in names}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
