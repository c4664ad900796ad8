import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from attnwatch.analysis.spatial import spatial
from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.reading import most_values_in
from attnwatch.contract.receipts import Place
from attnwatch.contract.schemas import json_schema
from attnwatch.jobs import measures
from attnwatch.jobs.measures import measures_at, measures_of, read_measures, write_measures
from attnwatch.settings import Visualization
from tests.support import Batch, blob_maps, write_manifest, write_tensors

NAME = "prompt_001_vid001.measures.json"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return Batch.make(tmp_path).add_full(words=("kiss", "star"))


def place_of(manifest: Path) -> Place:
    read = read_manifest(manifest)
    read.output_directory.mkdir(exist_ok=True)
    return Place(manifest, read.video_id, read.output_directory, root=read.outputs_root)


def written(place: Place, **settings: Any) -> tuple[str | None, tuple[str, ...]]:
    with place.open() as folder:
        return write_measures(read_manifest(place.manifest), Visualization(**settings), folder)


def test_the_document_has_the_measures_of_all_words_and_matches_its_schema(manifest: Path) -> None:
    place = place_of(manifest)

    name, notes = written(place)

    assert (name, notes) == (NAME, ())
    document = json.loads((place.directory / NAME).read_text())
    jsonschema.validate(document, json_schema("measures"))
    assert list(document["words"]) == ["kiss", "star"]
    assert document["words"]["kiss"]["text"] == "kiss"
    expected = spatial(blob_maps().mean(axis=(0, 1, 2)))
    assert document["words"]["kiss"]["frames"]["centroid_x"] == pytest.approx(expected.centroid_x.tolist(), rel=1e-3)
    assert [pair["words"] for pair in document["pairs"]] == [["kiss", "star"]]


def test_what_was_written_is_read_again_as_long_as_the_files_are_the_same(manifest: Path) -> None:
    place, read = place_of(manifest), read_manifest(manifest)
    written(place)

    assert read_measures(place, read) == measures_of(read)
    assert read_measures(place, replace(read, sha256="0" * 64)) is None
    (place.directory / NAME).write_text("{}")
    assert read_measures(place, read) is None
    (place.directory / NAME).unlink()
    assert read_measures(place, read) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"words": {"kiss": {"steps": {"correlation": []}}}},
        {"words": {"kiss": {"steps": {"frames": {"mass": []}}}}},
        {"words": {"kiss": {"frames": {"choice_²": [1.0]}}}},
        {"pairs": [{"words": ["kiss", "kiss"], "cosine_similarity": [1.0], "overlap": [1.0]}]},
    ],
)
def test_what_contradicts_itself_is_not_read(manifest: Path, changed: dict[str, Any]) -> None:
    place, read = place_of(manifest), read_manifest(manifest)
    written(place)
    path = place.directory / NAME
    path.write_text(json.dumps(_merged(json.loads(path.read_text()), changed)))

    assert read_measures(place, read) is None


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(new, dict):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def test_a_link_with_the_name_of_the_measures_is_replaced_and_not_followed(manifest: Path) -> None:
    place = place_of(manifest)
    other = manifest.with_name("other.json")
    other.write_text("kept")
    (place.directory / NAME).symlink_to(other)

    assert read_measures(place, read_manifest(manifest)) is None
    written(place)

    assert other.read_text() == "kept"
    assert not (place.directory / NAME).is_symlink()
    assert read_measures(place, read_manifest(manifest)) is not None


def test_nothing_is_written_if_it_is_not_wanted_or_there_is_no_word(tmp_path: Path) -> None:
    wordless = write_manifest(tmp_path / "video_001.complete.json", attention=[], tokens=[])
    place = place_of(wordless)

    assert written(place) == written(place, measures=False) == (None, ())
    assert list(place.directory.iterdir()) == []


def test_attention_that_cannot_be_measured_is_a_note_and_not_an_error(manifest: Path) -> None:
    place, read = place_of(manifest), read_manifest(manifest)
    broken = blob_maps()
    broken[0, 0, 0, 0, 0, 0] = np.nan
    write_tensors(read.attention[0], {"kiss": broken, "star": blob_maps()})

    name, (note,) = written(place)

    assert name is None
    assert note.startswith("no measures: ")
    assert "NaN" in note
    assert not (place.directory / NAME).exists()


