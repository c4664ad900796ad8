from PIL import Image

from attnwatch.jobs.sheets import SheetJob
from attnwatch.settings import Visualization, Watcher
from tests.support import Batch, blob_maps, write_receipt


def test_pages_of_one_word_do_not_replace_the_sheet_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheet.ROWS_PER_SHEET", 1)
    batch = Batch.make(tmp_path)
    bright, dark = blob_maps(), 0.01 * blob_maps()
    for prompt in (1, 2):
        manifest = batch.add(prompt=prompt, tensors={"kiss": bright, "kiss_2": dark}, tokens=[])
        place = write_receipt(manifest, batch=batch.folder)
        receipt = place.read()
        (output,) = receipt.outputs
        both = (output, output.model_copy(update={"file": "other.mp4", "token": "kiss_2"}))
        place.write(receipt.model_copy(update={"outputs": both}))
    directory = batch.folder / "attention_videos"
    result = SheetJob(batch.folder, directory, Visualization(), Watcher()).run()
    assert result.error is None
    names = [f"contact_sheet_{name}.png" for name in ("kiss", "kiss_page_2", "kiss_2", "kiss_2_2")]
    assert [path.name for path in result.files] == names
    assert sorted(path.name for path in directory.glob("*.png")) == sorted(names)
    pictures = [Image.open(directory / name).tobytes() for name in names]
    assert len(set(pictures)) == len(pictures)
