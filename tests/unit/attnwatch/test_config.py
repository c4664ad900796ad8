from pathlib import Path

import pytest
import yaml

from attnwatch.config import (
    ATTENTION_BLOCKS,
    ENVIRONMENT_PREFIX,
    GENERATOR_ATTENTION_KEYS,
    Settings,
    load_settings,
)
from attnwatch.errors import ConfigError
from attnwatch.settings import NOT_IN_PICTURES, Visualization, Watcher

WHERE = Path("/x/v.complete.json")


def file(folder, content):
    path = folder / "settings.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def params(**settings):
    return {"attention_analysis": {"visualization_params": settings}}


def loaded(config=None, flags=None, environment=None):
    return load_settings(config, flags or {}, environment or {})


def effective(settings, requested=None):
    visualization, _ = settings.for_batch(requested or {}, WHERE)
    return visualization


def refused(*arguments, **keywords):
    with pytest.raises(ConfigError) as caught:
        loaded(*arguments, **keywords)
    return str(caught.value)


def test_settings_have_their_defaults():
    assert effective(loaded()) == Visualization()
    assert loaded().watcher == Watcher()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("", "viridis"),
        ("batch", "bone"),
        ("batch yaml", "cool"),
        ("batch yaml env", "gray"),
        ("batch yaml env flag", "pink"),
        ("batch env", "gray"),
        ("batch flag", "pink"),
        ("yaml flag", "pink"),
    ],
)
def test_a_flag_beats_the_environment_beats_yaml_beats_the_batch_beats_the_default(tmp_path, layers, expected):
    settings = loaded(
        file(tmp_path, params(colormap="cool")) if "yaml" in layers else None,
        {"colormap": "pink"} if "flag" in layers else {},
        {"ATTNWATCH_COLORMAP": "gray"} if "env" in layers else {},
    )
    assert effective(settings, {"colormap": "bone"} if "batch" in layers else {}).colormap == expected


def test_an_explicit_default_overrides_the_batch():
    assert effective(loaded(flags={"colormap": "hot"}), {"colormap": "bone"}).colormap == "hot"


@pytest.mark.parametrize(
    ("layers", "expected"), [("yaml", 2), ("yaml env", 3), ("yaml env flag", 4), ("yaml flag", 4), ("env", 3)]
)
def test_the_settings_of_the_watcher_have_the_same_precedence(tmp_path, layers, expected):
    settings = loaded(
        file(tmp_path, {"watcher": {"workers": 2}}) if "yaml" in layers else None,
        {"workers": 4} if "flag" in layers else {},
        {"ATTNWATCH_WORKERS": "3"} if "env" in layers else {},
    )
    assert settings.watcher.workers == expected


def test_layers_are_merged_setting_by_setting(tmp_path):
    settings = loaded(
        file(tmp_path, {"attention_analysis": {"visualization_params": {"quality": "high", "colormap": "cool"}}}),
        {"overlay_alpha": 0.5},
        {"ATTNWATCH_COLORMAP": "gray"},
    )
    got = effective(settings, {"static_duration": 1.5, "quality": "fast"})
    assert (got.quality, got.colormap, got.overlay_alpha, got.static_duration) == ("high", "gray", 0.5, 1.5)


@pytest.mark.parametrize("block", ATTENTION_BLOCKS)
def test_both_names_of_the_attention_block_are_accepted(tmp_path, block):
    config = file(tmp_path, {block: {"auto_generate_per_video": False, "visualization_params": {"quality": "fast"}}})
    got = effective(loaded(config))
    assert (got.auto_generate_per_video, got.quality) == (False, "fast")


def test_both_names_of_the_attention_block_together_are_refused(tmp_path):
    config = file(tmp_path, {name: {} for name in ATTENTION_BLOCKS})
    assert "found both attention_analysis and attention_analysis_settings" in refused(config)


def test_settings_of_the_generator_are_ignored(tmp_path):
    config = file(
        tmp_path,
        {
            "model": {"id": "tiny", "anything": [1]},
            "video": {"steps": "many"},
            "template": "a (kiss)",
            "batch_name": "demo",
            "output": "outputs",
            "attention_analysis": dict.fromkeys(GENERATOR_ATTENTION_KEYS, "anything"),
        },
    )
    assert effective(loaded(config)) == Visualization()


@pytest.mark.parametrize("content", ["", "# nothing\n", "watcher:\n", "attention_analysis:\n  visualization_params:\n"])
def test_empty_files_and_blocks_set_nothing(tmp_path, content):
    assert loaded(file(tmp_path, content)) == Settings(watcher=Watcher())


def test_null_means_absent(tmp_path):
    config = file(tmp_path, {"watcher": {"workers": None}, **params(colormap=None, quality="high")})
    settings = loaded(config, environment={"ATTNWATCH_QUALITY": "null"})
    assert settings.watcher == Watcher()
    got = effective(settings, {"colormap": "bone", "overlay_alpha": None})
    assert (got.colormap, got.quality, got.overlay_alpha) == ("bone", "high", 0.8)


