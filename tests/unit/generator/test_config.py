from pathlib import Path

import pytest
import yaml

from generator.config import load_settings
from generator.errors import SettingsError
from generator.settings import AttentionSettings, ModelSettings, Sampling, Settings, VideoSettings

DEMO = Path(__file__).parents[3] / "configs" / "attention_visualization_demo.yaml"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "batch.yaml"
        path.write_text(text)
        return path

    return write


def refused(flags=None, environment=None, file=None):
    with pytest.raises(SettingsError) as caught:
        load_settings(flags or {}, environment or {}, file)
    return str(caught.value)


def test_without_any_source_all_settings_have_their_defaults():
    assert load_settings({}, {}, None) == Settings()


def test_flag_over_environment_over_file_over_default(written):
    file = written("video: {steps: 10, seed: 10, frames: 10}")
    environment = {"GENERATOR_STEPS": "20", "GENERATOR_SEED": "20"}
    video = load_settings({"steps": 30}, environment, file).video
    assert (video.steps, video.seed, video.frames, video.videos_per_variation) == (30, 20, 10, 1)


def test_every_setting_has_an_environment_variable():
    environment = {
        "GENERATOR_MODEL": "some/model",
        "GENERATOR_DEVICE": "cpu",
        "GENERATOR_GUIDANCE_SCALE": "3.5",
        "GENERATOR_STORE_PER_HEAD": "true",
        "GENERATOR_STORAGE_DTYPE": "float32",
        "GENERATOR_TEMPLATE": "a (dog)",
        "GENERATOR_BATCH_NAME": "dogs",
        "GENERATOR_OUTPUT": "elsewhere",
    }
    settings = load_settings({}, environment, None)
    assert settings.model == ModelSettings(id="some/model", device="cpu")
    assert settings.video.guidance_scale == 3.5
    assert settings.attention_analysis == AttentionSettings(store_per_head=True, storage_dtype="float32")
    assert (settings.template, settings.batch_name, settings.output) == ("a (dog)", "dogs", "elsewhere")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("layers", "0, 14,29", (0, 14, 29)),
        ("track", "kiss,two men", ("kiss", "two men")),
        ("max_attention_bytes", "2GiB", 2 * 2**30),
        ("max_attention_bytes", "500 MB", 500_000_000),
    ],
)
def test_lists_and_sizes_can_be_written_as_text(name, text, value):
    for settings in (
        load_settings({name: text}, {}, None),
        load_settings({}, {f"GENERATOR_{name.upper()}": text}, None),
    ):
        assert getattr(settings.attention_analysis, name) == value


def test_the_demo_configuration_is_valid_and_holds_the_defaults():
    settings = load_settings({}, {}, DEMO)
    assert settings.model == ModelSettings()
    assert settings.video == VideoSettings()
    assert settings.attention_analysis == AttentionSettings()
    assert settings.visualization["colormap"] == "viridis"


def test_the_demo_configuration_shows_every_setting():
    shown = yaml.safe_load(DEMO.read_text())
    assert set(shown["model"]) == set(ModelSettings.model_fields)
    assert set(shown["video"]) == set(VideoSettings.model_fields)
    assert set(AttentionSettings.model_fields) < set(shown["attention_analysis"])


def test_the_older_name_of_the_attention_block_is_accepted(written):
    file = written("attention_analysis_settings: {storage_interval: 5}")
    assert load_settings({}, {}, file).attention_analysis.storage_interval == 5


def test_both_names_of_the_attention_block_at_once_are_refused(written):
    message = refused(file=written("attention_analysis: {}\nattention_analysis_settings: {}"))
    assert "found both" in message


@pytest.mark.parametrize(
    ("block", "asked"),
    [
        ("{auto_generate_videos: true}", {"auto_generate_videos": True, "auto_generate_per_video": False}),
        (
            "{auto_generate_videos: true, auto_generate_per_video: true}",
            {"auto_generate_videos": True, "auto_generate_per_video": True},
        ),
        ("{auto_generate_videos: false}", {"auto_generate_videos": False}),
        ("{auto_generate_per_video: true}", {"auto_generate_per_video": True}),
        ("{store_aggregated_attention: false}", {"generate_aggregated": False}),
        ("{store_aggregated_attention: true}", {}),
        ("{store_attention: false}", {}),
        ("{store_attention: false, store_aggregated_attention: false}", {}),
        (
            "{store_aggregated_attention: false, visualization_params: {generate_aggregated: true}}",
            {"generate_aggregated": True},
        ),
    ],
)
def test_a_file_asks_for_what_it_meant_to_the_older_program(written, block, asked):
    assert load_settings({}, {}, written(f"attention_analysis: {block}")).visualization == asked


