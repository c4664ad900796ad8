"""Every layout gives the same maps: compressed or not, with and without blocks and heads, in both precisions."""

import json
import re

import numpy as np
import pytest

from attnwatch.batches.videos import open_attention, read_video
from attnwatch.errors import ManifestError, NotReadyError, TensorError, VideoError
from attnwatch.tensors.reader import Part
from tests.legacy_support import FRAMES, GRID, HEIGHT, LAYOUTS, WIDTH, OldBatch
from tests.support import blob_maps, write_source_video


def words_of(tensors):
    with open_attention(read_video(tensors)) as reader:
        return reader.words


def only_word(tensors):
    (word,) = words_of(tensors).values()
    return word


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("stored", [(1, 1), (3, 2), (1, 4), (5, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_maps_are_read_as_written(tmp_path, layout, compressed, stored, dtype):
    blocks, heads = stored
    maps = blob_maps(GRID, steps=3, layers=blocks, heads=heads, dtype=dtype)
    batch = OldBatch(tmp_path, layout)
    word = only_word(batch.add(maps=maps, steps=(0, 5, 10), blocks=blocks, heads=heads, compressed=compressed))
    assert word.shape == maps.shape
    assert word.step_numbers == (0, 5, 10)
    expected = maps.astype(np.float64)
    np.testing.assert_allclose(word.frames(), expected.mean(axis=(0, 1, 2)), rtol=2e-6)
    part = word.frames(Part(steps=5, layers=-1, heads=-1))
    np.testing.assert_allclose(part, expected[1, -1, -1], rtol=2e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_aggregated_maps_may_lack_the_other_axes(tmp_path, layout):
    maps = blob_maps(GRID, steps=2)
    tensors = OldBatch(tmp_path, layout).add(maps=maps, aggregate=True)
    np.testing.assert_allclose(only_word(tensors).frames(), maps.mean(axis=(0, 1, 2)), rtol=2e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_aggregated_maps_alone_are_enough(tmp_path, layout):
    maps = blob_maps(GRID, steps=2)
    batch = OldBatch(tmp_path, layout)
    tensors = batch.add(maps=maps, aggregate=True)
    for path in tensors.rglob("step_*"):
        path.unlink()
    word = only_word(tensors)
    assert (word.grid, word.shape) == (GRID, None)
    np.testing.assert_allclose(word.frames(), maps.mean(axis=(0, 1, 2)), rtol=2e-6)


@pytest.mark.parametrize("shape", [(144,), (144, 1), (4, 144, 1), (1, 4, 144, 1), (4, 144)])
def test_the_spatial_axis_of_aggregated_maps_is_found_by_its_length_in_the_steps(tmp_path, shape):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    flat = blob_maps(GRID, steps=1).reshape(-1)
    values = np.broadcast_to(flat.reshape([144 if length == 144 else 1 for length in shape]), shape)
    batch.write_array(tensors / "token_kiss/aggregate", np.ascontiguousarray(values), compressed=False)
    np.testing.assert_allclose(only_word(tensors).frames().reshape(-1), flat, rtol=2e-6)


def test_sub_tokens_of_a_word_are_summed(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    values = np.ones((1, 1, 144, 3), np.float32)
    for step in (0, 1):
        batch.write_array(tensors / f"token_kiss/step_00{step}", values, compressed=False)
    np.testing.assert_array_equal(only_word(tensors).frames(), np.full(GRID, 3.0, np.float32))


def test_words_with_weights_and_spaces_are_listed_in_prompt_order(tmp_path):
    tensors = OldBatch(tmp_path).add(words=("two men", "flower:2.5", "Flower"))
    manifest = read_video(tensors)
    assert [(token.text, token.slug) for token in manifest.document.tokens] == [
        ("two men", "two_men"),
        ("flower:2.5", "flower"),
        ("Flower", "Flower_2"),
    ]
    assert list(words_of(tensors)) == ["two_men", "flower", "Flower_2"]


def test_metadata_describe_the_generation_but_not_the_array(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add(blocks=2, heads=2)
    for path in tensors.rglob("step_*_metadata.json"):
        metadata = json.loads(path.read_text())
        path.write_text(json.dumps({**metadata, "attention_shape": [30, 12, 7, 1], "aggregation_method": "mean"}))
    record = read_video(tensors).document.generation
    assert (record.prompt, record.seed, record.guidance_scale, record.prompt_id) == ("a kiss", 42, 5.0, "prompt_000")
    assert (record.frames, record.height, record.width) == (FRAMES, HEIGHT, WIDTH)
    assert only_word(tensors).shape == (2, 2, 2, *GRID)


@pytest.mark.parametrize(
    "metadata", [{}, {"video_frames": 5, "video_height": 96, "video_width": 128}, {"video_frames": "x"}]
)
def test_the_video_determines_the_grid_if_the_metadata_do_not(tmp_path, metadata):
    assert only_word(OldBatch(tmp_path).add(metadata=metadata)).grid == GRID


def test_without_metadata_and_video_the_possible_grids_are_listed(tmp_path):
    with pytest.raises(TensorError, match=r"144 values per map, which fit several .* 1 x 1 x 144, .*video_frames"):
        words_of(OldBatch(tmp_path).add(metadata={}, source=False))


def test_downscaled_maps_get_the_grid_with_the_aspect_ratio_of_the_video(tmp_path):
    maps = blob_maps((3, 24, 32), steps=2)
    batch = OldBatch(tmp_path)
    tensors = batch.add(maps=maps, metadata={})
    assert only_word(tensors).grid == (3, 24, 32)


def test_a_truncated_video_is_refused(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    video = batch.video()
    video.write_bytes(video.read_bytes()[:-200])
    with pytest.raises(VideoError, match="found"):
        words_of(tensors)


def test_steps_of_different_shapes_are_refused(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    batch.write_array(tensors / "token_kiss/step_001", np.ones((2, 1, 144, 1), np.float32), compressed=False)
    with pytest.raises(TensorError, match=r"step_001.npy: .*shape \[1, 2, 1, 3, 6, 8\]"):
        words_of(tensors)


@pytest.mark.parametrize("name", ["step_000.pt", "step_000.pt.gz", "aggregate.pt"])
def test_the_refusal_of_pickles_names_the_risk_and_the_remedy(tmp_path, name):
    batch = OldBatch(tmp_path)
    tensors = batch.add(source=False)
    for path in (tensors / "token_kiss").iterdir():
        path.unlink()
    (tensors / "token_kiss" / name).touch()
    with pytest.raises(
        ManifestError, match=f"run arbitrary code .* `attnwatch import --trust-pickle {re.escape(str(batch.folder))}"
    ):
        read_video(tensors)


def test_the_plain_file_is_preferred_if_a_map_is_stored_twice(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    (tensors / "token_kiss/step_000.npy.gz").write_bytes(b"damaged")
    assert only_word(tensors).step_numbers == (0, 1)


def test_a_video_without_words_has_no_maps(tmp_path):
    batch = OldBatch(tmp_path)
    batch.tensors().mkdir(parents=True)
    assert words_of(batch.tensors()) == {}


@pytest.mark.parametrize(("summary", "expected"), [(True, "summary"), (False, "quiet")])
def test_a_summary_marks_a_video_as_finished(tmp_path, summary, expected):
    assert read_video(OldBatch(tmp_path).add(summary=summary)).finished_by == expected


def test_a_summary_with_missing_steps_is_noted_and_does_not_mark_the_video_as_finished(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add(steps=(0, 2))
    batch.write_summary(steps=(0, 2, 4, 6))
    manifest = read_video(tensors)
    assert manifest.finished_by == "quiet"
    assert manifest.notes == ("summary.json lists steps 4, 6 of 'kiss', which are missing",)


def test_a_half_written_summary_is_ignored(tmp_path):
    tensors = OldBatch(tmp_path).add()
    (tensors / "summary.json").write_text('{"stored_steps": [0,')
    assert read_video(tensors).finished_by == "quiet"


def test_the_digest_changes_only_with_the_content(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    before = read_video(tensors).sha256
    batch.make_old(7)
    assert read_video(tensors).sha256 == before
    batch.write_word("cat")
    assert read_video(tensors).sha256 != before


def test_a_video_may_have_fewer_frames_than_recorded(tmp_path):
    batch = OldBatch(tmp_path)
    tensors = batch.add()
    write_source_video(batch.video(), width=WIDTH, height=HEIGHT, frames=5)
    assert only_word(tensors).grid == GRID


def exchanged(path):
    """Put another file with the same bytes in the place of a file."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("change", [exchanged, lambda path: path.write_bytes(path.read_bytes())])
def test_a_file_that_was_exchanged_or_changed_since_its_digest_was_computed_is_not_read(tmp_path, layout, change):
    manifest = read_video(OldBatch(tmp_path, layout).add(maps=blob_maps(GRID, steps=2), steps=(0, 5)))
    for name in manifest.document.attention:
        manifest.digest(name)
    with open_attention(manifest) as reader:
        (word,) = reader.words.values()
        assert word.frames().shape == GRID
        change(
            next(path for path in manifest.attention[0].iterdir() if "step" in path.name and "json" not in path.name)
        )
        with pytest.raises(NotReadyError, match="changed while it was in use"):
            word.frames()


def test_a_file_that_appeared_since_the_digest_of_its_folder_was_computed_is_not_read(tmp_path):
    manifest = read_video(OldBatch(tmp_path).add(maps=blob_maps(GRID, steps=1), steps=(0,)))
    (folder,) = manifest.attention
    manifest.digest(manifest.document.attention[0])
    (folder / "step_007.npy").write_bytes((folder / "step_000.npy").read_bytes())
    with pytest.raises(NotReadyError, match="step_007"), open_attention(manifest):
        pass
