"""Which videos of a batch count as complete when it is resumed."""

import hashlib
import json
import os

import pytest

from generator.batch import inventory
from generator.batch.inventory import defect, is_complete, missing_videos
from generator.batch.plan import plan_batch
from generator.errors import ResumeError
from generator.outputs.manifest import write_manifest
from generator.settings import Settings


class Batch:
    """A batch of two videos that are complete on disk."""

    def __init__(self, folder):
        self.folder = folder
        self.videos = plan_batch(Settings(template="a (kiss) [one|two]")).videos
        for video in self.videos:
            path = self.place(video) / "video_001.mp4"
            maps = path.parent / "attention_maps" / "vid001.safetensors"
            maps.parent.mkdir(parents=True)
            path.write_bytes(b"a video")
            maps.write_bytes(b"maps")
            write_manifest(path, [maps], {"video_id": video.video_id})
        self.first = self.place(self.videos[0])

    def place(self, video):
        return (self.folder / video.manifest).parent

    @property
    def manifest(self):
        return self.first / "video_001.complete.json"

    def missing(self, **how):
        return [video.video_id for video in missing_videos(self.folder, self.videos, **how)]

    def edit(self, **fields):
        self.manifest.write_text(json.dumps({**json.loads(self.manifest.read_text()), **fields}))


@pytest.fixture
def batch(tmp_path):
    return Batch(tmp_path)


def test_a_whole_batch_misses_nothing_and_says_nothing(batch, caplog):
    assert batch.missing(verify=True) == []
    assert caplog.messages == []


def test_a_video_that_was_never_made_is_missing_without_a_word(batch, caplog):
    batch.manifest.unlink()
    assert batch.missing() == ["prompt_001_vid001"]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda batch: batch.manifest.write_text(""), "video_001.complete.json is not JSON"),
        (lambda batch: batch.manifest.write_text("[" * 100_000), "brackets inside brackets"),
        (lambda batch: (batch.first / "video_001.mp4").unlink(), "video_001.mp4: found nothing; expected 7 bytes"),
        (lambda batch: (batch.first / "video_001.mp4").write_bytes(b"cut"), "found 3 bytes; expected 7 bytes"),
        (lambda batch: (batch.first / "attention_maps/vid001.safetensors").unlink(), "found nothing; expected 4 bytes"),
        (lambda batch: batch.edit(video_id="prompt_002_vid001"), "found another document"),
        (lambda batch: batch.edit(files=None), "found no list of files"),
        (lambda batch: batch.edit(files={}), "expected the size and the digest of 'video_001.mp4'; found None"),
        (lambda batch: batch.edit(attention=["../../x"], files={}), "expected the size and the digest of"),
        (lambda batch: batch.edit(attention=["a\0b"]), "expected the size and the digest of"),
    ],
    ids=["empty", "brackets", "no video", "cut video", "no maps", "another id", "no files", "no record", "..", "NUL"],
)
def test_a_damaged_video_is_missing_and_the_log_says_why(batch, caplog, damage, reason):
    damage(batch)
    assert batch.missing() == ["prompt_001_vid001"]
    (message,) = caplog.messages
    assert message.startswith("prompt_001_vid001 is made again: ")
    assert reason in message
    assert not is_complete(batch.folder, batch.videos[0])


def test_content_is_compared_if_a_file_is_newer_than_its_manifest(batch):
    video = batch.first / "video_001.mp4"
    video.write_bytes(b"another")
    written = batch.manifest.stat().st_mtime_ns
    os.utime(video, ns=(written, written))
    assert batch.missing() == []
    os.utime(video, ns=(written + 1, written + 1))
    assert batch.missing() == ["prompt_001_vid001"]


def test_content_of_every_file_is_compared_on_request(batch, monkeypatch):
    read = []
    monkeypatch.setattr(inventory, "fingerprint", lambda path: read.append(path.name) or {"sha256": "other"})
    assert defect(batch.folder, batch.videos[0]) is None
    assert read == []
    assert "found other content than was written" in defect(batch.folder, batch.videos[0], verify=True)


def rendered(batch, **fields):
    receipt = {"status": "rendered", "manifest_sha256": hashlib.sha256(batch.manifest.read_bytes()).hexdigest()}
    path = batch.first / "attention_videos" / "prompt_001_vid001.rendered.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**receipt, **fields}))
    (batch.first / "attention_maps/vid001.safetensors").unlink()
    (batch.first / "video_001.mp4").unlink()


def test_files_that_were_removed_after_the_rendering_are_not_missed(batch):
    rendered(batch)
    assert batch.missing() == []


@pytest.mark.parametrize("fields", [{"status": "failed"}, {"manifest_sha256": "of another video"}])
def test_files_are_missed_if_the_rendering_failed_or_was_of_another_video(batch, fields):
    rendered(batch, **fields)
    assert batch.missing() == ["prompt_001_vid001"]


def test_a_folder_in_the_place_of_a_manifest_is_refused(batch):
    batch.manifest.unlink()
    batch.manifest.mkdir()
    with pytest.raises(ResumeError, match=r"video_001\.complete\.json: found something other than a file"):
        batch.missing()


@pytest.mark.parametrize("linked", ["videos", "videos/prompt_001", "videos/prompt_001/attention_maps"])
def test_nothing_is_replaced_through_a_link(batch, linked, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "folder"
    (batch.folder / linked).rename(elsewhere)
    (batch.folder / linked).symlink_to(elsewhere)
    with pytest.raises(ResumeError, match=f"{linked} is a link to {elsewhere}; expected a folder of this batch"):
        batch.missing()
