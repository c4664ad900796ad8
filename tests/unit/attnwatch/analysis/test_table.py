from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnwatch.analysis.table import LEVELS, Row, Table, lacking, rows_of
from attnwatch.contract.documents import ImageRecord
from attnwatch.contract.manifest import Manifest, read_manifest
from attnwatch.jobs.measures import measures_of
from tests.support import GRID, blob_maps, write_manifest, write_source_video, write_tensors

SHARP, FLAT = np.zeros(GRID, np.float32), np.full(GRID, 0.25, np.float32)
SHARP[:, 2, 5] = 0.48
GENERATION = {
    "prompt_id": "prompt_002",
    "seed": 43,
    "template": "[two (men)|two (women)] (kiss)",
    "choices": ["two women", "gently"],
    "fps": 16,
    "steps": 30,
    "scheduler": "UniPC",
}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A video of three steps: `women` in one cell, `kiss` everywhere alike."""
    write_source_video(tmp_path / "video_002.mp4")
    steps = np.stack([FLAT, SHARP, SHARP])[:, None, None]
    write_tensors(tmp_path / "maps.safetensors", {"women": steps, "kiss": np.stack([FLAT] * 3)[:, None, None]})
    path = write_manifest(
        tmp_path / "video_002.complete.json",
        video_id="prompt_002_vid002",
        tokens=[{"slug": "women", "text": "women", "slot": 1}, {"slug": "kiss", "text": "kiss"}],
        denoising=[{"index": n, "timestep": 900.0 - n, "sigma": 0.9, "model": "transformer"} for n in (0, 7, 14)],
        generation=GENERATION,
    )
    return read_manifest(path)


def rows(manifest: Manifest, level: Any, words: frozenset[str] | None = None) -> list[Row]:
    return rows_of(measures_of(manifest, levels=[level]), manifest, "demo", level, words)


def test_a_row_tells_what_a_video_is_and_the_means_of_its_measures_over_the_frames(manifest: Manifest) -> None:
    women, kiss = rows_of(measures_of(manifest), manifest, "demo", "video")

    about = {name: GENERATION[name] for name in ("prompt_id", "seed", "fps", "steps", "scheduler")}
    about |= {"batch": "demo", "video_id": "prompt_002_vid002", "model": None, "negative_prompt": None}
    about |= {"choice_1": "two women", "choice_2": "gently", "word": "women", "text": "women", "slot": 1}
    assert about.items() <= women.items()
    assert (kiss["word"], kiss["slot"]) == ("kiss", None)
    cells = GRID[1] * GRID[2]
    mean = (2 * 0.48 + 0.25) / 3  # the mean of the steps, in the cell that two of them look at
    assert women["mass"] == pytest.approx((mean + (cells - 1) * 0.25 / 3) / cells)
    assert women["peak"] == pytest.approx(mean)
    assert (women["peak_x"], women["peak_y"]) == pytest.approx((5.5 / GRID[2], 2.5 / GRID[1]))
    assert kiss["concentration"] == pytest.approx(0, abs=1e-9)
    assert women["path_length"] == 0
    assert repr(women["peak_frame"]) == "0"
    assert women["settled"] == 7
    assert [row["settled"] for row in rows(manifest, "video")] == [7, None]  # of a video that was never rendered
    assert kiss["settled"] is None  # a map that is the same everywhere has no correlation
    assert 0 < women["cosine_kiss"] == kiss["cosine_women"] < 1


def test_a_row_has_the_names_of_the_images_that_its_video_was_made_from(manifest: Manifest) -> None:
    assert "image" not in rows(manifest, "video")[0]
    image = {"path": "/data/beach.jpg", "sha256": "0" * 64, "width": 832, "height": 480}
    made = manifest.document.generation.model_copy(update={"image": ImageRecord(**image)})
    changed = replace(manifest, document=manifest.document.model_copy(update={"generation": made}))
    table = Table()
    table.add(rows(changed, "video")[0])
    columns = list(table.columns)
    assert table.columns["image"] == ["beach.jpg"]
    assert columns.index("choice_2") + 1 == columns.index("image") == columns.index("width") - 1


def test_frames_steps_and_heads_have_rows_of_their_own(manifest: Manifest) -> None:
    frames, steps = rows(manifest, "frame", frozenset({"kiss"})), rows(manifest, "step", frozenset({"women"}))

    assert [(row["frame"], row["mass"]) for row in frames] == [(0, 0.25), (1, 0.25), (2, 0.25)]
    assert [row["seconds"] for row in frames] == pytest.approx([0, 2.5 / 16, 6.5 / 16])
    assert [(row["step"], row["timestep"], row["sigma"], row["transformer"]) for row in steps] == [
        (0, 900.0, 0.9, "transformer"),
        (7, 893.0, 0.9, "transformer"),
        (14, 886.0, 0.9, "transformer"),
    ]
    assert [row["concentration"] for row in steps] == pytest.approx([0, 1, 1], abs=1e-9)
    assert [row["correlation"] for row in steps] == [None, 1, 1]


def test_heads_tell_how_concentrated_they_are(manifest: Manifest) -> None:
    maps = np.stack([FLAT, SHARP])[None, None].repeat(2, axis=1)  # two layers of two heads
    write_tensors(manifest.attention[0], {"women": maps, "kiss": maps})

    found = rows(manifest, "head", frozenset({"kiss"}))

    assert [(row["layer"], row["head"]) for row in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [row["focus"] for row in found] == pytest.approx([0, 1, 0, 1], abs=1e-9)
    cells = GRID[1] * GRID[2]
    assert [row["mass"] for row in found] == pytest.approx([0.25, 0.48 / cells] * 2)
    assert [row["effective_area"] for row in found] == pytest.approx([1, 1 / cells] * 2)
    assert [row["centroid_x"] for row in found] == pytest.approx([0.5, 5.5 / GRID[2]] * 2)
    assert [row["spread"] == 0 for row in found] == [False, True] * 2
    assert list(found[0])[-7:] == ["focus", "mass", "peak", "effective_area", "centroid_x", "centroid_y", "spread"]


def test_what_was_not_stored_has_no_rows_and_a_reason(manifest: Manifest) -> None:
    write_tensors(manifest.attention[0], {"women.aggregated": SHARP, "kiss": blob_maps(steps=3)})
    document = measures_of(manifest)

    assert [row["word"] for row in rows_of(document, manifest, "demo", "step")] == ["kiss"] * 3
    assert lacking(document, "step") is None
    assert str(lacking(document, "step", frozenset({"women"}))).startswith("found only the mean of all denoising steps")
    assert str(lacking(document, "head")).startswith("found only the mean of all layers and heads")
    assert all(lacking(document, level, frozenset({"dog"})) is None for level in LEVELS)


def test_columns_that_only_some_rows_have_are_none_in_the_others_and_stand_in_order() -> None:
    table = Table()
    table.add({"video_id": "a", "seed": 1, "choice_1": "x", "fps": 16, "word": "kiss", "mass": 0.1})
    table.add({"video_id": "b", "choice_10": "z", "choice_2": "y", "word": "kiss", "mass": 0.2, "cosine_men": 1})

    assert table.length == 2
    assert list(table.columns) == [
        *("video_id", "seed", "choice_1", "choice_2", "choice_10", "fps", "word", "mass", "cosine_men")
    ]
    assert table.columns["choice_2"] == [None, "y"]
    assert [row["seed"] for row in table.rows()] == [1, None]


def test_a_mean_that_is_too_large_for_a_number_is_undefined(manifest: Manifest) -> None:
    document = measures_of(manifest)
    word = document.words["kiss"]
    huge = word.model_copy(update={"frames": {**word.frames, "mass": (1e308, 1e308)}})

    (row,) = rows_of(document.model_copy(update={"words": {"kiss": huge}}), manifest, "demo", "video")

    assert row["mass"] is None
