"""The alerts for Prometheus and the dashboard for Grafana ask for what watchers tell, and say it when it matters."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from attnwatch.report.activity import Activity
from attnwatch.report.metrics import Metrics

CONFIGS = Path(__file__).parents[2] / "configs"
ALERTS = CONFIGS / "container" / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((CONFIGS / "grafana.json").read_text())
WATCHER = '{instance="a", job="attnwatch"}'

# Series by minute -> the only alert that they raise in half an hour, and its instance.
STORIES = {
    "all is well": ({"info": "1x30", "queue_age_seconds": "0+60x30", "videos_rendered_total": "0+5x30"}, None),
    "no watcher": ({}, "NoWatcher"),
    "it hangs": ({"info": "1x30", "heartbeat_time_seconds": "0x30"}, "WatcherHangs"),
    "a full disk": ({"info": "1x30", "paused": "1x30"}, "RenderingPaused"),
    "a growing queue": ({"info": "1x30", "queue_age_seconds": "3000+60x30"}, "QueueOld"),
    "all fail": (
        {"info": "1x30", "attempts_failed_total": "0+1x30", "videos_rendered_total": "0x30"},
        "MostAttemptsFail",
    ),
    "some fail": ({"info": "1x30", "attempts_failed_total": "0+1x30", "videos_rendered_total": "0+2x30"}, None),
    "one was given up": ({"info": "1x30", "videos_given_up": "0x5 1x25"}, "VideosGivenUp"),
}


def promtool(*arguments):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_the_alerts_ask_for_metrics_that_there_are():
    text = Metrics(Activity(roots=("/data",), version="1")).text().decode()
    there = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    for rule in RULES:
        names = set(re.findall(r"\battnwatch_\w+", rule["expr"]))
        assert names <= there, rule["alert"]
        assert names or rule["expr"].startswith('up{job="attnwatch"}')
        assert set(rule["annotations"]) == {"summary", "action"}
    scraped = yaml.safe_load((CONFIGS / "container" / "prometheus.yaml").read_text())
    assert scraped["rule_files"] == [ALERTS.name]
    assert [job["job_name"] for job in scraped["scrape_configs"]] == ["attnwatch"]


def test_prometheus_accepts_the_alerts():
    done = promtool("check", "rules", ALERTS)
    assert done.returncode == 0, done.stderr


def test_each_alert_is_raised_by_its_trouble_and_by_no_other(tmp_path):
    tests = []
    for story, (series, alert) in STORIES.items():
        given = [{"series": f"attnwatch_{name}{WATCHER}", "values": values} for name, values in series.items()]
        tests.append(
            {
                "name": story,
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": "29m",
                        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else [],
                    }
                ],
            }
        )
    gone = {"series": f"up{WATCHER}", "values": "1x5 0x25"}
    other = {"series": 'attnwatch_info{instance="b"}', "values": "1x30"}
    tests.append({**tests[0], "name": "one is gone", "input_series": [gone, other]})
    expected = {"labels": '{alertname="WatcherGone"}', "value": 1}
    tests[-1]["promql_expr_test"] = [{**tests[0]["promql_expr_test"][0], "exp_samples": [expected]}]
    assert {alert for _, alert in STORIES.values() if alert} | {"WatcherGone"} == {rule["alert"] for rule in RULES}
    path = tmp_path / "stories.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_takes_the_chosen_prometheus_and_watchers():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert variables["instance"]["datasource"] == chosen
    for panel in DASHBOARD["panels"]:
        assert panel["type"] in {"stat", "timeseries", "table"}
        assert panel["description"]
        for target in panel["targets"]:
            assert panel["datasource"] == target["datasource"] == chosen
            selected = re.findall(r"attnwatch_\w+(\{[^}]*\})?", target["expr"])
            assert all('instance=~"$instance"' in labels for labels in selected), target["expr"]


def test_panels_lie_beside_each_other():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    covered = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) == 23
