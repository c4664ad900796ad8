"""What users of the program before this one knew goes on working, and the guide's table says so."""

import re
from pathlib import Path

import pytest
import yaml

from attnwatch.cli.examples import SYNOPSIS
from attnwatch.config import load_settings
from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.names import OUTPUT_DIRECTORY
from attnwatch.settings import Visualization
from generator.config import NAMES
from generator.config import load_settings as load_generator_settings
from generator.settings import AttentionSettings
from tests.support import Batch, attnwatch, write_json

GUIDE = (Path(__file__).parents[2] / "GUIDE.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("\n## Coming from the older program\n")[2].replace(r"\|", "¦")
ROWS = re.findall(r"(?m)^\| (.+?) \| (.+) \|$", SECTION)


# Every key of the older program's documentation, with the values that are written there.
STORED = {"store_attention": True, "store_aggregated_attention": True, "compress_attention": True}
SWITCHES = {"auto_generate_per_video": True, "auto_generate_videos": True}
PARAMS = {
    "figsize": [12, 8],
    "colormap": "hot",
    "overlay_alpha": 0.6,
    "static_duration": 3.0,
    "fps": 10,
    "generate_attention_only": False,
    "generate_overlay": True,
    "generate_aggregated": False,
    "interpolation_steps": 0,
    "fail_on_visualization_error": False,
    "visualization_timeout": 120,
    "per_video_fps": 5,
    "per_video_quality": "fast",
    "batch_fps": 15,
    "batch_quality": "high",
}


def written(tmp_path, **attention):
    path = tmp_path / "old.yaml"
    path.write_text(yaml.safe_dump({"attention_analysis": attention}), encoding="utf-8")
    return path


def watched(config, requested=None):
    pictures, notes = load_settings(config, {}, {}).for_batch(requested or {}, Path("v.complete.json"))
    assert not notes
    return pictures


def test_each_key_is_in_the_table():
    before = " ".join(row[0] for row in ROWS)
    for key in (*STORED, *SWITCHES, *PARAMS):
        assert f"{key}`" in before or f"{key}:" in before, key


def test_the_table_names_commands_and_settings_that_exist():
    now = " ".join(row[1] for row in ROWS)
    settings = {*Visualization.model_fields, *AttentionSettings.model_fields, "watcher"}
    for name in re.findall(r"`([a-z]+_[a-z_]+)(?:: \w+)?`", now):
        assert name in settings, name
    assert {command for command in re.findall(r"`attnwatch ([a-z]+) ", now) if command not in SYNOPSIS} == set()


def test_a_file_with_every_key_means_the_same_to_both_programs(tmp_path):
    config = written(tmp_path, **STORED, **SWITCHES, visualization_params=PARAMS)
    settings = load_generator_settings({}, {}, config)
    assert {name: getattr(settings.attention_analysis, name) for name in STORED} == STORED
    assert settings.visualization == {**SWITCHES, **PARAMS}
    expected = Visualization(**{**SWITCHES, **PARAMS})
    assert watched(config) == watched(None, settings.visualization) == expected


@pytest.mark.parametrize("name", ["config", "template", "videos_per_variation", "batch_name"])
def test_the_options_of_the_older_command_are_options_of_the_generator(name):
    assert name == "config" or name in NAMES


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, (True, False)),
        ({"auto_generate_per_video": True}, (True, False)),
        ({"auto_generate_videos": True}, (False, True)),
        ({"auto_generate_videos": True, "auto_generate_per_video": None}, (False, True)),
        ({"auto_generate_videos": True, "auto_generate_per_video": True}, (True, True)),
        ({"auto_generate_videos": True, "auto_generate_per_video": False}, (False, True)),
    ],
)
def test_batch_end_alone_means_only_at_the_end(tmp_path, switches, expected):
    config = written(tmp_path, **switches)
    for pictures in (watched(config), watched(None, load_generator_settings({}, {}, config).visualization)):
        assert (pictures.auto_generate_per_video, pictures.auto_generate_videos) == expected


def test_flags_imply_nothing():
    pictures, _ = load_settings(None, {"auto_generate_videos": True}, {}).for_batch({}, Path("v"))
    assert pictures.auto_generate_per_video


def test_with_batch_end_alone_everything_is_collected_and_nothing_made_before(tmp_path):
    batch, config = Batch.make(tmp_path / "outputs"), written(tmp_path, auto_generate_videos=True)
    manifest = batch.add_full()
    assert attnwatch(batch.folder, "--once", "--config", config).returncode == 0
    assert not list(batch.folder.rglob("*.mp4"))[1:]
    counts = {"expected": 1, "complete": 1, "failed": 0}
    ended = {"format": "attnwatch/1", "status": "complete", "finished": "2026-01-02T03:04:05+00:00", "counts": counts}
    write_json(batch.folder / "batch.complete.json", ended)
    assert attnwatch(batch.folder, "--once", "--config", config).returncode == 0
    made = {path.name for path in (batch.folder / OUTPUT_DIRECTORY).glob("*.mp4")}
    assert made == {f"prompt_001_vid001_kiss_{kind}.mp4" for kind in OutputKind if kind.is_requested(Visualization())}
    assert not (manifest.parent / OUTPUT_DIRECTORY).exists()


def test_static_videos_are_made_if_a_mean_or_no_step_is_stored(tmp_path):
    for stored, expected in (
        ({}, True),
        ({"store_aggregated_attention": False}, False),
        ({"store_attention": False}, True),
        ({"store_aggregated_attention": False, "visualization_params": {"generate_aggregated": True}}, True),
    ):
        asked = load_generator_settings({}, {}, written(tmp_path, **stored)).visualization
        assert watched(None, asked).generate_aggregated is expected
