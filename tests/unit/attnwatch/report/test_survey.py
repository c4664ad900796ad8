import json
import os
from pathlib import Path

import pytest

from attnwatch.report.survey import survey
from attnwatch.system.locks import exclusive
from tests.support import Batch, write_manifest, write_receipt


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


def light(batch, number=1, **fields):
    """Write a finished video; a survey ignores the content of its files."""
    folder = batch.prompt()
    (folder / "attention_maps").mkdir(parents=True, exist_ok=True)
    (folder / f"video_{number:03d}.mp4").write_bytes(b"video")
    (folder / "attention_maps" / "maps.safetensors").write_bytes(b"maps")
    fields = {"attention": ["attention_maps/maps.safetensors"], **fields}
    return write_manifest(folder / f"video_{number:03d}.complete.json", **fields)


def states(root, out=None):
    return [rendering.state for rendering in survey(root, out)]


def test_a_video_without_a_receipt_is_waiting(batch):
    manifest = light(batch)
    (rendering,) = survey(batch.folder)
    assert (rendering.state, rendering.receipt, rendering.batch) == ("waiting", None, None)
    assert (rendering.place.manifest, rendering.place.video_id) == (manifest, "prompt_001_vid001")


def test_a_video_has_the_identifier_in_its_manifest(batch):
    light(batch, video_id="mine")
    (rendering,) = survey(batch.folder)
    assert rendering.place.video_id == "mine"


def test_the_receipt_determines_the_state_of_a_video(batch):
    write_receipt(light(batch, 1))
    write_receipt(light(batch, 2), "crashed")
    assert states(batch.folder) == ["rendered", "failed"]


@pytest.mark.parametrize("name", ["nul\0", "x" * 10_000, "", ".."])
def test_an_input_in_a_receipt_that_is_no_file_makes_the_receipt_stale(batch, name):
    place = write_receipt(light(batch))
    place.write(place.read().model_copy(update={"inputs": {name: 7}}))
    assert states(batch.folder) == ["waiting"]


def test_a_video_that_its_batch_excludes_is_skipped(batch):
    light(batch, visualization={"auto_generate_per_video": False})
    assert states(batch.folder) == ["skipped"]


def test_each_manifest_is_matched_with_its_own_receipt(batch):
    manifests = [light(batch, number, video_id=name) for number, name in enumerate("cab", 1)]
    write_receipt(manifests[1])
    assert states(batch.folder) == ["waiting", "rendered", "waiting"]


def test_names_that_are_not_utf8_are_matched(batch):
    folder = batch.prompt()
    manifest = write_manifest(folder / os.fsdecode(b"\xff.complete.json"), video="v.mp4")
    write_receipt(manifest)
    assert states(batch.folder) == ["rendered"]


@pytest.mark.parametrize("error", [None, "crashed"])
def test_a_video_that_changed_since_its_receipt_is_waiting(batch, error):
    manifest = light(batch)

    def stale(change):
        write_receipt(manifest, error)
        assert states(batch.folder) == ["failed" if error else "rendered"]
        change()
        return states(batch.folder) == ["waiting"]

    assert stale(lambda: manifest.with_name("video_001.mp4").write_bytes(b"another video"))
    assert stale(lambda: light(batch, tokens=[{"slug": "kiss", "text": "kiss"}]))


def test_outputs_count_as_rendered_after_their_inputs_are_deleted(batch):
    manifest = light(batch)
    place = write_receipt(manifest)
    output = place.directory / place.read().outputs[0].file
    output.touch()
    for name in ("video_001.mp4", "attention_maps/maps.safetensors"):
        (manifest.parent / name).unlink()
        assert states(batch.folder) == ["rendered"]
    output.unlink()
    assert states(batch.folder) == ["waiting"]


def test_a_failed_video_is_waiting_when_an_input_is_deleted(batch):
    manifest = light(batch)
    write_receipt(manifest, "crashed")
    manifest.with_name("video_001.mp4").unlink()
    assert states(batch.folder) == ["waiting"]


@pytest.mark.parametrize(("version", "state"), [(10_000, "waiting"), (0, "rendered")])
def test_a_receipt_of_an_earlier_renderer_is_not_valid_and_one_of_a_later_is(batch, monkeypatch, version, state):
    write_receipt(light(batch))
    monkeypatch.setattr("attnwatch.contract.fingerprint.RENDERER_VERSION", version)
    assert states(batch.folder) == [state]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_video_with_a_damaged_receipt_has_failed_until_it_is_deleted(batch, content):
    path = write_receipt(light(batch)).path
    path.write_bytes(content)
    (rendering,) = survey(batch.folder)
    assert (rendering.state, rendering.receipt) == ("failed", None)
    assert str(path) in rendering.problem
    assert "delete it" in rendering.problem
    path.unlink()
    assert states(batch.folder) == ["waiting"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"visualization": 7}', b'{"visualization": []}', b"[" * 100_000]
)
def test_a_damaged_manifest_is_waiting_until_a_watcher_refuses_it(batch, content):
    light(batch).write_bytes(content)
    assert states(batch.folder) == ["waiting"]


