from datetime import UTC, datetime

import pytest

from attnwatch.cli.retry import retry
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.receipts import seconds_until_due
from attnwatch.errors import UnknownNameError
from attnwatch.system.locks import exclusive
from tests.support import Batch, write_manifest, write_receipt


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


def light(batch, number=1, **fields):
    return write_manifest(batch.prompt() / f"video_{number:03d}.complete.json", **{"attention": [], **fields})


def tried(root, *names):
    return [(retried.rendering.place.video_id, retried.obstacle) for retried in retry(root, names)]


def test_a_reset_video_is_due_at_once_with_all_its_attempts(batch):
    place = write_receipt(light(batch), "crashed", attempts=3)
    before = place.read()
    assert tried(batch.folder) == [("prompt_001_vid001", None)]
    after = place.read()
    assert (after.status, after.attempts) == ("failed", ())
    assert datetime.fromisoformat(after.next_attempt) <= datetime.now(UTC)
    assert seconds_until_due(after, Fingerprint(after.manifest_sha256, after.settings, after.inputs)) == 0
    assert before.model_copy(update={"attempts": (), "next_attempt": after.next_attempt}) == after


def test_records_of_existing_outputs_are_kept(batch):
    manifest = light(batch)
    outputs = write_receipt(manifest).read().outputs
    place = write_receipt(manifest, "crashed")
    tried(batch.folder)
    assert place.read().outputs == outputs != ()


def test_only_failed_videos_are_reset(batch):
    done, failed = write_receipt(light(batch, 1)), write_receipt(light(batch, 2), "crashed")
    light(batch, 3)
    before = done.read()
    assert tried(batch.folder) == [(failed.video_id, None)]
    assert done.read() == before


def test_an_unreadable_receipt_is_left_alone_with_what_to_do(batch):
    """It may be that of a later version."""
    place = write_receipt(light(batch), "crashed")
    place.path.write_bytes(b'{"format": "attnwatch/2"}')
    ((video_id, obstacle),) = tried(batch.folder)
    assert video_id == "prompt_001_vid001"
    assert "'attnwatch/2'" in obstacle
    assert "delete it" in obstacle
    assert place.path.read_bytes() == b'{"format": "attnwatch/2"}'


def test_videos_can_be_selected_by_identifier(batch):
    places = [write_receipt(light(batch, number), "crashed") for number in (1, 2)]
    assert tried(batch.folder, "prompt_001_vid002") == [("prompt_001_vid002", None)]
    assert [len(place.read().attempts) for place in places] == [1, 0]


def test_a_selected_video_that_did_not_fail_is_left_alone_with_a_reason(batch):
    write_receipt(light(batch))
    assert tried(batch.folder, "prompt_001_vid001") == [("prompt_001_vid001", "not failed but rendered")]


def test_the_error_for_an_unknown_identifier_names_the_nearest_and_nothing_changes(batch):
    place = write_receipt(light(batch), "crashed")
    with pytest.raises(UnknownNameError, match=r"found no video 'prompt_01_vid001' .*did you mean 'prompt_001_vid001'"):
        tried(batch.folder, "prompt_001_vid001", "prompt_01_vid001")
    assert len(place.read().attempts) == 1


def test_any_identifier_is_unknown_in_an_empty_folder(batch):
    with pytest.raises(UnknownNameError, match="no video is finished there"):
        tried(batch.folder, "a")


def test_a_failed_collection_is_reset(batch):
    manifest = light(batch)
    write_receipt(manifest)
    place = write_receipt(manifest, "crashed", batch=batch.folder)
    assert tried(batch.folder.parent) == [("prompt_001_vid001", None)]
    assert place.read().attempts == ()


def test_a_running_video_is_left_alone(batch):
    place = write_receipt(light(batch), "crashed")
    with exclusive(place.directory, place.video_id):
        assert tried(batch.folder) == []
        assert tried(batch.folder, place.video_id) == [(place.video_id, "not failed but running")]
    assert len(place.read().attempts) == 1


def test_a_video_that_was_rendered_in_the_meantime_is_left_alone(batch):
    manifests = [light(batch, number) for number in (1, 2)]
    places = [write_receipt(manifest, "crashed") for manifest in manifests]
    retried = retry(batch.folder)
    assert next(retried).obstacle is None
    write_receipt(manifests[1])
    assert next(retried).obstacle == "rendered in the meantime"
    assert places[1].read().status == "rendered"
