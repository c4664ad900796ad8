"""Reads the metrics file with a strict parser, written here from the description of the text format."""

import math
import re
from datetime import UTC, datetime

import pytest

from attnwatch.report.activity import Activity, Running
from attnwatch.report.metrics import metrics, write_metrics

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")


def parse(text):
    """Return name -> (type, {labels: value}); refuse anything that is not in the format."""
    assert text.endswith("\n")
    families, described, current = {}, set(), None
    for line in text[:-1].split("\n"):
        if help_line := re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line):
            current = help_line[1]
            assert current not in described, "described twice"
            described.add(current)
        elif type_line := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line):
            assert type_line[1] == current, "a type belongs to the description before it"
            assert current not in families
            assert current.endswith("_total") == (type_line[2] == "counter")
            families[current] = (type_line[2], {})
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, f"no sample: {line!r}"
            assert sample[1] == current, "samples stand below their description"
            labels = tuple((name, unescape(value)) for name, value in re.findall(LABEL, sample[2] or ""))
            samples = families[current][1]
            assert labels not in samples
            samples[labels] = float(sample[sample.lastindex])
            assert math.isfinite(samples[labels])
    assert all(samples for _, samples in families.values())
    return families


def unescape(text):
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


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
    return families[f"attnwatch_{name}"][1][()]


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
    ((labels,),) = [family[1] for name, family in parse(metrics(activity)).items() if name == "attnwatch_info"]
    assert dict(labels) == {
        "version": "1.2",
        "mode": "events and polling",
        "roots": root.encode("utf-8", "backslashreplace").decode(),
    }


def test_the_file_is_replaced_atomically(activity, tmp_path):
    path = tmp_path / "attnwatch.prom"
    write_metrics(path, activity)
    before = path.stat().st_ino
    activity.rendered += 1
    write_metrics(path, activity)
    assert path.stat().st_ino != before
    assert value(parse(path.read_text()), "videos_rendered_total") == 1_234_567_891
    assert [path.name for path in tmp_path.iterdir()] == ["attnwatch.prom"]


def test_the_parser_of_this_test_is_strict():
    good = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="y"} 1\n'
    assert parse(good)
    for old, new in (
        ("# HELP a_total A.\n", ""),
        ("counter", "gauge"),
        ('"y"', "y"),
        (" 1", ""),
        (" 1", " NaN"),
        ("\na_total{", "\nb{"),
        ("1\n", "1"),
    ):
        with pytest.raises((AssertionError, ValueError)):
            parse(good.replace(old, new, 1))