def test_a_refused_manifest_counts_as_failed_until_it_is_repaired(batch, tmp_path):
    from attnwatch.batches.targets import Target
    from tests.planning import watching

    for wrong in ({"format": "attnwatch/2"}, {"visualization": {"colormap": "virdis"}}):
        manifest = light(batch, **wrong)
        watching(batch.folder).decide(Target(manifest))
        assert states(batch.folder) == ["failed"]
        light(batch)
        assert states(batch.folder) == ["waiting"]


def test_a_video_is_running_while_its_lock_is_held_and_the_lock_is_not_touched(batch):
    place = write_receipt(light(batch, 1), "crashed")
    light(batch, 2)
    with place.open(create=True) as folder, exclusive(folder, place.video_id):
        assert states(batch.folder) == ["running", "waiting"]
        assert states(batch.folder) == ["running", "waiting"]
    assert states(batch.folder) == ["failed", "waiting"]


def test_the_lock_file_of_a_killed_process_is_ignored(batch):
    place = write_receipt(light(batch))
    (place.directory / f".{place.video_id}.lock").touch()
    assert states(batch.folder) == ["rendered"]


def test_failures_in_the_collection_of_a_batch_are_found(batch):
    manifest = light(batch)
    write_receipt(manifest)
    write_receipt(manifest, "crashed", batch=batch.folder)
    beside, collected = survey(batch.folder.parent)
    assert (beside.state, beside.batch) == ("rendered", None)
    assert (collected.state, collected.batch) == ("failed", batch.folder)
    assert collected.place.path.exists()


def test_a_damaged_receipt_in_the_collection_of_a_batch_is_a_failure_there(batch):
    manifest, other = light(batch, 1, video_id="mine"), light(batch, 2)
    for video in (manifest, other):
        write_receipt(video)
        write_receipt(video, batch=batch.folder)
    damaged = batch.folder / "attention_videos" / "mine.rendered.json"
    damaged.write_bytes(b"{")
    *_, found = survey(batch.folder.parent)
    assert (found.state, found.batch, found.place.manifest, found.place.path) == (
        "failed",
        batch.folder,
        manifest,
        damaged,
    )
    assert str(damaged) in found.problem
    assert states(batch.folder.parent) == ["rendered"] * 3 + ["failed"]


def test_a_damaged_receipt_beside_its_video_is_one_failure(batch):
    folder = batch.folder / "videos"
    light(batch)
    (folder / "prompt_001" / "video_001.mp4").rename(folder / "video_002.mp4")
    (folder / "prompt_001" / "attention_maps").rename(folder / "attention_maps")
    manifest = write_manifest(folder / "video_002.complete.json", attention=["attention_maps/maps.safetensors"])
    write_receipt(manifest).path.write_bytes(b"{")
    assert states(batch.folder.parent).count("failed") == 1


def test_receipts_in_another_folder_are_read_only_from_there(batch, tmp_path):
    manifest, outputs, out = light(batch), batch.folder.parent, tmp_path / "out"
    for place in (write_receipt(manifest), write_receipt(manifest, "crashed", batch=batch.folder)):
        elsewhere = out / place.directory.relative_to(outputs)
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        place.directory.rename(elsewhere)
    assert states(outputs) == ["waiting"]
    assert states(batch.folder, out / batch.folder.name) == ["rendered", "failed"]
    write_receipt(manifest, "crashed")
    assert states(outputs, out) == ["rendered", "failed"]


def test_nothing_outside_the_folder_is_read(batch):
    write_receipt(light(batch), "crashed", batch=batch.folder)
    assert states(batch.prompt()) == ["waiting"]


def test_a_survey_writes_nothing(batch):
    place = write_receipt(light(batch))
    before = {path: path.stat().st_mtime_ns for path in batch.folder.rglob("*")}
    list(survey(batch.folder))
    assert {path: path.stat().st_mtime_ns for path in batch.folder.rglob("*")} == before
    assert json.loads(place.path.read_text())["status"] == "rendered"


def test_a_missing_folder_has_no_videos(tmp_path):
    assert list(survey(Path(tmp_path / "nowhere"))) == []
