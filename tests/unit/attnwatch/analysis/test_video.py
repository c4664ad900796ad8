from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from attnwatch.analysis.spatial import spatial
from attnwatch.analysis.video import OfSteps, VideoMeasures, measure_video
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import TensorError
from attnwatch.tensors.reader import AttentionReader
from tests.support import write_manifest, write_tensors
from tests.unit.attnwatch.analysis import reference

SHAPE = (3, 2, 4, 2, 5, 6)  # step, layer, head, frame, height, width
MAPS = np.random.default_rng(6).random(SHAPE).astype(np.float32)
NUMBERED = {"denoising": [{"index": number} for number in (0, 5, 10)]}


def measured(
    folder: Path,
    tensors: dict[str, npt.NDArray[Any]],
    *,
    masked: bool = False,
    steps: OfSteps | None = "measures",
    **fields: Any,
) -> VideoMeasures:
    write_tensors(folder / "maps.safetensors", tensors)
    manifest = read_manifest(write_manifest(folder / "video_001.complete.json", **fields))
    with AttentionReader(manifest) as reader:
        return measure_video(reader.words, np.array([0.0, 0.5]), masked=masked, steps=steps)


def same(found: Any, maps: npt.NDArray[Any]) -> bool:
    expected = spatial(maps).columns()
    return all(np.allclose(values, expected[name], rtol=1e-6, atol=0) for name, values in found.columns().items())


def test_a_word_is_measured_as_a_whole_and_by_step_layer_and_head(tmp_path: Path) -> None:
    word = measured(tmp_path, {"kiss": MAPS}, **NUMBERED).words["kiss"]

    maps = MAPS.astype(np.float64)
    assert same(word.frames, maps.mean(axis=(0, 1, 2)))
    assert word.steps is not None
    assert word.parts is not None
    assert word.steps.numbers == (0, 5, 10)
    assert same(word.steps.frames, maps.mean(axis=(1, 2)))
    assert same(word.parts.layers, maps.mean(axis=(0, 2)))
    assert same(word.parts.heads, maps.mean(axis=(0, 1)))
    single = spatial(maps).columns()
    assert list(word.parts.each) == [
        *("mass", "peak", "concentration", "effective_area", "centroid_x", "centroid_y", "spread")
    ]
    for name, values in word.parts.each.items():
        assert values == pytest.approx(single[name].mean(axis=(0, 3)), rel=1e-6), name


def test_maps_of_a_head_that_are_0_everywhere_count_only_where_a_measure_is_defined(tmp_path: Path) -> None:
    maps = MAPS.copy()
    maps[1:, 0, 0] = 0  # all but one step of one head
    maps[:, 1, 3] = 0  # another head never looks at the word

    parts = measured(tmp_path, {"kiss": maps}, **NUMBERED).words["kiss"].parts

    assert parts is not None
    assert parts.each["mass"][0, 0] == pytest.approx(maps[0, 0, 0].mean() / 3, rel=1e-6)
    assert parts.each["spread"][0, 0] == pytest.approx(spatial(maps[0, 0, 0]).spread.mean(), rel=1e-6)
    assert parts.each["mass"][1, 3] == 0
    assert np.isnan(parts.each["concentration"][1, 3])


def test_steps_are_compared_with_the_last_one(tmp_path: Path) -> None:
    final, noise = MAPS[0, :1, :1], MAPS[1, :1, :1]
    steps = np.stack([noise, 0.1 * noise + final, final])

    word = measured(tmp_path, {"kiss": steps}, **NUMBERED).words["kiss"]

    assert word.steps is not None
    rows = steps.reshape(3, -1).tolist()
    assert word.steps.correlation == pytest.approx([reference.correlation(row, rows[-1]) for row in rows], rel=1e-6)
    assert word.steps.settled == 5
    assert word.parts is None