def test_a_flag_that_stores_no_mean_asks_for_no_static_video():
    settings = load_settings({"store_aggregated_attention": False}, {}, None)
    assert settings.visualization == {"generate_aggregated": False}


def test_settings_of_the_watcher_are_passed_on_unchanged(written):
    file = written("""
        attention_analysis:
          auto_generate_per_video: false
          visualization_params: {figsize: [12, 8], colormap: nonsense, fps: -5, vmin: null}
        watcher: {anything: goes}
        """)
    assert load_settings({}, {}, file).visualization == {
        "auto_generate_per_video": False,
        "figsize": [12, 8],
        "colormap": "nonsense",
        "fps": -5,
        "vmin": None,
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("video: {step: 5}", "video.step: unknown setting. Did you mean `steps`?"),
        ("vidoe: {steps: 5}", "vidoe: unknown setting. Did you mean `video`?"),
        ("model: {xyzzy: 1}", "model.xyzzy: unknown setting. Known: attention_backend, compile, device,"),
        (
            "attention_analysis: {store_atention: true}",
            "attention_analysis.store_atention: unknown setting. Did you mean `store_attention`?",
        ),
        (
            "attention_analysis_settings: {visualization_params: {colourmap: hot}}",
            "visualization_params.colourmap: unknown setting. Did you mean `colormap`?",
        ),
        ("attention_analysis: {stepz: 1}", "unknown setting"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(written, text, complaint):
    file = written(text)
    message = refused(file=file)
    assert message.startswith(f"{file}: ")
    assert complaint in message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("video: {steps: many}", "video.steps: found 'many'; expected a valid integer"),
        ("video: {steps: true}", "video.steps: found True; expected a number"),
        ("video: {steps: 0}", "video.steps: found 0; expected greater than or equal to 1"),
        ("video: {fps: .nan}", "video.fps: found nan; expected a finite number"),
        ("video: {seed: -1}", "video.seed: found -1; expected greater than or equal to 0"),
        ("model: {dtype: int8}", "model.dtype: found 'int8'; expected 'auto', 'float32', 'bfloat16' or 'float16'"),
        ("attention_analysis: {store_attention: 7}", "attention_analysis.store_attention: found 7; expected"),
        ("batch_name: a/b", "batch_name: found 'a/b'; expected a name"),
        ("batch_name: .hidden", "batch_name: found '.hidden'; expected a name"),
        ("video: 5", "video: found 5; expected `key: value` lines"),
        ("- a list", "the file: found ['a list']; expected `key: value` lines"),
        ("attention_analysis: {visualization_params: hot}", "visualization_params: found 'hot'; expected"),
        (
            "attention_analysis: {visualization_params: {colormap: 5}}",
            "attention_analysis.visualization_params.colormap: found 5; expected a name",
        ),
        ("attention_analysis: {auto_generate_videos: maybe}", "auto_generate_videos: found 'maybe'; expected true"),
        ("attention_analysis: {visualization_params: {figsize: 12}}", "figsize: found 12; expected two numbers"),
        ("attention_analysis: {visualization_params: {fps: true}}", "fps: found True; expected a number"),
        ("attention_analysis: {layers: [0, -1]}", "attention_analysis.layers: found -1; expected greater than"),
        ("attention_analysis: {layers: []}", "attention_analysis.layers: found []"),
        ("attention_analysis: {branch: all}", "branch: found 'all'; expected 'cond', 'uncond' or 'both'"),
        ("attention_analysis: {max_attention_bytes: 5 XB}", "max_attention_bytes: found '5 XB'"),
        ("attention_analysis: {max_attention_bytes: true}", "max_attention_bytes: found True; expected a number"),
        ("attention_analysis: {track: [kiss, ' ']}", "attention_analysis.track: found ' '"),
    ],
)
def test_a_wrong_value_is_refused_with_its_location(written, text, complaint):
    file = written(text)
    message = refused(file=file)
    assert message.startswith(f"{file}: ")
    assert complaint in message


