"""Contact sheets of whole batches, from videos to PNG files."""

import io

import numpy as np
import pytest
from PIL import Image

from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.names import Subject
from attnwatch.render.sheets.book import Book
from attnwatch.settings import Visualization
from attnwatch.system.roots import Root
from tests import sheets
from tests.odd_videos import of_one_colour
from tests.support import blob_maps

KISS = Subject("kiss")


@pytest.fixture
def batch(tmp_path):
    return sheets.empty(tmp_path)


def drawn(batch, manifests, word="kiss", **settings):
    """Draw all sheets; return their pages by subject, as pixels, and the notes."""
    book = Book(
        batch.folder.name, {word: list(map(read_manifest, manifests))}, Visualization(**settings), Root(batch.folder)
    )
    pages, notes = {}, []
    for subject, page in book.order():
        file = io.BytesIO()
        notes += book.write(subject, page, file)
        pages.setdefault(subject, []).append(np.asarray(Image.open(file).convert("RGB")).astype(int))
    return pages, notes


def share_of(pixels, colour, tolerance=10):
    return (np.abs(pixels - colour) <= tolerance).all(axis=-1).mean()


def colourful(pixels):
    """Return the share of pixels that are neither white nor grey."""
    return (np.ptp(pixels, axis=-1) > 30).mean()


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
    broken, whole = (sheets.video(batch, prompt, 1, blob_maps(), colour=(40, 40, 40)) for prompt in (1, 2))
    damage(broken.parent)
    pages, (note,) = drawn(batch, [broken, whole])
    assert note.startswith("the contact sheet of 'kiss' lacks a video: ")
    assert reason in note
    (page,) = pages[KISS]
    below = page[200:]  # without the header
    half = len(below) // 2
    assert colourful(below[:half]) < 0.001 < colourful(below[half:])


def test_a_word_that_only_the_receipt_knows_has_no_sheet(batch):
    assert drawn(batch, [sheets.video(batch)], word="unknown") == ({}, [])


@pytest.mark.parametrize("rows", ["videos", "means", "first"])
def test_a_batch_without_readable_maps_has_no_sheet(batch, rows):
    manifest = sheets.video(batch)
    (manifest.parent / "attention_maps/vid001.safetensors").unlink()
    assert drawn(batch, [manifest], sheet=rows)[0] == {}


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
    manifest = sheets.video(batch)
    of_one_colour(manifest.with_name("video_001.mp4"), yuv, size, tags)
    pages, notes = drawn(batch, [manifest], overlay_alpha=0)
    assert notes == []
    assert share_of(pages[KISS][0], (255, 0, 0)) > 0.2


def test_the_first_picture_is_the_frame_itself_and_the_others_have_the_map_over_it(batch):
    low = sheets.video(batch, 1, 1, 0.0, colour=(20, 60, 200))
    high = sheets.video(batch, 1, 2, 1.0, colour=(20, 60, 200))
    pages, _ = drawn(batch, [low, high], colormap="gray")
    (page,) = pages[KISS]
    frame, covered = (20, 60, 200), (208, 216, 244)  # 0.2 of the frame, and 0.8 of white
    assert share_of(page, frame) == pytest.approx(8 * share_of(page, covered) / 6, rel=0.02)
    assert share_of(page, covered) > 0.2


def test_means_are_shown_as_maps_alone_on_their_own_scale(batch):
    first = [sheets.video(batch, 1, number, maps, colour=(20, 60, 200)) for number, maps in ((1, 0.2), (2, 0.4))]
    second = [sheets.video(batch, 2, number, maps, colour=(20, 60, 200)) for number, maps in ((1, 0.5), (2, 0.9))]
    pages, notes = drawn(batch, [*first, *second], sheet="means", colormap="winter")
    assert notes == []
    (page,) = pages[KISS]
    low, high = (0, 0, 255), (0, 255, 128)
    assert share_of(page, low, 2) == pytest.approx(share_of(page, high, 2), rel=0.05)
    assert share_of(page, low, 2) == pytest.approx(6 * share_of(page, (20, 60, 200)) / 2, rel=0.05)


def test_a_mean_leaves_out_videos_that_cannot_be_read(batch):
    whole, broken = (sheets.video(batch, 1, number, colour=(40, 40, 40)) for number in (1, 2))
    (broken.parent / "attention_maps/vid002.safetensors").unlink()
    pages, (note,) = drawn(batch, [whole, broken], sheet="means")
    assert "vid002.safetensors was removed" in note
    assert list(pages) == [KISS]


def test_differences_have_a_sheet_for_each_slot_that_can_be_compared(batch):
    manifests = sheets.product_of_choices(
        batch, ["men", "women"], ["park", "beach"], ["now"], seeds=1, attention=lambda who, *_: {"men": 1}.get(who, 0)
    )
    pages, notes = drawn(batch, manifests)
    assert notes == []
    assert {subject: len(found) for subject, found in pages.items()} == {
        KISS: 1,
        Subject("kiss", 1): 1,
        Subject("kiss", 2): 1,
    }
    dark_red, middle = (103, 0, 31), (247, 247, 247)
    assert share_of(pages[Subject("kiss", 1)][0], dark_red) > 0.2 > share_of(pages[Subject("kiss", 2)][0], dark_red)
    assert share_of(pages[Subject("kiss", 2)][0], middle, 3) > 0.2


def test_pages_are_drawn_one_by_one(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.layout.MOST_HEIGHT", 300)
    pages, _ = drawn(batch, [sheets.video(batch, 1, number, colour=(40, 40, 40)) for number in (1, 2)])
    assert [page.shape[0] < 600 for page in pages[KISS]] == [True, True]


def test_videos_without_a_file_have_maps_alone(batch):
    pages, notes = drawn(batch, [sheets.video(batch, 1, 1, 1.0), sheets.video(batch, 2, 1, 0.0)], colormap="winter")
    assert notes == []
    assert share_of(pages[KISS][0], (0, 255, 128), 4) > 0.1


def test_characters_that_no_font_has_are_noted(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.text.missing.lacking", lambda text: "猫")
    _, (note,) = drawn(batch, [sheets.video(batch, 1, 1, prompt="一只猫 for $5")])
    assert note.startswith("the contact sheet of 'kiss' cannot show every character: ")


def test_what_is_left_out_is_noted(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.rows.MOST_ROWS", 1)
    _, (note,) = drawn(batch, [sheets.video(batch, 1, number) for number in (1, 2)])
    assert note == "the contact sheet of 'kiss' shows 1 of 2 videos: the first 1 video of each prompt"
