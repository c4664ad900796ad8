"""`attnwatch settings`."""

import re

import pytest
import yaml

from attnwatch.settings import Visualization, Watcher
from tests.support import called

NAMES = [*Visualization.model_fields, *Watcher.model_fields]


def listed(out):
    return dict(re.findall(r"^(\w+) = (.*)$", out, flags=re.MULTILINE))


def test_all_settings_are_listed_with_their_defaults_and_meanings(capsys):
    code, out, err = called(capsys, "settings")
    assert (code, err) == (0, "")
    assert list(listed(out)) == NAMES
    assert listed(out)["memory_limit"] == "2GiB"
    assert "    name of a matplotlib colormap\n" in out


def test_the_source_of_a_value_is_named_with_the_default(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNWATCH_QUALITY", "high")
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump({"watcher": {"nice": 3, "max_attempts": 5}}))
    _, out, _ = called(capsys, "settings", "-c", config, "-j", 2, "--set", "figsize=12x8", "--set", "nice=4")
    found = listed(out)
    assert found["quality"] == "high  (from ATTNWATCH_QUALITY; the default is balanced)"
    assert found["max_attempts"] == f"5  (from {config}; the default is 3)"
    assert found["workers"].startswith("2  (from --workers; the default is ")
    assert found["figsize"] == "12,8  (from --set figsize; the default is null)"
    assert found["nice"] == "4  (from --set nice; the default is 10)"


def test_a_setting_is_explained_by_its_name_and_several_by_a_part_of_it(capsys):
    _, out, _ = called(capsys, "settings", "figsize", "max-attempts")
    assert list(listed(out)) == ["figsize", "max_attempts"]
    assert "accepts: two numbers from 1 to 100, such as 12x8" in out
    for place in ("--set figsize=VALUE", "ATTNWATCH_FIGSIZE", "attention_analysis.visualization_params.figsize"):
        assert place in out
    assert "file: watcher.max_attempts" in out
    assert list(listed(called(capsys, "settings", "quality")[1])) == ["quality"]
    assert list(listed(called(capsys, "settings", "_quality")[1])) == ["per_video_quality", "batch_quality"]


@pytest.mark.parametrize("name", ["colourmap", "", "x y"])
def test_an_unknown_name_is_refused(capsys, name):
    code, out, err = called(capsys, "settings", name)
    assert (code, out) == (2, "")
    assert f"found no setting {name!r}" in err


def test_no_line_is_wider_than_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, called(capsys, "settings", *NAMES)[1].splitlines())) <= 80
