import os
import shutil

import pytest

from attnwatch.batches.videos import read_video
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.receipts import Place, failure
from attnwatch.errors import JobError
from attnwatch.settings import Visualization
from attnwatch.settings import Watcher as Limits
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
from attnwatch.web.index import glance, tree
from tests.legacy_support import LAYOUTS, OldBatch
from tests.support import write_receipt


@pytest.fixture
def read(monkeypatch):
    """Collect the videos whose documents are read."""
    videos, real = [], tree.entry_of

    def entry_of(rendering, *others):
        videos.append(rendering.place.video_id)
        return real(rendering, *others)

    monkeypatch.setattr(tree, "entry_of", entry_of)
    return videos


def states(page):
    return {video["video_id"]: video["state"] for video in page.videos}


def test_only_what_has_changed_is_read_again(batch, opened, read):
    for number in (1, 2, 3):
        write_receipt(batch.add_full(number))
    page = opened()
    assert len(read) == 3
    del read[:]
    manifest = batch.add_full(4)
    page.poll()
    assert read == ["prompt_001_vid004"]
    write_receipt(manifest)
    page.poll()
    assert read == ["prompt_001_vid004"] * 2
    page.poll()
    page.walk()
    assert read == ["prompt_001_vid004"] * 2
    assert states(page)["prompt_001_vid004"] == "rendered"


def test_a_second_change_is_found_even_if_the_time_of_the_folder_stays_the_same(batch, opened, monkeypatch):
    monkeypatch.setattr(glance, "_COARSE", 10**12)  # however slow the machine is
    write_receipt(batch.add_full(1))
    waiting = batch.add_full(2)
    page = opened()
    outputs = batch.prompt() / "attention_videos"
    before = outputs.stat()
    write_receipt(waiting)
    os.utime(outputs, ns=(before.st_atime_ns, before.st_mtime_ns))
    page.poll()
    assert states(page)["prompt_001_vid002"] == "rendered"


def test_videos_and_batches_that_are_deleted_are_gone(batch, opened):
    for prompt in (1, 2):
        batch.add_full(1, prompt=prompt)
    page = opened()
    (batch.prompt(1) / "video_001.complete.json").unlink()
    page.poll()
    assert list(states(page)) == ["prompt_002_vid001"]
    shutil.rmtree(batch.prompt(2))
    page.poll()
    page.walk()
    assert page.batches == []


def test_a_video_is_running_while_its_lock_is_held_or_a_watcher_says_so(batch, opened):
    manifest = batch.add_full(1)
    page = opened()
    outputs = manifest.parent / "attention_videos"
    outputs.mkdir()
    with Folder.open(outputs) as folder, exclusive(folder, "prompt_001_vid001"):
        page.poll()
        assert states(page) == {"prompt_001_vid001": "running"}
    page.poll()
    assert states(page) == {"prompt_001_vid001": "waiting"}
    page.tree.announce({str(manifest): "tcp://gpu-7:40123"})
    assert (page.detail()["state"], page.detail()["worker"]) == ("running", "tcp://gpu-7:40123")
    assert page.videos[0]["reason"] == "on gpu-7:40123"
    page.tree.announce({})
    assert (page.detail()["state"], page.detail()["worker"]) == ("waiting", None)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_receipt_of_a_video_of_an_older_batch_is_found_where_it_is(outputs, opened, layout):
    old = OldBatch(outputs / "old", layout)
    old.add()
    page = opened()
    (entry,) = page.catalogue.entries(page.batches[0]["id"])
    manifest = read_video(entry.path)
    fingerprint = Fingerprint.of(manifest.sha256, Visualization(), None, manifest.inputs())
    place = Place(entry.path, manifest.video_id, manifest.output_directory)
    place.write(failure(place, fingerprint, JobError("crashed"), 0.5, Limits()))
    page.poll()
    assert [(video["state"], video["reason"]) for video in page.videos] == [("failed", "crashed")]


def test_folders_that_a_search_for_videos_leaves_out_are_left_out(batch, opened, outputs):
    manifest = batch.add_full(1)
    page = opened()
    hidden = manifest.parent / "attention_maps" / "video_009.complete.json"
    shutil.copy(manifest, hidden)
    page.tree.look(hidden.parent)
    page.tree.look(outputs.parent)
    assert list(states(page)) == ["prompt_001_vid001"]


def test_a_video_that_cannot_be_read_is_listed_with_the_reason(batch, opened):
    batch.add_full(1).write_text('{"format": "attnwatch/1"}')
    (video,) = opened().videos
    assert video["state"] == "waiting"
    assert "video" in video["reason"]


def test_videos_without_a_plan_belong_to_the_folder_that_they_are_in(outputs, opened, batch):
    manifest = batch.add_full(1)
    clips = outputs / "clips"
    shutil.copytree(manifest.parent, clips)
    assert {found["name"] for found in opened().batches} == {batch.folder.name, "clips"}


def test_the_choices_of_each_slot_are_known_without_a_plan(batch, opened):
    for number, choice in enumerate(("men", "women", "men"), start=1):
        batch.add_full(number, generation={"choices": [choice, "here"]})
    assert opened().batch["slots"] == [["men", "women"], ["here"]]