def test_many_layers_and_heads_are_left_out_beside_a_rendering_and_said_so(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_manifest(manifest)
    maps = blob_maps(layers=2, heads=3)
    write_tensors(read.attention[0], {"kiss": maps, "star": maps})
    monkeypatch.setattr(measures, "_MOST_VALUES", 2 * maps.size - 1)

    limited, whole = measures_of(read, limited=True), measures_of(read)

    assert limited.words["kiss"].focus is None
    assert limited.words["kiss"].frames["mass"] == pytest.approx(whole.words["kiss"].frames["mass"])
    (note,) = limited.notes
    assert note.startswith(f"layers and heads have {2 * maps.size:,} values, too many to measure while rendering")
    assert np.shape(whole.words["kiss"].focus) == (2, 3)


def test_pairs_of_many_words_are_left_out_beside_a_rendering_and_in_tables_and_said_so(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "_MOST_WORDS_IN_PAIRS", 1)

    for limited in (True, False):
        document = measures_of(read_manifest(manifest), limited=limited)
        assert (list(document.words), document.pairs) == (["kiss", "star"], ())
        assert document.notes == ("2 words have too many pairs, so these are not measured",)


def test_a_document_has_no_more_values_than_are_read_again(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, read = place_of(manifest), read_manifest(manifest)
    values = most_values_in(measures_of(read).model_dump_json().encode())
    monkeypatch.setattr(measures, "MOST_MEASURES", values)
    assert written(place)[0] == NAME
    assert read_measures(place, read) is not None

    monkeypatch.setattr(measures, "MOST_MEASURES", values - 1)
    name, (note,) = written(place)
    assert name is None
    assert note.startswith(f"no measures: {values:,} values are too many for a file")


def test_a_table_reads_what_was_measured_beside_the_video_in_its_collection_or_with_out(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, place = read_manifest(manifest), place_of(manifest)
    written(place)
    made = place.directory / NAME
    monkeypatch.setattr(measures, "measures_of", None)
    batch, out = manifest.parents[2], tmp_path / "elsewhere"
    below_out = made.parent.relative_to(batch.parent)  # of a watcher that was started for the folder of the batches
    for directory, rendered_in in (
        (made.parent, None),
        (batch / "attention_videos", None),
        (out / below_out, out),
        (out / batch.name / "attention_videos", out),
    ):
        directory.mkdir(parents=True, exist_ok=True)
        made = made.rename(directory / NAME)
        assert measures_at(read, "video", rendered_in=rendered_in).video_id == read.video_id
    with pytest.raises(TypeError):  # nobody says where it was rendered, so it is measured
        measures_at(read, "video")


def test_a_link_below_the_folder_of_outputs_is_not_followed(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, out = place_of(manifest), tmp_path / "elsewhere"
    written(place)
    out.mkdir()
    (out / "attention_videos").symlink_to(place.directory.rename(tmp_path / "foreign"))
    monkeypatch.setattr(measures, "measures_of", None)

    with pytest.raises(TypeError):
        measures_at(read_manifest(manifest), "video", rendered_in=out)


def test_heads_that_an_older_version_measured_are_measured_again_as_long_as_the_maps_are_there(manifest: Path) -> None:
    read, place = read_manifest(manifest), place_of(manifest)
    maps = blob_maps(layers=2, heads=3)
    write_tensors(read.attention[0], {"kiss": maps, "star": maps})
    written(place)
    document = json.loads((place.directory / NAME).read_text())
    for word in document["words"].values():
        del word["each_head"]
    (place.directory / NAME).write_text(json.dumps(document))

    assert np.shape((measures_at(read, "head").words["kiss"].each_head or {})["mass"]) == (2, 3)
    assert measures_at(read, "video").words["kiss"].each_head is None
    read.attention[0].unlink()
    assert np.shape(measures_at(read, "head").words["kiss"].focus) == (2, 3)


def test_steps_of_many_values_are_not_read_for_the_step_of_the_final_form_alone(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_manifest(manifest)
    assert measures_of(read, levels=["video"]).words["kiss"].steps is not None

    monkeypatch.setattr(measures, "_MOST_VALUES_TO_SETTLE", 1)

    assert measures_of(read, levels=["video"]).words["kiss"].steps is None
    assert measures_of(read, levels=["step"]).words["kiss"].steps is not None


def test_latent_frames_have_the_times_of_the_frames_that_they_cover(manifest: Path) -> None:
    document = json.loads(manifest.read_text())
    grid, fps = document["grid"], document["generation"]["fps"]

    seconds = measures_of(read_manifest(manifest)).seconds

    stride = grid["temporal_stride"]
    middles = [0.0, *((stride * frame - (stride - 1) / 2) / fps for frame in range(1, grid["frames"]))]
    assert grid["causal_first_frame"]
    assert seconds == pytest.approx(middles)