def test_null_overrides_the_batch_if_it_is_a_valid_value():
    settings = loaded(flags={"interpolation_steps": None})
    assert effective(settings, {"interpolation_steps": 4}).interpolation_steps is None


@pytest.mark.parametrize("source", ["file", "environment", "flag"])
def test_null_lifts_the_memory_limit(tmp_path, source):
    config = file(tmp_path, {"watcher": {"memory_limit": None}}) if source == "file" else None
    environment = {"ATTNWATCH_MEMORY_LIMIT": "null"} if source == "environment" else {}
    flags = {"memory_limit": None} if source == "flag" else {}
    assert loaded(config, environment=environment, flags=flags).watcher.memory_limit is None


@pytest.mark.parametrize(
    ("content", "place", "hint"),
    [
        ({"wacher": {}}, "'wacher'", "'watcher'"),
        ({"watcher": {"worker": 2}}, "watcher.worker:", "'workers'"),
        ({"watcher": {"colormap": "hot"}}, "watcher.colormap:", "known: "),
        (params(colourmap="hot"), "attention_analysis.visualization_params.colourmap:", "'colormap'"),
        ({"attention_analysis": {"store_atention": True}}, "attention_analysis.store_atention:", "'store_attention'"),
        (
            {"attention_analysis": {"visualization_param": {}}},
            "attention_analysis.visualization_param:",
            "'visualization_params'",
        ),
        (
            {"attention_analysis_settings": {"visualization_params": {"overlay_alhpa": 1}}},
            "attention_analysis_settings.visualization_params.overlay_alhpa:",
            "'overlay_alpha'",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(tmp_path, content, place, hint):
    config = file(tmp_path, content)
    message = refused(config)
    assert message.startswith(f"{config}: ")
    assert place in message
    assert hint in message


@pytest.mark.parametrize(
    ("content", "place", "hint"),
    [
        (
            {"attention_analysis": {"colormap": "hot"}},
            "attention_analysis.colormap:",
            "attention_analysis.visualization_params",
        ),
        (
            params(auto_generate_videos=True),
            "visualization_params.auto_generate_videos:",
            "expected in attention_analysis;",
        ),
    ],
)
def test_a_setting_on_the_wrong_level_is_refused_with_the_right_level(tmp_path, content, place, hint):
    message = refused(file(tmp_path, content))
    assert place in message
    assert hint in message


def test_an_unknown_flag_is_refused_with_a_suggestion():
    message = refused(flags={"colour_map": "hot"})
    assert "colour_map" in message
    assert "'colormap'" in message


def test_an_environment_variable_with_a_typo_is_refused():
    message = refused(environment={"ATTNWATCH_COLOURMAP": "hot"})
    assert "ATTNWATCH_COLOURMAP" in message
    assert "ATTNWATCH_COLORMAP" in message


def test_everything_that_is_wrong_is_reported_together(tmp_path):
    config = file(tmp_path, {"watcher": {"nice": 20}, **params(threshold=7, fps=0)})
    message = refused(config, {"figsize": True, "workers": 0}, {"ATTNWATCH_QUALITY": "best"})
    found = [line.partition(": found")[0].rpartition(" ")[2].rpartition(".")[2] for line in message.splitlines()]
    assert found == ["nice", "threshold", "fps", "ATTNWATCH_QUALITY", "--workers", "figsize"]


def test_other_environment_variables_are_ignored():
    assert loaded(environment={"ATTNWATCH_HOME": "/x", "COLORMAP": "x", "PATH": ""}).visualization == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", 0),
        ("workers", "many"),
        ("workers", 1.5),
        ("workers", True),
        ("rescan_interval", 0),
        ("rescan_interval", [60]),
        ("max_attempts", 0),
        ("retry_backoff", -1),
        ("retry_backoff", float("nan")),
        ("colormap", 5),
        ("overlay_alpha", 1.1),
        ("overlay_alpha", True),
        ("overlay_alpha", float("nan")),
        ("static_duration", 0),
        ("interpolation_steps", -1),
        ("interpolation_steps", "smooth"),
        ("quality", "best"),
        ("visualization_timeout", 0),
        ("visualization_timeout", float("inf")),
        ("generate_overlay", "perhaps"),
        ("generate_overlay", 2),
    ],
)
def test_an_invalid_value_is_refused_in_every_source(tmp_path, name, value):
    own = name in Watcher.model_fields
    config = file(tmp_path, {"watcher": {name: value}} if own else params(**{name: value}))
    about = (Watcher if own else Visualization).model_fields[name].description
    places = {
        f"{config}: {'watcher' if own else 'attention_analysis.visualization_params'}.{name}": refused(config),
        f"environment variable ATTNWATCH_{name.upper()}": refused(environment=variable(name, value)),
        "--workers" if name == "workers" else f"--set {name}": refused(flags={name: value}),
    }
    for place, message in places.items():
        assert f"{place}: found {value!r}" in message
        assert about in message


def variable(name, value):
    return {f"{ENVIRONMENT_PREFIX}{name.upper()}": yaml.safe_dump(value).removesuffix("...\n").strip()}


@pytest.mark.parametrize("content", ["[1, 2]", "text", "5", "watcher: 5", "attention_analysis: [hot]"])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path, content):
    config = file(tmp_path, content)
    message = refused(config)
    assert str(config) in message
    assert "expected a mapping" in message


