"""Contact sheets of what there is."""

import numpy as np
import pytest
from PIL import Image

from attnwatch.contract.manifest import read_manifest
from attnwatch.render.maps import Scale
from attnwatch.render.sheet import write_sheet
from attnwatch.settings import Visualization
from tests.odd_videos import of_one_colour
from tests.support import Batch


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def drawn(batch, *manifests, slug="kiss", **settings):
    """Draw a sheet; return its notes and its pixels, rows one above the other."""
    path = batch.folder / "sheet.png"
    read = [read_manifest(manifest) for manifest in manifests]
    notes = write_sheet(path, read, slug, Scale(0.0, 1.0), Visualization(**settings))
    return notes, np.asarray(Image.open(path).convert("RGB"))


def colourful(pixels):
    """Return the share of pixels that are neither white nor grey."""
    return (np.ptp(pixels.astype(int), axis=-1) > 30).mean()


def test_every_video_has_a_row(batch):
    one, both = [batch.add(prompt=1)], [batch.add(prompt=1), batch.add(prompt=2)]
    (none, single), (no_notes, double) = drawn(batch, *one), drawn(batch, *both)
    assert none == no_notes == []
    assert double.shape[0] > single.shape[0]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "attention_maps/vid001.safetensors").unlink(), "vid001.safetensors was removed"),
        (lambda folder: (folder / "attention_maps/vid001.safetensors").write_bytes(b"no tensors"), "safetensors"),
        (lambda folder: (folder / "video_001.mp4").write_bytes(b"no video"), "FFmpeg cannot read"),
    ],
    ids=["no maps", "damaged maps", "damaged video"],
)
def test_a_video_that_cannot_be_drawn_is_a_gap_with_a_note(batch, damage, reason):
    whole, broken = batch.add(prompt=1), batch.add(prompt=2)
    damage(broken.parent)
    (note,), pixels = drawn(batch, broken, whole)
    assert note.startswith("the contact sheet of 'kiss' lacks a video: ")
    assert reason in note
    height = pixels.shape[0]
    left = pixels[:, : pixels.shape[1] * 3 // 4]  # without the colorbar
    assert colourful(left[: height // 2]) < 0.001 < colourful(left[height // 2 :])


def test_a_word_that_only_the_receipt_knows_is_a_gap(batch):
    (note,), _ = drawn(batch, batch.add(), slug="unknown")
    assert "found no word 'unknown'" in note


def test_characters_that_no_font_has_are_noted(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.text.missing.lacking", lambda text: "一只猫")
    manifest = batch.add(generation={"prompt": "一只猫 for $5"})
    (note,), _ = drawn(batch, manifest)
    assert note.startswith("labels show □ for 3 characters that no installed font has")


@pytest.mark.parametrize(
    ("yuv", "size", "tags"),
    [
        ((81, 90, 240), (64, 48), (2, 2, 2)),
        ((63, 102, 240), (1280, 720), (2, 2, 2)),
        ((63, 102, 240), (64, 48), (1, 1, 1)),
        ((114, 96, 185), (64, 48), (9, 9, 14)),
    ],
    ids=["small, without tags", "720 lines, without tags", "BT.709", "BT.2020"],
)
def test_a_red_video_is_red_in_the_sheet_whatever_its_colours_mean(batch, yuv, size, tags):
    manifest = batch.add()
    of_one_colour(manifest.with_name("video_001.mp4"), yuv, size, tags)
    notes, pixels = drawn(batch, manifest, overlay_alpha=0)
    assert notes == []
    red = (np.abs(pixels.astype(int) - (255, 0, 0)) <= 10).all(axis=-1)
    assert red.mean() > 0.2


@pytest.mark.parametrize("size", [(832, 480), (960, 240)], ids=str)
def test_labels_of_long_prompts_do_not_touch_each_other(batch, size):
    generation = {"prompt": "an extraordinarily photorealistic grandmother dancing " * 5, "seed": 42}
    manifests = [batch.add(prompt=number, generation=generation) for number in (1, 2, 3)]
    for manifest in manifests:
        of_one_colour(manifest.with_name("video_001.mp4"), (81, 90, 240), size, (2, 2, 2))
    _, pixels = drawn(batch, *manifests)
    label = pixels[50:, :200].min(axis=-1) < 128
    rows = 1.7 * size[1] / size[0] * 100
    edges = [round(number * rows) for number in (1, 2)]
    assert not any(label[edge - 2 : edge + 3].any() for edge in edges)
    assert label[-round(rows) :].any()
