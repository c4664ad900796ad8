"""The committed schemas are up to date, and accept the same documents as the reader."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema.validators import extend
from pydantic import ValidationError

from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.names import MAX_ID_BYTES, MAX_SLUG_BYTES
from attnwatch.contract.schemas import DOCUMENTS, json_schema
from attnwatch.errors import ManifestError
from tests.support import Batch

SCHEMAS = Path(__file__).parents[2] / "configs" / "schema"

bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_committed_schema_is_up_to_date(name):
    committed = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert committed == json_schema(name), "run `make schema`"


def test_there_is_exactly_one_schema_per_document():
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{name}.schema.json" for name in DOCUMENTS}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_schemas_are_valid_draft_2020_12(name):
    schema = json_schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_a_schema_accepts_fields_of_later_minor_versions():
    for name in DOCUMENTS:
        assert '"additionalProperties": false' not in json.dumps(json_schema(name))


def _matches(validator, pattern, instance, schema):
    """Match as in ECMA-262, which JSON Schema prescribes: `$` matches only at the end of the text."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


# JSON Schema accepts 1.0 as an integer, but the reader does not. It is the only difference in types: the test below
# states it, and the comparisons exclude it.
_TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_Validator = extend(jsonschema.Draft202012Validator, {"pattern": _matches}, type_checker=_TYPES)
SCHEMA = {name: _Validator(json_schema(name)) for name in DOCUMENTS}


def test_the_schema_accepts_1_0_as_an_integer_but_the_reader_does_not():
    document = {"format": "attnwatch/1", "video": "v", "attention": [], "generation": {"steps": 4.0}}
    assert jsonschema.Draft202012Validator(json_schema("manifest")).is_valid(document)
    with pytest.raises(ValidationError):
        DOCUMENTS["manifest"].model_validate_json(json.dumps(document))


TOKEN = {"slug": "kiss", "text": "kiss", "span": [2, 6], "positions": [1], "ids": [7], "slot": 1}
VALID = {
    "batch": {
        "format": "attnwatch/1",
        "batch": "demo_20260102_030405",
        "created": "2026-01-02T03:04:05+01:00",
        "template": "a (kiss)",
        "variations": [{"prompt_id": "prompt_001", "prompt": "a kiss", "tokens": [TOKEN], "choices": ["two men"]}],
        "videos": [{"video_id": "a", "prompt_id": "prompt_001", "seed": 42, "manifest": "videos/v.complete.json"}],
        "settings": {"video": {"steps": 4}},
        "visualization": {"colormap": "hot"},
    },
    "batch-complete": {
        "format": "attnwatch/1",
        "status": "interrupted",
        "finished": "2026-01-02T03:04:05+01:00",
        "counts": {"expected": 2, "complete": 1, "failed": 1},
    },
    "failure": {
        "format": "attnwatch/1",
        "video_id": "a",
        "seed": 42,
        "attempts": [{"at": "2026-01-02T03:04:05+01:00", "seconds": 0.5, "error": "PipelineError: out of memory"}],
        "traceback": "Traceback",
    },
    "receipt": {
        "format": "attnwatch/1",
        "video_id": "a",
        "manifest": "v.complete.json",
        "status": "rendered",
        "manifest_sha256": "0" * 64,
        "settings_sha256": "1" * 64,
        "settings": {"colormap": "hot"},
        "renderer": 1,
        "inputs": {"v.mp4": 7, "maps.safetensors": None},
        "outputs": [{"file": "a.mp4", "kind": "overlay", "token": "kiss", "bytes": 7, "scale": [0.0, 0.5]}],
        "notes": ["no overlay"],
        "attempts": [{"at": "2026-01-02T03:04:05+01:00", "seconds": 0.5, "error": None}],
        "next_attempt": None,
    },
}

values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2, 5, 121, 1000, 1001, 2**31 - 1, 2**31, 2**70]),
    st.sampled_from([0.5, -0.5, 1.5, 1e-9, 1e300]),
    st.sampled_from(
        ["", "a", "/abs", "..", "../x", "a/../b", "a/..", "a\n/..", "a\n", "\n", ".a", "a..b", "a/", "a/b"]
    ),
    st.sampled_from(["a\0b", "\x7f", "a" * 81, "a" * 120, "a" * 121, "é" * 41, "é" * 61, "0" * 64, "A" * 64, "0" * 63]),
    st.sampled_from(["attnwatch/1.5", "attnwatch/1\n", "attnwatch/2", "attnwatch/1.", "complete", "rendered", "KISS"]),
    st.text(max_size=8),
    st.sampled_from([[], {}, ["a"], [1, 2], [2, 1], [1, 2, 3], [[]], {"a": 1}, {"a": "b"}, [TOKEN, TOKEN], [None]]),
)


