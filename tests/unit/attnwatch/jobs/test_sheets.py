"""The job that draws contact sheets from what a collection has."""

import json

import pytest

from attnwatch.batches.videos import read_video
from attnwatch.contract.fingerprint import RENDERER_VERSION
from attnwatch.contract.receipts import Place
from attnwatch.jobs.sheets import SheetJob
from attnwatch.settings import Visualization, Watcher
from tests import sheets
from tests.support import Batch, blob_maps, write_json, write_receipt


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def collect(batch, manifest, word="kiss"):
    """Write the receipt of a video in the batch's collection, as if it had been rendered there."""
    place = write_receipt(manifest, batch=batch.folder)
    receipt = Place(place.manifest, place.video_id, place.directory).read()
    outputs = tuple(output.model_copy(update={"token": word}) for output in receipt.outputs)
    place.write(receipt.model_copy(update={"outputs": outputs}))


def job_of(batch, *, anew=False, **settings):
    directory = batch.folder / "attention_videos"
    return SheetJob(batch.folder, directory, Visualization(**settings), Watcher(), anew=anew)


def draw(batch, **settings):
    result = job_of(batch, **settings).run()
    assert result.error is None
    return result


def names_of(result):
    return [file.name for file in result.files]


def record_of(batch):
    return json.loads((batch.folder / "attention_videos/contact_sheets.json").read_text())


def on_disk(batch):
    return sorted(path.name for path in (batch.folder / "attention_videos").glob("*.png"))


def add(batch, prompt, word="kiss", number=1):
    manifest = batch.add(number, prompt=prompt, tensors={word: blob_maps()})
    collect(batch, manifest, word)
    return manifest


def test_a_batch_with_a_manifest_that_cannot_be_read_has_sheets_of_the_others(batch):
    add(batch, 1)
    broken = batch.add(prompt=2)
    broken.write_text("{broken")
    result = draw(batch)
    assert names_of(result) == ["contact_sheet_kiss.png"]
    (note,) = result.notes
    assert note.startswith(f"the contact sheets lack {broken}, which cannot be read")


def test_a_combined_output_is_not_a_word_of_its_own(batch):
    manifest = add(batch, 1)
    place = write_receipt(manifest, batch=batch.folder)
    receipt = place.read()
    (output,) = receipt.outputs
    combined = output.model_copy(update={"token": "combined", "kind": "combined"})
    place.write(receipt.model_copy(update={"outputs": (output, combined)}))
    assert [file.name for file in draw(batch).files] == ["contact_sheet_kiss.png"]


def test_the_sheet_of_a_word_whose_tensors_were_all_removed_stays_as_it_is(batch):
    removed = add(batch, 1, "flower")
    draw(batch)
    before = (batch.folder / "attention_videos/contact_sheet_flower.png").read_bytes()
    (removed.parent / "attention_maps/vid001.safetensors").unlink()
    add(batch, 2, "kiss")
    result = draw(batch)
    assert names_of(result) == ["contact_sheet_kiss.png"]
    assert result.notes == (
        "no new contact sheet of 'flower': the tensors of its videos were removed or cannot be read",
    )
    assert (batch.folder / "attention_videos/contact_sheet_flower.png").read_bytes() == before


def test_a_video_whose_tensors_were_removed_is_a_gap(batch):
    removed = add(batch, 1)
    add(batch, 2)
    (removed.parent / "attention_maps/vid001.safetensors").unlink()
    (note,) = draw(batch).notes
    assert "vid001.safetensors was removed after the rendering" in note
    assert read_video(removed).path == removed


