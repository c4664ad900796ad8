"""Calls `attnwatch measure`."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from attnwatch.jobs import measures
from tests.legacy_support import LAYOUTS, OldBatch
from tests.support import GRID, Batch, blob_maps, called, write_tensors


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Batch.make(tmp_path / "outputs")


def records(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_batch_that_was_never_rendered_is_one_table_on_stdout(batch, capsys):
    batch.add_full(1, words=("kiss", "dog"))
    batch.add_full(2, words=("kiss", "dog"), generation={"seed": 7, "choices": ["two men", "a"], "fps": 16})

    code, out, err = called(capsys, "measure", "demo")

    assert (code, err) == (0, "")
    found = records(out)
    assert [(row["video_id"], row["word"]) for row in found] == [
        (f"prompt_001_vid00{number}", word) for number in (1, 2) for word in ("kiss", "dog")
    ]
    assert {row["batch"] for row in found} == {batch.folder.name}
    assert [row["seed"] for row in found] == ["42", "42", "7", "7"]
    assert [row["choice_1"] for row in found] == ["", "", "two men", "two men"]
    assert float(found[0]["mass"]) == pytest.approx(blob_maps().mean(dtype=np.float64), rel=1e-6)
    assert found[0]["cosine_dog"] == "1.0"
    assert not (batch.prompt() / "attention_videos").exists()


def test_words_level_and_file_are_as_asked(batch, capsys):
    batch.add_full(1, words=("kiss", "dog"))
    batch.add_full(2, words=("kiss",))

    code, out, err = called(capsys, "measure", "demo", "--words", "dog", "--level", "step", "-o", "steps.json")

    assert (code, out) == (0, "")
    assert "dog: tracked in 1 of 2 measured videos" in err
    found = json.loads((batch.folder.parents[1] / "steps.json").read_text())
    assert [(row["word"], row["step"], row["timestep"]) for row in found] == [("dog", 0, 999.0), ("dog", 1, 499.0)]


def test_a_parquet_file_is_known_by_its_suffix(batch, capsys):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    batch.add_full()

    assert called(capsys, "measure", "demo", "--level", "frame", "-o", "demo.parquet")[0] == 0

    assert pandas.read_parquet("demo.parquet").frame.tolist() == list(range(GRID[0]))


def test_a_video_that_cannot_be_measured_is_named_and_the_others_are_in_the_table(batch, capsys):
    batch.add_full(1)
    broken, mean = batch.add(2), batch.add(3, tensors={"kiss.aggregated": blob_maps()[0, 0, 0]})
    next(broken.parent.glob("attention_maps/vid002*")).write_bytes(b"broken")

    code, out, err = called(capsys, "measure", "demo", "--level", "step")

    assert code == 1
    assert {row["video_id"] for row in records(out)} == {"prompt_001_vid001"}
    said = " ".join(err.split())
    assert "prompt_001_vid002: not measured: " in said
    assert "prompt_001_vid003: not measured: found only the mean of all denoising steps; expected each step" in said
    assert "2 of 3 videos not measured" in said
    batch.add(4, tensors={"kiss.aggregated": blob_maps()[0, 0, 0]})
    err = called(capsys, "measure", "demo", "--level", "step")[2]
    assert "prompt_001_vid003 and 1 more: not measured: found only the mean of all denoising steps" in err
    assert mean.exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_older_batches_are_measured_without_manifests(tmp_path, capsys, layout):
    old = OldBatch(tmp_path / "old", layout)
    old.add(1)

    code, out, _ = called(capsys, "measure", old.folder)

    assert code == 0
    assert [row["video_id"] for row in records(out)] == [old.video_id(1)]
    assert float(records(out)[0]["mass"]) > 0


def test_what_the_watcher_has_measured_is_not_measured_again(batch, capsys, monkeypatch):
    manifest = batch.add_full()
    assert called(capsys, "render", manifest)[0] == 0
    monkeypatch.setattr(measures, "measures_of", None)
    next(manifest.parent.glob("attention_maps/*")).unlink()  # a user may make room

    code, out, _ = called(capsys, "measure", "demo")

    assert code == 0
    assert records(out)[0]["settled"] == "0"


def test_a_video_that_was_never_rendered_has_the_step_of_its_final_form_too(batch, capsys):
    batch.add_full()

    assert records(called(capsys, "measure", "demo")[1])[0]["settled"] == "0"


def test_what_was_measured_elsewhere_is_not_measured_again(batch, capsys, monkeypatch, tmp_path):
    batch.add_full()
    assert called(capsys, "render", "outputs", "--out", "elsewhere")[0] == 0
    rendered = called(capsys, "measure", "demo")[1]
    monkeypatch.setattr(measures, "measures_of", None)

    assert called(capsys, "measure", "demo", "--rendered-in", "elsewhere") == (0, rendered, "")

    code, _, err = called(capsys, "measure", "demo", "--rendered-in", "nowhere")
    assert code == 2
    assert "--rendered-in: found no folder nowhere; expected that of the outputs" in " ".join(err.split())


def test_what_was_measured_for_the_collection_is_not_measured_again(batch, capsys, monkeypatch):
    batch.add_full()
    assert called(capsys, "collect", "demo")[0] == 0
    assert not (batch.prompt() / "attention_videos").exists()
    monkeypatch.setattr(measures, "measures_of", None)

    code, out, _ = called(capsys, "measure", "demo")

    assert (code, len(records(out))) == (0, 1)


def test_heads_that_were_too_many_to_measure_while_rendering_are_measured(batch, capsys, monkeypatch):
    manifest = batch.add_full()
    write_tensors(next(manifest.parent.glob("attention_maps/*")), {"kiss": blob_maps(layers=2, heads=2)})
    monkeypatch.setattr(measures, "_MOST_VALUES", 1)
    batch.add(2, tensors={"kiss": blob_maps(layers=2, heads=2)})
    second = batch.prompt() / "video_002.complete.json"
    assert called(capsys, "render", second)[0] == 0

    _, out, _ = called(capsys, "measure", second, "--level", "head")

    assert [(row["layer"], row["head"]) for row in records(out)] == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: found no batch; expected at least one; for example: attnwatch measure demo -o demo.csv"),
        (["nowhere"], "error: found nothing at nowhere"),
        (["outputs"], "error: found no finished video at outputs; expected a video"),
        (["outputs", "-o", "table.xlsx"], "error: found table.xlsx; expected a name that ends in .csv, .json or"),
        (["outputs", "-o", "none/table.csv"], "error: found no folder none for table.csv; expected an"),
        (["outputs", "-o", "batch.json"], "error: found batch.json, a name of attnwatch's own documents;"),
        (["outputs", "-o", "a.measures.json"], "error: found a.measures.json, a name of attnwatch's own"),
        (["outputs", "--format", "parquet"], "error: --format: found parquet without a file; expected one;"),
        (["outputs", "--set", "nonfinite=maybe"], "nonfinite"),
    ],
)
def test_wrong_usage_is_refused(batch, capsys, arguments, said):
    code, out, err = called(capsys, "measure", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_with_a_format_a_new_file_may_have_any_name_but_no_video_is_replaced(batch, capsys):
    video = batch.add_full().with_name("video_001.mp4")
    before = video.read_bytes()

    code, _, err = called(capsys, "measure", "demo", "--format", "csv", "-o", video)
    assert code == 2
    assert "found video_001.mp4; expected a name that ends in .csv, .json or .parquet" in " ".join(err.split())
    assert video.read_bytes() == before
    assert called(capsys, "measure", "demo", "--format", "csv", "-o", "table.txt")[0] == 0
    assert Path("table.txt").read_text().startswith("batch,")


def test_a_word_that_no_video_has_is_refused_with_the_nearest_ones(batch, capsys):
    batch.add_full()
    code, out, err = called(capsys, "measure", "demo", "--words", "kis")
    assert (code, out) == (2, "")
    assert "found no video with the word 'kis'; expected a tracked word, nearest: kiss" in " ".join(err.split())


@pytest.mark.parametrize(("level", "label"), [("head", "focus"), ("video", "overlap")])
def test_a_figure_shows_the_table_which_then_is_not_printed(batch, capsys, level, label):
    batch.add(1, tensors={word: blob_maps(layers=2, heads=2) for word in ("kiss", "dog")}, source=False)

    code, out, err = called(capsys, "measure", "demo", "--level", level, "--figure", "figure.svg")

    assert (code, out) == (0, "")
    assert "figure.svg" in err
    assert label in (batch.folder.parents[1] / "figure.svg").read_text(encoding="utf-8")


def test_a_level_without_a_figure_is_refused(batch, capsys):
    batch.add(1, source=False)
    code, _, err = called(capsys, "measure", "demo", "--level", "frame", "--figure", "figure.svg")
    assert code == 2
    assert "--figure: found level frame; expected video or head;" in " ".join(err.split())