@pytest.mark.parametrize("with_mean", [True, False])
def test_the_step_of_the_final_form_is_found_from_the_last_one_on(tmp_path: Path, with_mean: bool) -> None:
    final, noise = MAPS[0, :1, :1], MAPS[1, :1, :1]
    steps = np.stack([final, noise, 0.1 * noise + final, final])
    mean = steps.mean(axis=(0, 1, 2))
    numbered = {"denoising": [{"index": number} for number in (0, 5, 10, 15)]}

    word = measured(
        tmp_path, {"kiss": steps} | ({"kiss.aggregated": mean} if with_mean else {}), steps="settled", **numbered
    ).words["kiss"]

    assert same(word.frames, mean)
    assert word.steps is not None
    assert (word.steps.settled, word.steps.frames) == (10, None)
    assert np.isnan(word.steps.correlation[0])  # whether an earlier step is like the last one does not matter
    assert word.steps.correlation[2:] == pytest.approx([reference.correlation(*_flat(steps[2], final)), 1], rel=1e-6)


def _flat(*maps: npt.NDArray[Any]) -> list[list[float]]:
    return [array.ravel().tolist() for array in maps]


def test_a_step_before_the_final_form_is_not_read_if_the_mean_is_stored(tmp_path: Path) -> None:
    steps = np.stack([np.full_like(MAPS[0, :1, :1], -1), MAPS[1, :1, :1], MAPS[0, :1, :1]])

    words = measured(
        tmp_path, {"kiss": steps, "kiss.aggregated": MAPS.mean(axis=(0, 1, 2))}, steps="settled", **NUMBERED
    ).words

    assert words["kiss"].steps is not None
    assert words["kiss"].steps.settled == 10
    with pytest.raises(TensorError, match="negative"):
        measured(tmp_path, {"kiss": steps}, steps="settled", **NUMBERED)


def test_only_what_is_stored_is_measured(tmp_path: Path) -> None:
    mean = MAPS.mean(axis=(0, 1, 2))

    only_mean = measured(tmp_path / "mean", {"kiss.aggregated": mean}).words["kiss"]
    only_layers = measured(tmp_path / "layers", {"kiss": MAPS[:, :, :1]}, **NUMBERED).words["kiss"]
    one_mean_step = measured(tmp_path / "step", {"kiss": mean[None, None, None]}).words["kiss"]

    assert (only_mean.steps, only_mean.parts) == (None, None)
    assert (one_mean_step.steps, one_mean_step.parts) == (None, None)
    assert same(one_mean_step.frames, mean)
    assert only_layers.parts is not None
    assert only_layers.parts.heads is None
    assert only_layers.parts.each["mass"].shape == (2, 1)


def test_the_stored_mean_counts_even_if_steps_were_left_out(tmp_path: Path) -> None:
    mean = MAPS.mean(axis=(0, 1, 2))

    word = measured(tmp_path, {"kiss": MAPS[:1, :1, :1], "kiss.aggregated": mean}, **NUMBERED).words["kiss"]

    assert same(word.frames, mean)


def test_each_pair_of_words_is_compared_frame_by_frame(tmp_path: Path) -> None:
    maps = {name: MAPS[index, 0, 0] for index, name in enumerate(("kiss", "red", "star"))}

    pairs = measured(tmp_path, {f"{name}.aggregated": array for name, array in maps.items()}).pairs

    assert list(pairs) == [("kiss", "red"), ("kiss", "star"), ("red", "star")]
    frames = zip(maps["kiss"], maps["star"], strict=True)
    expected = [reference.cosine(a.ravel().tolist(), b.ravel().tolist()) for a, b in frames]
    assert pairs["kiss", "star"].cosine_similarity == pytest.approx(expected, rel=1e-6)


def test_masked_values_are_refused_unless_they_are_asked_for(tmp_path: Path) -> None:
    maps = MAPS.copy()
    maps[1, 1, 2, 0, 0, 0] = np.nan

    with pytest.raises(TensorError, match="NaN"):
        measured(tmp_path, {"kiss": maps}, **NUMBERED)
    word = measured(tmp_path, {"kiss": maps}, masked=True, **NUMBERED).words["kiss"]

    assert word.parts is not None
    assert all(np.isfinite(values).all() for values in word.frames.columns().values())
    assert all(np.isfinite(values).all() for values in word.parts.each.values())
