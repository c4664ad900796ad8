"""The watcher accepts what the generator writes. The programs share no code; these tests keep them consistent."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch import config as watcher_config
from attnwatch.batches.discover import find_manifests
from attnwatch.cli.check import check
from attnwatch.contract import documents
from attnwatch.contract import names as watcher_names
from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.schemas import json_schema
from attnwatch.settings import Visualization
from attnwatch.tensors.file import open_tensors
from attnwatch.tensors.reader import AttentionReader
from generator import cli as generator_cli
from generator import config as generator_config
from generator.errors import SettingsError
from generator.outputs import valid
from generator.prompts import tokens as generator_tokens
from generator.settings import AttentionSettings
from generator.settings.visualization import VisualizationParams, VisualizationSwitches
from tests.support import attnwatch, read_receipt

TEMPLATE = "a (kiss), a (Kiss) and a [(red rose)|(ÄÖ)]"
SMALL = ["--steps", "2", "--frames", "5", "--width", "32", "--height", "32", "--template", TEMPLATE]

PLAIN = {"attention_analysis": {"visualization_params": {"colormap": "viridis", "static_duration": 0.5}}}
EVERYTHING = {
    "attention_analysis": {
        "compress_attention": True,
        "store_per_block": True,
        "store_per_head": True,
        "storage_dtype": "float32",
        "storage_interval": 2,
        "spatial_downsample_factor": 2,
        "layers": [0, 3],
        "branch": "both",
        "store_reserved": True,
        "track": ["red"],
        "self_check": True,
    }
}
UNCONDITIONAL = {
    "attention_analysis": {"branch": "uncond", "store_aggregated_attention": False, "track_negative": ["blurry"]},
    "video": {"negative_prompt": "blurry, blurry dark"},
}


BATCHES = [(PLAIN, False), (EVERYTHING, False), (EVERYTHING, True), (UNCONDITIONAL, False)]


@pytest.fixture(scope="session", params=BATCHES, ids=["plain", "everything", "a file per step", "unconditional"])
def batch(request, tmp_path_factory):
    """A batch written by the generator, with all steps in one file or, as for large maps, in separate files."""
    content, is_large = request.param
    folder = tmp_path_factory.mktemp("generated")
    (folder / "settings.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    output = folder / "outputs"
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            patch.setattr("generator.outputs.store.MOST_IN_ONE_FILE", 0)
        arguments = ["--config", folder / "settings.yaml", "--output", output, "--batch-name", "x", *SMALL]
        assert generator_cli.main([str(argument) for argument in arguments]) == 0
    (batch,) = output.iterdir()
    return batch


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_generated_batch_passes_attnwatch_check(batch):
    documents = dict(check(batch))
    assert len(documents) == 4
    assert len(list(batch.rglob("*.mp4"))) == 2
    assert [problem for problems in documents.values() for problem in problems] == []


def test_every_generated_document_matches_its_schema(batch):
    jsonschema.validate(read(batch / "batch.json"), json_schema("batch"))
    jsonschema.validate(read(batch / "batch.complete.json"), json_schema("batch-complete"))
    for manifest in find_manifests(batch):
        jsonschema.validate(read(manifest), json_schema("manifest"))


def test_names_and_layout_of_a_generated_batch_follow_the_contract(batch):
    assert re.fullmatch(r"x_\d{8}_\d{6}", batch.name)
    assert read(batch / "batch.json")["batch"] == batch.name
    visible = {str(path.relative_to(batch)) for path in batch.rglob("*") if path.is_file() and path.name[0] != "."}
    for prompt in ("prompt_001", "prompt_002"):
        visible -= {f"videos/{prompt}/{name}" for name in ("prompt.txt", "video_001.mp4", "video_001.complete.json")}
    visible = {name for name in visible if "/attention_maps/vid001" not in name}
    assert visible == {"batch.json", "batch.complete.json"}


def test_every_planned_video_exists_under_its_planned_name(batch):
    for planned in read(batch / "batch.json")["videos"]:
        manifest = read_manifest(batch / planned["manifest"])
        assert manifest.video_id == planned["video_id"]
        assert manifest.document.generation.seed == planned["seed"]


def test_the_id_of_a_generated_video_equals_the_watchers_default_id(batch):
    for path in find_manifests(batch):
        assert read_manifest(path).video_id == watcher_names.default_video_id(path)


def test_generated_words_have_their_slugs_and_the_order_of_the_prompt(batch):
    for path, last in zip(find_manifests(batch), ("red_rose", "ÄÖ"), strict=True):
        with AttentionReader(read_manifest(path)) as attention:
            words = list(attention.words)
        if read(path)["tokens"]:
            assert (words[:2], words[-1]) == (["kiss", "Kiss_2"], last)
        else:
            assert words == ["uncond_blurry", "uncond_blurry_2"]


def test_the_span_of_each_generated_word_selects_its_text(batch):
    for path in find_manifests(batch):
        document = read_manifest(path).document
        for token in document.tokens:
            start, end = token.span
            assert document.generation.prompt[start:end] == token.text
        for token in document.negative_tokens:
            start, end = token.span
            assert document.generation.negative_prompt[start:end] == token.text == "blurry"


def test_the_stored_steps_match_the_manifest(batch):
    for path in find_manifests(batch):
        manifest = read_manifest(path)
        with AttentionReader(manifest) as attention:
            for word in attention.words.values():
                assert word.step_numbers == tuple(step.index for step in manifest.document.denoising)
                assert word.shape[0] == len(manifest.document.denoising)


def test_a_generated_manifest_lists_every_file_with_its_digest(batch):
    for path in find_manifests(batch):
        manifest = read_manifest(path)
        assert set(manifest.document.files) == set(manifest.inputs())


def test_the_requested_maps_are_stored(batch):
    """Covers half the grid, two of four layers, both branches, reserved tensors and an additional word together."""
    stored = read(batch / "batch.json")["settings"]["attention_analysis"]
    path = next(find_manifests(batch))
    manifest, tensors = read(path), {}
    for name in manifest["attention"]:
        for tensor in open_tensors(path.parent / name, lambda file: file.open("rb")):
            tensors.setdefault(tensor.name, tensor.shape)
    if stored["branch"] == "both":
        words = ["kiss", "Kiss_2", "red", "red_rose", "__padding__", "__eos__"]
        names = [*words, *(f"uncond{'/' if word.startswith('__') else '@'}{word}" for word in words)]
        assert set(tensors) == {f"{name}{kind}" for name in names for kind in ("", ".aggregated")}
        assert tensors["uncond@red"] == tensors["kiss"] == (1, 2, 4, 2, 2, 2)
        assert {step["branch"] for step in manifest["denoising"]} == {"both"}
        checked = manifest["generation"]["capture"]["self_check"]
        assert checked["max_abs_error"] < 1e-5
        assert checked["text"] == {"cond": "embeddings", "uncond": "embeddings"}
    elif stored["branch"] == "uncond":
        assert set(tensors) == {"uncond/blurry", "uncond/blurry_2"}
        assert manifest["tokens"] == []
        assert [step["branch"] for step in manifest["denoising"]] == ["uncond"] * 2


def test_large_maps_have_one_file_per_step(batch, request):
    one = ["attention_maps/vid001.safetensors"]
    several = ["attention_maps/vid001/step_000.safetensors.zst", "attention_maps/vid001/aggregated.safetensors.zst"]
    expected = {"everything": [f"{one[0]}.zst"], "a file per step": several}
    for path in find_manifests(batch):
        assert read(path)["attention"] == expected.get(request.node.callspec.id, one)


def test_a_generated_batch_is_rendered_completely(batch):
    done = attnwatch(batch, "--once")
    assert done.returncode == 0, done.stderr
    for manifest in find_manifests(batch):
        receipt = read_receipt(manifest)
        stores_means = read(batch / "batch.json")["settings"]["attention_analysis"]["store_aggregated_attention"]
        kinds = {"attention", "overlay", "static"} if stores_means else {"attention", "overlay"}
        words = [*read(manifest)["tokens"], *read(manifest).get("negative_tokens", ())]
        assert {output["kind"] for output in receipt["outputs"]} == kinds
        assert len(receipt["outputs"]) == len(kinds) * len(words)
        assert receipt["notes"] == []
        jsonschema.validate(receipt, json_schema("receipt"))


def test_the_visualization_settings_of_the_batch_reach_the_watcher(batch):
    asked = read(batch / "batch.json")["visualization"]
    for manifest in find_manifests(batch):
        assert read(manifest)["visualization"] == asked
        settings_, notes = watcher_config.Settings().for_batch(asked, manifest)
        assert notes == ()
        assert settings_.colormap == asked.get("colormap", "viridis")


bounded = settings(max_examples=200, deadline=None)


@bounded
@given(st.text(max_size=100) | st.text(st.characters(categories=["L", "N", "M", "P", "Z"]), max_size=200))
def test_both_programs_make_the_same_slug_from_any_text(text):
    assert generator_tokens.slug(text) == watcher_names.slug(text)


@bounded
@given(
    st.lists(
        st.sampled_from(["kiss", "Kiss", "kiss_2", "straße", "STRASSE", "a" * 90, "あ" * 40, ""]) | st.text(max_size=9),
        max_size=14,
    )
)
def test_both_programs_make_the_same_unique_slugs(texts):
    assert generator_tokens.unique_slugs(texts) == watcher_names.unique_slugs(texts)


def test_the_watcher_knows_the_generators_blocks_in_a_shared_file():
    own = {*generator_config.BLOCKS, *generator_config.TOP_LEVEL_KEYS} - {*generator_config.ATTENTION_BLOCKS}
    assert own == watcher_config.GENERATOR_BLOCKS


def test_both_programs_accept_the_same_names_of_the_attention_block():
    assert tuple(watcher_config.ATTENTION_BLOCKS) == tuple(generator_config.ATTENTION_BLOCKS)


def test_the_watcher_knows_all_attention_settings_of_the_generator():
    own = set(AttentionSettings.model_fields)
    assert own == watcher_config.GENERATOR_ATTENTION_KEYS


def test_the_generator_knows_every_visualization_setting():
    known = {*VisualizationSwitches.model_fields, *VisualizationParams.model_fields}
    assert known == set(Visualization.model_fields)


def test_both_programs_know_the_same_fields_of_generation():
    assert set(valid.Generation.model_fields) == set(documents.Generation.model_fields)


def accepted_by_watcher(path):
    try:
        watcher_config.load_settings(path, {}, {})
    except watcher_config.ConfigError:
        return False
    return True


def accepted_by_generator(path):
    try:
        generator_config.load_settings({}, {}, path)
    except SettingsError:
        return False
    return True


VALUES = {
    name: field.default
    for name, field in Visualization.model_fields.items()
    if field.default is not None or name == "interpolation_steps"
}
FILES = [
    {},
    {"watcher": {"workers": 2}},
    {"watchr": {}},
    {"model": {"id": "tiny"}, "video": {"steps": 2}, "template": "a (kiss)", "batch_name": "b", "output": "o"},
    {"templte": "a (kiss)"},
    *({block: PLAIN["attention_analysis"]} for block in watcher_config.ATTENTION_BLOCKS),
    {block: {} for block in watcher_config.ATTENTION_BLOCKS},
    {"attention_analysis": {"store_attention": True, "compress_attention": False}},
    {"attention_analysis": {"store_atention": True}},
    {"watcher": None, "model": None, "video": None, "attention_analysis": None, "template": None},
    {"attention_analysis": {"auto_generate_videos": None, "visualization_params": {"colormap": None, "steps": None}}},
    {"attention_analysis": {"visualization_params": {"colourmap": "hot"}}},
    {"attention_analysis": {"visualization_params": {"colormap": 5}}},
    {"attention_analysis": {"visualization_params": {"figsize": [12, "wide"]}}},
    {
        "attention_analysis": {
            "visualization_params": {"figsize": ["12", 8], "fps": "5", "steps": "0-9", "invert": "no"}
        }
    },
    {"attention_analysis": {"visualization_params": {"interpolation_steps": True}}},
    {"attention_analysis": {"auto_generate_videos": "perhaps"}},
    {"attention_analysis": {"layers": [0, 5], "branch": "both", "track": ["kiss"], "max_attention_bytes": "2 GiB"}},
    *({"attention_analysis": {"visualization_params": {name: value}}} for name, value in VALUES.items()),
    *({"attention_analysis": {name: value}} for name, value in VALUES.items()),
]


@pytest.mark.parametrize("content", FILES, ids=str)
def test_a_settings_file_is_accepted_by_both_programs_or_neither(tmp_path, content):
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert accepted_by_watcher(path) == accepted_by_generator(path)


def test_the_committed_configurations_are_accepted_by_both_programs():
    paths = {*(Path(__file__).parents[2] / "configs").glob("*.yaml")} - {
        *Path(__file__).parents[2].glob("configs/dask-*")
    }
    assert paths
    for path in paths:
        assert accepted_by_watcher(path)
        assert accepted_by_generator(path)