def test_pages_of_one_word_do_not_replace_the_sheet_of_another(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.layout.MOST_HEIGHT", 1)
    for prompt in (1, 2):
        manifest = batch.add(prompt=prompt, tensors={"kiss": blob_maps(), "kiss_2": 0.01 * blob_maps()}, tokens=[])
        place = write_receipt(manifest, batch=batch.folder)
        receipt = place.read()
        (output,) = receipt.outputs
        both = (output, output.model_copy(update={"file": "other.mp4", "token": "kiss_2"}))
        place.write(receipt.model_copy(update={"outputs": both}))
    names = [f"contact_sheet_{name}.png" for name in ("kiss", "kiss_page_2", "kiss_2", "kiss_2_2")]
    result = draw(batch)
    assert names_of(result) == names
    assert [len(pages) for pages in result.sheets] == [2, 2]
    pictures = {(batch.folder / "attention_videos" / name).read_bytes() for name in names}
    assert len(pictures) == len(names)
    assert [(sheet["token"], sheet["page"]) for sheet in record_of(batch)["sheets"]] == [
        ("kiss", 1),
        ("kiss", 2),
        ("kiss_2", 1),
        ("kiss_2", 2),
    ]


def compared(batch):
    """Collect two videos that differ in one choice."""
    for manifest in sheets.product_of_choices(batch, ["men", "women"], seeds=1):
        collect(batch, manifest)


def test_the_record_tells_what_each_file_shows(batch):
    compared(batch)
    draw(batch)
    record = record_of(batch)
    kiss, differences = "contact_sheet_kiss.png", "contact_sheet_kiss_differences_slot1.png"
    assert record["files"] == on_disk(batch) == [kiss, differences]
    assert record["sheets"] == [
        {"file": kiss, "token": "kiss", "page": 1},
        {"file": differences, "token": "kiss", "slot": 1, "page": 1},
    ]
    assert (record["rows"], record["renderer"]) == ("videos", RENDERER_VERSION)


def test_sheets_and_pages_that_are_not_needed_any_more_are_removed(batch, monkeypatch):
    foreign = batch.folder / "attention_videos/contact_sheet_mine.png"
    compared(batch)
    foreign.write_bytes(b"of somebody else")
    with monkeypatch.context() as small:
        small.setattr("attnwatch.render.sheets.layout.MOST_HEIGHT", 1)
        draw(batch)
    assert "contact_sheet_kiss_2.png" in on_disk(batch)
    second = batch.folder / "videos/prompt_002/video_001.complete.json"
    Place(second, "prompt_002_vid001", batch.folder / "attention_videos").path.unlink()
    draw(batch)
    assert on_disk(batch) == ["contact_sheet_kiss.png", "contact_sheet_mine.png"]
    assert record_of(batch)["files"] == ["contact_sheet_kiss.png"]


@pytest.mark.parametrize("name", ["prompt_001_vid001_kiss_overlay.mp4", "holiday.png", "contact_sheet_kiss.json"])
def test_nothing_but_contact_sheets_is_removed_whatever_the_record_names(batch, name):
    add(batch, 1)
    precious = batch.folder / "attention_videos" / name
    precious.write_bytes(b"precious")
    record = {"format": "attnwatch/1", "collection_sha256": "0" * 64, "files": [precious.name]}
    write_json(batch.folder / "attention_videos/contact_sheets.json", record)
    draw(batch)
    assert precious.exists()


def as_before(batch):
    """Make the record of the sheets what version 0.4.0 wrote."""
    known = {name: record_of(batch)[name] for name in ("format", "collection_sha256", "files")}
    write_json(batch.folder / "attention_videos/contact_sheets.json", known)


@pytest.fixture
def drawn(batch):
    add(batch, 1)
    draw(batch)
    return batch


@pytest.mark.parametrize(
    ("asked", "due"),
    [({}, False), ({"sheet": "first"}, False), ({"sheet": "videos"}, True), ({"sheet": "means"}, True)],
)
def test_an_upgrade_draws_no_sheets_anew_unless_other_rows_are_asked_for(drawn, asked, due):
    as_before(drawn)
    assert job_of(drawn).collection.is_due(Visualization(**asked)) == due
    assert job_of(drawn).collection.is_outdated()


def test_older_sheets_are_drawn_anew_when_the_collection_has_changed_or_on_request(drawn):
    as_before(drawn)
    assert draw(drawn).files == ()
    assert names_of(draw(drawn, anew=True)) == ["contact_sheet_kiss.png"]
    assert not job_of(drawn).collection.is_outdated()
    as_before(drawn)
    add(drawn, 2)
    assert names_of(draw(drawn)) == ["contact_sheet_kiss.png"]


def test_other_rows_are_drawn_when_they_are_asked_for(drawn):
    assert draw(drawn).files == draw(drawn, sheet="videos").files == ()
    assert names_of(draw(drawn, sheet="means")) == ["contact_sheet_kiss.png"]
    assert record_of(drawn)["rows"] == "means"
    assert draw(drawn, sheet="means").files == ()
    assert names_of(draw(drawn)) == ["contact_sheet_kiss.png"]


def test_an_older_sheet_of_a_word_whose_tensors_were_removed_stays_known(batch):
    removed = add(batch, 1, "flower")
    draw(batch)
    as_before(batch)
    (removed.parent / "attention_maps/vid001.safetensors").unlink()
    add(batch, 2, "kiss")
    draw(batch)
    assert sorted(record_of(batch)["files"]) == on_disk(batch) == ["contact_sheet_flower.png", "contact_sheet_kiss.png"]
    assert {"file": "contact_sheet_flower.png", "token": "flower", "page": 1} in record_of(batch)["sheets"]


def test_sheets_of_a_word_that_was_taken_out_of_the_collection_are_removed(batch):
    first = add(batch, 1, "flower")
    draw(batch)
    collect(batch, first, "kiss")  # of which it has no tensors
    assert draw(batch, anew=True).files == ()
    assert on_disk(batch) == []