def _places(node, path=()):
    """Return the path of every value in a document."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, child in entries for place in [(*path, key), *_places(child, (*path, key))]]


def mutated(data, document):
    """Return the document with one to three of its values replaced, removed or added."""
    changed = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(changed)
        if not places:
            break
        *path, key = data.draw(st.sampled_from(places))
        parent = changed
        for part in path:
            parent = parent[part]
        action = data.draw(st.sampled_from(["replace"] * 6 + ["remove", "add"]))
        if action == "replace":
            parent[key] = copy.deepcopy(data.draw(values))
        elif action == "remove":
            del parent[key]
        elif isinstance(parent, dict):
            parent[data.draw(st.text(max_size=5))] = copy.deepcopy(data.draw(values))
    return changed


def accepts(name, document):
    try:
        DOCUMENTS[name].model_validate_json(json.dumps(document))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", VALID)
def test_the_schema_and_the_reader_accept_a_valid_document(name):
    assert SCHEMA[name].is_valid(VALID[name])
    assert accepts(name, VALID[name])


@pytest.mark.parametrize("name", VALID)
@bounded
@given(data=st.data())
def test_the_schema_and_the_reader_agree_on_changed_documents(name, data):
    document = mutated(data, VALID[name])
    assert SCHEMA[name].is_valid(document) == accepts(name, document)


PATHS = ["/abs", "..", "../x", "a/..", "a/../b", "a\n/../b", "a\0b", "", ".a", "..a", "a..", "a/..b/c", "a b/ü"]


def test_every_field_of_an_export_is_in_the_specification():
    text = (SCHEMAS.parents[1] / "FORMAT.md").read_text(encoding="utf-8")
    section = text.partition("## Exports: ")[2].partition("\n## ")[0]
    models = [json_schema("export"), *json_schema("export")["$defs"].values()]
    assert [name for model in models for name in model["properties"] if f"`{name}`" not in section] == []


@pytest.mark.parametrize("path", PATHS)
def test_the_schema_and_the_reader_agree_on_paths(path):
    manifest = {"format": "attnwatch/1", "video": "v", "attention": ["maps"]}
    batch = copy.deepcopy(VALID["batch"])
    batch["videos"][0]["manifest"] = path
    verdicts = {
        verdict
        for name, document in (
            ("manifest", {**manifest, "video": path}),
            ("manifest", {**manifest, "attention": ["maps", path]}),
            ("batch", batch),
        )
        for verdict in (SCHEMA[name].is_valid(document), accepts(name, document))
    }
    assert verdicts == {PATHS.index(path) > PATHS.index("")}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return Batch.make(tmp_path_factory.mktemp("schema")).add_full(words=("kiss", "dog"))


def beyond_the_schema(manifest, document):
    """Whether a document that the schema accepts violates a rule that a schema cannot express.

    These are sizes in bytes of UTF-8, unique slugs, nonempty spans, and the kinds of files on disk.
    """
    tokens = document.get("tokens", [])
    slugs = [token["slug"].casefold() for token in tokens]
    spans = [token["span"] for token in tokens if token.get("span")]
    paths = [manifest.parent / name for name in (document["video"], *document["attention"])]
    return (
        len((document.get("video_id") or "").encode()) > MAX_ID_BYTES
        or any(len(token["slug"].encode()) > MAX_SLUG_BYTES for token in tokens)
        or len(set(slugs)) < len(slugs)
        or any(start >= end for start, end in spans)
        or any(path.exists() and not path.is_file() for path in paths)
    )


@bounded
@given(data=st.data())
@example(data=None)
def test_the_schema_and_the_reader_agree_on_changed_manifests(manifest, data):
    document = json.loads(manifest.read_text(encoding="utf-8"))
    if data is not None:
        document = mutated(data, document)
    path = manifest.with_name("changed.complete.json")
    path.write_text(json.dumps(document), encoding="utf-8")
    expected = SCHEMA["manifest"].is_valid(document) and not beyond_the_schema(manifest, document)
    try:
        read_manifest(path)
    except ManifestError:
        assert not expected
    else:
        assert expected
