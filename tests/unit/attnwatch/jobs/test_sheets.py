"""The job that draws contact sheets from what a collection has."""

import pytest

from attnwatch.batches.videos import read_video
from attnwatch.contract.receipts import Place
from attnwatch.jobs.sheets import SheetJob
from attnwatch.settings import Visualization, Watcher
from tests.support import Batch, blob_maps, write_receipt


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def collect(batch, manifest, word="kiss"):
    """Write the receipt of a video in the batch's collection, as if it had been rendered there."""
    place = write_receipt(manifest, batch=batch.folder)
    receipt = Place(place.manifest, place.video_id, place.directory).read()
    outputs = tuple(output.model_copy(update={"token": word}) for output in receipt.outputs)
    place.write(receipt.model_copy(update={"outputs": outputs}))


def draw(batch):
    directory = batch.folder / "attention_videos"
    result = SheetJob(batch.folder, directory, Visualization(), Watcher()).run()
    assert result.error is None
    return result


def add(batch, prompt, word="kiss", number=1):
    manifest = batch.add(number, prompt=prompt, tensors={word: blob_maps()})
    collect(batch, manifest, word)
    return manifest


def test_a_batch_with_a_manifest_that_cannot_be_read_has_sheets_of_the_others(batch):
    add(batch, 1)
    broken = batch.add(prompt=2)
    broken.write_text("{broken")
    result = draw(batch)
    assert [file.name for file in result.files] == ["contact_sheet_kiss.png"]
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
    assert [file.name for file in result.files] == ["contact_sheet_kiss.png"]
    assert result.notes == (
        "no new contact sheet of 'flower': the tensors of its videos were removed or cannot be read",
    )
    assert (batch.folder / "attention_videos/contact_sheet_flower.png").read_bytes() == before


def test_of_two_videos_of_a_prompt_the_one_with_tensors_is_shown(batch):
    removed = add(batch, 1, number=1)
    add(batch, 1, number=2)
    (removed.parent / "attention_maps/vid001.safetensors").unlink()
    assert draw(batch).notes == ()


def test_a_prompt_whose_tensors_were_removed_is_a_gap(batch):
    removed = add(batch, 1)
    add(batch, 2)
    (removed.parent / "attention_maps/vid001.safetensors").unlink()
    (note,) = draw(batch).notes
    assert "vid001.safetensors was removed after the rendering" in note
    assert read_video(removed).path == removed


def test_pages_of_one_word_do_not_replace_the_sheet_of_another(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheet.ROWS_PER_SHEET", 1)
    for prompt in (1, 2):
        manifest = batch.add(prompt=prompt, tensors={"kiss": blob_maps(), "kiss_2": 0.01 * blob_maps()}, tokens=[])
        place = write_receipt(manifest, batch=batch.folder)
        receipt = place.read()
        (output,) = receipt.outputs
        both = (output, output.model_copy(update={"file": "other.mp4", "token": "kiss_2"}))
        place.write(receipt.model_copy(update={"outputs": both}))
    names = [f"contact_sheet_{name}.png" for name in ("kiss", "kiss_page_2", "kiss_2", "kiss_2_2")]
    assert [path.name for path in draw(batch).files] == names
    pictures = {(batch.folder / "attention_videos" / name).read_bytes() for name in names}
    assert len(pictures) == len(names)