def test_the_source_of_a_wrong_value_is_named():
    assert refused(environment={"GENERATOR_STEPS": "x"}).startswith("environment variable GENERATOR_STEPS: found 'x'")
    assert refused(flags={"batch_name": "a/b"}).startswith("--batch-name: found 'a/b'")


def test_a_typo_in_an_environment_variable_is_refused_and_an_unrelated_one_is_ignored():
    assert "Did you mean `GENERATOR_STEPS`?" in refused(environment={"GENERATOR_STEP": "5"})
    assert load_settings({}, {"GENERATOR_HOME_OF_ANOTHER_PROGRAM": "x"}, None) == Settings()


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("blocks", "blocks"), ("false", False), ("null", False)],
)
def test_compilation_is_switched_on_for_whole_networks_or_for_blocks(written, text, value):
    assert load_settings({}, {}, written(f"model: {{compile: {text}}}")).model.compile == value
    if text != "null":
        assert load_settings({"compile": text}, {}, None).model.compile == value
        assert load_settings({}, {"GENERATOR_COMPILE": text}, None).model.compile == value


def test_another_kind_of_compilation_is_refused():
    with pytest.raises(SettingsError, match="--compile: found 'layers'; expected true, false or `blocks`"):
        load_settings({"compile": "layers"}, {}, None)


def test_null_counts_as_absent(written):
    settings = load_settings({}, {}, written("video: {steps: null, seed: null}\ntemplate: null\nmodel:\n"))
    assert settings == Settings()
    assert settings.video.model_fields_set == set()


def test_an_unreadable_file_is_named(tmp_path, written):
    assert "No such file" in refused(file=tmp_path / "absent.yaml")
    assert "is not YAML" in refused(file=written("a: [b"))


@pytest.mark.parametrize(
    ("content", "key", "lines"),
    [
        ("video:\n  steps: 2\ntemplate: a\nvideo:\n  seed: 3\n", "video", "1 and 4"),
        ("video:\n  seed: 2\n  steps: 2\n  seed: 3\n", "seed", "2 and 4"),
    ],
)
def test_a_key_that_occurs_twice_is_refused_with_both_lines(written, content, key, lines):
    assert f"found the key {key!r} twice, in lines {lines}; expected it once" in refused(file=written(content))


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ("template: [a|b] x", 'template: "[a|b] x"'),
        ("template: {a|b} x", 'template: "{a|b} x"'),
        ("template: *x", 'template: "*x"'),
        ("template: a: b", 'template: "a: b"'),
    ],
)
def test_a_text_that_yaml_takes_for_syntax_is_shown_in_quotes(written, line, quoted):
    message = refused(file=written(f"batch_name: demo\n{line}\n"))
    assert f"line 2, {line!r}" in message
    assert f"Put the value in quotes: {quoted}" in message


def test_a_tab_is_named_as_such(written):
    assert "line 2, 'steps: 2': found character '\\t'" in refused(file=written("video:\n\tsteps: 2\n"))


@pytest.mark.parametrize(
    "content", ["template: [a|b]", "video:\n  negative_prompt: no", "template: 5", "batch_name: 2024-01-01"]
)
def test_a_value_that_yaml_does_not_take_for_text_is_to_be_quoted(written, content):
    assert "expected text. Put it in quotes" in refused(file=written(content))


def test_a_number_in_place_of_a_list_is_shown_as_a_list(written):
    assert "found 3; expected a list such as [3]" in refused(file=written("attention_analysis:\n  layers: 3"))


def test_null_is_replaced_with_the_models_recommendation():
    recommended = Sampling(832, 480, 81, 16.0, 50, 5.0)
    video = VideoSettings(steps=7, guidance_scale=0.0, negative_prompt="blurry").over(recommended)
    assert video.sampling() == Sampling(832, 480, 81, 16.0, 7, 0.0, "blurry")