@pytest.mark.parametrize("content", ["a: [", "a: b: c", "\t", "!!python/object:os.system {}"])
def test_invalid_yaml_is_refused_and_the_file_named(tmp_path, content):
    config = file(tmp_path, content)
    assert refused(config).startswith(f"{config}: cannot be read as YAML")


@pytest.mark.parametrize(
    ("content", "key", "lines"),
    [
        ("watcher:\n  workers: 2\nvideo: {}\nwatcher:\n  nice: 3\n", "watcher", "1 and 4"),
        ("watcher:\n  nice: 2\n  workers: 2\n  nice: 3\n", "nice", "2 and 4"),
    ],
)
def test_a_key_that_occurs_twice_is_refused_with_both_lines(tmp_path, content, key, lines):
    message = refused(file(tmp_path, content))
    assert f"found the key {key!r} in lines {lines}; expected it once" in message


def test_a_file_written_on_windows_may_begin_with_a_byte_order_mark(tmp_path):
    assert load_settings(file(tmp_path, "\ufeffwatcher:\n  workers: 3\n"), {}, {}).watcher.workers == 3


def test_a_missing_file_is_refused(tmp_path):
    assert "found no file" in refused(tmp_path / "nothing.yaml")


def test_unknown_settings_of_a_batch_are_noted():
    settings, notes = Settings().for_batch({"glitter": 3, "colormap": "bone"}, WHERE)
    assert settings.colormap == "bone"
    (note,) = notes
    assert "'glitter'" in note


def test_unknown_settings_of_a_batch_are_noted_together_and_briefly():
    _, notes = Settings().for_batch({f"{number}{'x' * 500}": 0 for number in range(100_000)}, WHERE)
    (note,) = notes
    assert note.endswith(" and 99,995 more; they are ignored")
    assert len(note) < 2_000


@pytest.mark.parametrize(("asked", "used"), [(86_400, 120), ("86400", 120), (120, 120), (5, 5)])
def test_a_batch_can_lower_a_limit_but_not_raise_it(asked, used):
    settings, notes = Settings().for_batch({"visualization_timeout": asked}, WHERE)
    assert settings.visualization_timeout == used
    assert len(notes) == (used == 120 and float(asked) > 120)
    assert all("86400; 120 is used" in note for note in notes)


def test_the_watchers_own_configuration_raises_a_limit():
    settings, notes = loaded(flags={"visualization_timeout": 600}).for_batch({"visualization_timeout": 7_200}, WHERE)
    assert (settings.visualization_timeout, notes) == (600, ())


def test_an_endless_list_of_steps_is_refused():
    with pytest.raises(ConfigError, match="at most 10,000") as caught:
        Settings().for_batch({"steps": [0] * 500_000}, WHERE)
    assert len(str(caught.value)) < 1_000


def test_a_batch_cannot_change_settings_of_the_watcher():
    _, notes = Settings().for_batch({"workers": 100}, WHERE)
    assert "'workers'" in notes[0]


def test_an_invalid_value_of_a_batch_is_refused_with_its_name_and_file():
    with pytest.raises(ConfigError, match=r"/x/v\.complete\.json: visualization\.overlay_alpha: found 7") as caught:
        Settings().for_batch({"overlay_alpha": 7}, WHERE)
    assert "expected a number from 0 to 1" in str(caught.value)


def test_values_that_conflict_with_those_of_the_watcher_are_refused():
    with pytest.raises(ConfigError, match=r"/x/v\.complete\.json: .*vmin and vmax in ascending order"):
        loaded(flags={"vmax": 0.1}).for_batch({"vmin": 0.5}, WHERE)


def test_an_invalid_value_of_a_batch_is_ignored_if_the_watcher_overrides_it():
    settings, _ = loaded(flags={"overlay_alpha": 0.5}).for_batch({"overlay_alpha": 7}, WHERE)
    assert settings.overlay_alpha == 0.5
    with pytest.raises(ConfigError, match="overlay_alpha"):
        loaded().for_batch({"overlay_alpha": 7}, WHERE)


def test_every_setting_is_described():
    for model in (Watcher, Visualization):
        assert all(field.description for field in model.model_fields.values())


def test_the_names_of_settings_that_do_not_affect_pictures_exist():
    assert set(Visualization.model_fields) >= NOT_IN_PICTURES


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("viridiss", "; did you mean 'viridis', 'viridis_r' or 'cividis'?"),
        ("qqqq", "; see matplotlib's list of colormaps"),
    ],
)
def test_an_unknown_colormap_is_refused_with_the_nearest_names(name, hint):
    assert hint in refused(flags={"colormap": name})
