import errno
import json
import logging
import os
import time

import pytest

import tests.planning
from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.fingerprint import EARLIER_DEFAULTS
from attnwatch.contract.manifest import read_manifest, verify
from attnwatch.contract.reading import MAX_RECEIPT_BYTES
from attnwatch.contract.receipts import Place, failure, record_content, success
from attnwatch.errors import JobError
from attnwatch.settings import Watcher
from attnwatch.watch.decision import GivenUp, Refused, Render, Settled
from tests.legacy_support import OldBatch
from tests.planning import due, needs_nothing, seconds_to_wait
from tests.support import Batch, read_receipt, wait_until, write_json, write_manifest, write_receipt

OUTPUT = OutputRecord(file="x_attention.mp4", kind="attention", token="kiss", bytes=1, scale=(0.0, 1.0))
INPUTS = ["video_001.mp4", "attention_maps/vid001.safetensors"]
IMPATIENT = Settings(watcher=Watcher(settle_time=0))
"""A file that is newer than its manifest counts as finished at once."""


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


@pytest.fixture
def manifest(batch):
    return batch.add()


def watching(manifest, **options):
    return tests.planning.watching(manifest.parent, **options)


def planned(watcher, manifest):
    """Decide about a video that is due now; return its task."""
    return due(watcher.decide(Target(manifest)))


def render(task, content=None):
    task.place.write(success(task.place, task.fingerprint, (OUTPUT,), (), 1.0, content=content or {}))
    (task.place.directory / OUTPUT.file).touch()


def fail(task, **limits):
    task.place.write(failure(task.place, task.fingerprint, JobError("crashed"), 1.0, Watcher(**limits)))


def test_a_video_without_a_receipt_is_due_now(manifest):
    task = planned(watching(manifest), manifest)
    assert task.stored.receipt is None
    assert task.place.path == manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json"


def test_a_rendered_video_is_up_to_date(manifest):
    render(planned(watching(manifest), manifest))
    afterwards = watching(manifest)
    assert needs_nothing(afterwards.decide(Target(manifest)))
    assert afterwards.ledger.decisions.videos() == 1


def test_a_rendered_video_is_due_when_an_input_changes(manifest):
    render(planned(watching(manifest), manifest))
    with (manifest.parent / "video_001.mp4").open("ab") as file:
        file.write(b".")
    assert planned(watching(manifest, settings=IMPATIENT), manifest)


@pytest.mark.parametrize("names", [INPUTS[:1], INPUTS[1:], INPUTS])
def test_a_rendered_video_stays_up_to_date_when_inputs_are_removed(manifest, names):
    render(planned(watching(manifest), manifest))
    for name in names:
        (manifest.parent / name).unlink()
    afterwards = watching(manifest, once=True, by_name=True)
    assert needs_nothing(afterwards.decide(Target(manifest)))
    assert afterwards.ledger.decisions.videos() == 1
    assert not afterwards.ledger.given_up


@pytest.mark.parametrize(("removed", "is_due"), [([], True), (INPUTS[:1], False), (INPUTS, False)])
def test_a_newer_renderer_renders_again_only_videos_that_have_all_their_inputs(manifest, removed, is_due):
    task = planned(watching(manifest), manifest)
    render(task)
    receipt = task.place.read()
    task.place.write(receipt.model_copy(update={"renderer": 1}))  # whose pictures are not valid any more
    for name in removed:
        (manifest.parent / name).unlink()
    afterwards = watching(manifest)
    assert needs_nothing(afterwards.decide(Target(manifest))) is not is_due
    assert not afterwards.ledger.given_up


def test_a_video_is_due_when_both_an_output_and_an_input_are_removed(manifest):
    task = planned(watching(manifest), manifest)
    render(task)
    (manifest.parent / "video_001.mp4").unlink()
    (task.place.directory / OUTPUT.file).unlink()
    assert planned(watching(manifest), manifest)


def test_a_failed_video_is_due_when_an_input_is_removed(manifest):
    fail(planned(watching(manifest), manifest))
    (manifest.parent / "video_001.mp4").unlink()
    assert planned(watching(manifest), manifest)


@pytest.mark.parametrize(
    "asked",
    [
        {"force": True, "settings": IMPATIENT},
        {"settings": Settings(watcher=Watcher(settle_time=0), visualization={"colormap": "bone"})},
    ],
)
def test_a_rendered_video_is_given_up_when_new_pictures_need_removed_tensors(manifest, asked, caplog):
    render(planned(watching(manifest), manifest))
    tensors = manifest.parent / INPUTS[1]
    data = tensors.read_bytes()
    tensors.unlink()
    watcher = watching(manifest, **asked)
    assert needs_nothing(watcher.rescan(Target(manifest)))
    assert watcher.ledger.decisions.is_settled(Target(manifest))
    assert watcher.ledger.given_up == {Target(manifest)}
    assert f"{manifest}: found no {INPUTS[1]}, which was removed after the last rendering" in caplog.text
    assert "the existing outputs are kept" in caplog.text
    tensors.write_bytes(data)
    assert due(watcher.rescan(Target(manifest)))
    assert not watcher.ledger.given_up


@pytest.mark.parametrize(
    "asked",
    [
        {"force": True, "settings": IMPATIENT},
        {"settings": Settings(watcher=Watcher(settle_time=0), visualization={"colormap": "bone"})},
    ],
)
def test_new_pictures_are_due_even_if_the_source_video_was_removed(manifest, asked):
    render(planned(watching(manifest), manifest))
    (manifest.parent / INPUTS[0]).unlink()
    task = planned(watching(manifest, **asked), manifest)
    assert task.obstacle(video_may_be_absent=True) is None


def test_force_renders_an_up_to_date_video(manifest):
    render(planned(watching(manifest), manifest))
    assert planned(watching(manifest, force=True), manifest)


def test_force_ignores_a_receipt_only_until_the_video_fails(manifest):
    forcing = watching(manifest, force=True)
    task = planned(forcing, manifest)
    fail(task)
    forcing.ledger.decisions.note_failed(task.target)
    assert seconds_to_wait(forcing.decide(Target(manifest))) > 1


@pytest.mark.parametrize("touched", [False, True])
def test_what_an_older_renderer_made_is_rendered_again_on_request_only(manifest, touched):
    render(task := planned(watching(manifest), manifest))
    older = task.place.read()
    unchosen = {name: value for name, value in older.settings.items() if name not in {"overlay", "upsampling"}}
    before = {**unchosen, **EARLIER_DEFAULTS[2]}
    task.place.write(older.model_copy(update={"renderer": 2, "settings": before}))
    if touched:
        os.utime(manifest.parent / INPUTS[0])
    else:
        assert needs_nothing(watching(manifest).decide(Target(manifest)))
    again = watching(manifest, outdated=True, settings=IMPATIENT)
    task = planned(again, manifest)
    assert not task.recheck
    render(task)
    again.ledger.note_rendered(task)
    assert needs_nothing(again.decide(Target(manifest)))
    assert needs_nothing(watching(manifest, outdated=True).decide(Target(manifest)))


def test_a_rendering_replaced_by_another_watcher_is_not_repeated(manifest):
    watcher = watching(manifest)
    task = planned(watcher, manifest)
    render(task)
    watcher.ledger.note_rendered(task)
    other = watching(manifest, settings=Settings(visualization={"colormap": "bone"}))
    render(planned(other, manifest))
    assert needs_nothing(watcher.decide(Target(manifest)))


def test_a_video_rendered_in_this_run_is_due_when_its_receipt_is_deleted(manifest):
    watcher = watching(manifest)
    task = planned(watcher, manifest)
    render(task)
    watcher.ledger.note_rendered(task)
    task.place.path.unlink()
    assert planned(watcher, manifest)


def test_a_failed_video_waits_for_its_next_attempt(manifest):
    fail(planned(watching(manifest), manifest))
    decision = watching(manifest).decide(Target(manifest))
    assert 20 < seconds_to_wait(decision) < 40
    assert decision.why == "its last attempt failed"
    assert decision.task.stored.receipt.status == "failed"


@pytest.mark.parametrize("options", [{"once": True}, {"once": True, "by_name": True}])
def test_a_single_run_does_not_wait_for_the_next_attempt(manifest, options):
    fail(planned(watching(manifest), manifest))
    assert planned(watching(manifest, **options), manifest)


def test_a_given_up_video_is_retried_only_by_name(manifest):
    fail(planned(watching(manifest), manifest), max_attempts=1)
    watcher = watching(manifest, once=True)
    assert isinstance(watcher.decide(Target(manifest)), GivenUp)
    assert watcher.ledger.given_up == {Target(manifest)}
    assert planned(watching(manifest, once=True, by_name=True), manifest)


def test_a_batch_can_disable_renderings_per_video_except_by_name(batch):
    manifest = batch.add(visualization={"auto_generate_per_video": False})
    assert needs_nothing(watching(manifest).decide(Target(manifest)))
    assert planned(watching(manifest, once=True, by_name=True), manifest)


def test_the_watchers_settings_override_those_of_the_batch(batch):
    manifest = batch.add(visualization={"auto_generate_per_video": False, "colormap": "bone", "quality": "high"})
    own = Settings(visualization={"auto_generate_per_video": True, "colormap": "cool"})
    task = planned(watching(manifest, settings=own), manifest)
    assert (task.settings.colormap, task.settings.quality) == ("cool", "high")


def test_an_unknown_setting_is_ignored_with_one_warning(batch, caplog):
    manifest = batch.add(visualization={"glitter": 1})
    watcher = watching(manifest)
    assert planned(watcher, manifest)
    assert planned(watcher, manifest)
    (record,) = caplog.records
    assert str(manifest) in record.message
    assert "'glitter'" in record.message


REFUSED = [{"video": "../v.mp4"}, {"format": "attnwatch/2"}, {"visualization": {"overlay_alpha": 7}}]


@pytest.mark.parametrize("fields", REFUSED)
def test_a_refused_manifest_gets_a_receipt_with_the_reason(batch, fields):
    manifest = batch.add(**fields)
    watcher = watching(manifest)
    assert needs_nothing(watcher.decide(Target(manifest)))
    assert watcher.ledger.given_up == {Target(manifest)}
    receipt = read_receipt(manifest)
    assert receipt["status"] == "failed"
    assert receipt["next_attempt"] is None
    assert receipt["attempts"][0]["error"].startswith("video_001.complete.json: ")


@pytest.mark.parametrize("fields", REFUSED)
def test_a_folder_under_two_paths_gets_one_receipt_for_a_refused_manifest(batch, tmp_path, fields):
    """Otherwise two watchers would replace each other's receipts for ever."""
    manifest = batch.add(**fields)
    alias = tmp_path / "alias"
    alias.symlink_to(batch.folder)
    watching(manifest).decide(Target(manifest))
    before = read_receipt(manifest)
    for path in (alias / manifest.relative_to(batch.folder), manifest):
        watching(path).decide(Target(path))
        assert read_receipt(manifest) == before


UNREADABLE = [b"", b"{", b"[]", b"\xff", b'{"format": "attnwatch/2"}', b" " * (MAX_RECEIPT_BYTES + 1)]


@pytest.mark.parametrize("content", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_video_with_an_unreadable_receipt_is_left_alone_with_one_warning(manifest, caplog, content):
    """It may be the receipt of a later version: replacing it would start a fight without end."""
    receipt = write_receipt(manifest).path
    receipt.write_bytes(content)
    watcher = watching(manifest)
    assert needs_nothing(watcher.rescan(Target(manifest)))
    assert watcher.rescan(Target(manifest)) is None
    watcher.reload(Settings())
    assert needs_nothing(watcher.rescan(Target(manifest)))
    assert watcher.ledger.given_up == {Target(manifest)}
    assert receipt.read_bytes() == content
    assert [str(receipt) in record.message for record in caplog.records] == [True, True]  # again after the reload
    assert "delete it" in caplog.records[0].message
    assert f"`attnwatch render {manifest}` replaces it" in caplog.records[0].message


@pytest.mark.parametrize("options", [{"force": True}, {"by_name": True}])
def test_an_unreadable_receipt_is_replaced_on_request(manifest, options):
    write_receipt(manifest).path.write_bytes(b"{")
    assert planned(watching(manifest, once=True, **options), manifest)


def test_a_deleted_unreadable_receipt_makes_its_video_due(manifest):
    receipt = write_receipt(manifest).path
    receipt.write_bytes(b"{")
    watcher = watching(manifest)
    watcher.rescan(Target(manifest))
    receipt.unlink()
    assert due(watcher.rescan(Target(manifest)))


def test_a_receipt_that_cannot_be_opened_at_the_moment_is_looked_at_again(manifest, monkeypatch, caplog):
    write_receipt(manifest)

    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    watcher = watching(manifest)
    with monkeypatch.context() as for_now:
        for_now.setattr(Place, "look", denied)
        assert needs_nothing(watcher.rescan(Target(manifest)))
        assert needs_nothing(watcher.rescan(Target(manifest)))
    (record,) = caplog.records
    assert "cannot be read (Permission denied)" in record.message
    assert "delete it" in record.message
    assert isinstance(watcher.rescan(Target(manifest)), Settled)


def test_a_video_that_failed_with_other_settings_is_tried_once_with_these_and_given_up(manifest):
    """Two watchers with different settings do not make each other forget their attempts."""
    here, there = (Settings(visualization={"colormap": name}) for name in ("bone", "cool"))
    for settings in (here, there):
        task = due(watching(manifest, settings=settings).decide(Target(manifest)))
        once = Watcher(max_attempts=1)
        task.place.write(failure(task.place, task.fingerprint, JobError("crashed"), 0.1, once))
    for settings in (here, there):
        assert isinstance(watching(manifest, settings=settings).decide(Target(manifest)), GivenUp)


@pytest.mark.parametrize("fields", REFUSED)
def test_a_refused_manifest_is_reported_once(batch, fields, caplog):
    manifest = batch.add(**fields)
    watcher = watching(manifest)
    watcher.decide(Target(manifest))
    before = read_receipt(manifest)
    watcher.decide(Target(manifest))
    watching(manifest).decide(Target(manifest))
    assert read_receipt(manifest) == before
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2  # one from each planner
    assert str(manifest) in warnings[0].message


def test_of_several_problems_the_log_has_the_first_and_the_receipt_all(batch, caplog):
    manifest = batch.add(video="../v.mp4", attention=["/a", "/b"])
    watching(manifest).decide(Target(manifest))
    (record,) = caplog.records
    assert "video: found" in record.message
    assert "attention" not in record.message
    assert "(and 2 more; `attnwatch check` lists all)" in record.message
    assert read_receipt(manifest)["attempts"][0]["error"].count("video_001.complete.json: ") == 3


def test_a_refused_manifest_is_due_once_it_is_corrected(batch):
    manifest = batch.add(video="../v.mp4")
    watcher = watching(manifest)
    watcher.decide(Target(manifest))
    batch.add()
    assert planned(watcher, manifest)
    assert watcher.ledger.given_up == set()


def test_a_dry_run_writes_nothing(batch):
    manifest = batch.add(video="../v.mp4")
    assert needs_nothing(watching(manifest, once=True, dry_run=True).decide(Target(manifest)))
    assert not (manifest.parent / "attention_videos").exists()


def test_a_deleted_manifest_is_ignored_silently(manifest, caplog):
    manifest.unlink()
    watcher = watching(manifest)
    assert needs_nothing(watcher.decide(Target(manifest)))
    assert watcher.ledger.given_up == set()
    assert caplog.records == []


def test_an_unwritable_receipt_raises_no_error(batch):
    manifest = batch.add(video="../v.mp4")
    (manifest.parent / "attention_videos").touch()
    assert needs_nothing(watching(manifest).decide(Target(manifest)))


def test_two_refused_manifests_do_not_share_a_receipt(batch):
    first = batch.add(1, video="../v.mp4")
    second = write_manifest(first.with_name("dog.complete.json"), video="../v.mp4")
    watcher = watching(first)
    for manifest in (first, second):
        watcher.decide(Target(manifest))
    assert read_receipt(first)["video_id"] == "prompt_001_vid001"
    assert read_receipt(second)["video_id"] == "prompt_001_dog"


def test_a_receipt_can_be_written_in_a_folder_whose_name_is_not_utf8(tmp_path):
    manifest = write_manifest(tmp_path / "\udcff" / "v.complete.json", video="../v.mp4")
    watching(manifest).decide(Target(manifest))
    assert json.loads((manifest.parent / "attention_videos" / "__v.rendered.json").read_text())["status"] == "failed"


def test_a_second_video_with_the_same_id_is_refused(batch, caplog):
    first, second = (batch.add(number, video_id="same") for number in (1, 2))
    watcher = watching(first)
    render(planned(watcher, first))
    assert needs_nothing(watcher.decide(Target(second)))
    assert watcher.ledger.given_up == {Target(second)}
    assert "video_id: found 'same', which" in caplog.text
    first.unlink()
    assert planned(watcher, second)
    assert not watcher.ledger.given_up


def test_a_running_watcher_keeps_a_rendering_that_was_requested_by_name(manifest):
    render(planned(watching(manifest), manifest))
    watcher = watching(manifest)
    assert needs_nothing(watcher.decide(Target(manifest)))
    other = watching(manifest, settings=Settings(visualization={"colormap": "bone"}), by_name=True)
    render(planned(other, manifest))
    assert needs_nothing(watcher.decide(Target(manifest)))
    assert planned(watching(manifest), manifest)  # a new run applies its own settings


@pytest.fixture
def readings(monkeypatch):
    """Paths of the manifests that were read, in order."""
    read = []

    def spy(path, root):
        read.append(path)
        return read_manifest(path, root)

    monkeypatch.setattr("attnwatch.watch.plan.read_video", spy)
    return read


@pytest.fixture
def settled(manifest):
    """A planner and a ledger that have settled the rendered video."""
    task = planned(watching(manifest), manifest)
    content = record_content(task.basis.stamps, verify(task.manifest, video_may_be_absent=False))
    render(task, content)
    watcher = watching(manifest)
    assert needs_nothing(watcher.decide(Target(manifest)))
    return watcher


def test_a_settled_video_is_not_read_again(settled, manifest, readings):
    for _ in range(3):
        assert needs_nothing(settled.rescan(Target(manifest)))
    assert readings == []


def test_a_due_video_is_not_settled(manifest, readings):
    watcher = watching(manifest)
    for _ in range(2):
        assert due(watcher.rescan(Target(manifest)))
    assert len(readings) == 2


def test_a_disabled_rendering_is_settled_until_its_manifest_changes(batch, readings):
    manifest = batch.add(visualization={"auto_generate_per_video": False})
    watcher = watching(manifest)
    for _ in range(3):
        assert needs_nothing(watcher.rescan(Target(manifest)))
    assert len(readings) == 1
    batch.add(visualization={"auto_generate_per_video": True})
    assert due(watcher.rescan(Target(manifest)))


def test_a_settled_video_is_due_when_its_manifest_changes(settled, manifest, batch):
    batch.add(visualization={"colormap": "bone"})
    assert not due(settled.rescan(Target(manifest))).recheck


def test_a_settled_video_is_due_when_its_receipt_is_deleted(settled, manifest):
    (manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json").unlink()
    task = due(settled.rescan(Target(manifest)))
    assert not task.recheck


@pytest.mark.parametrize("name", INPUTS)
def test_a_settled_video_is_due_when_an_input_grows(settled, manifest, name):
    with (manifest.parent / name).open("ab") as file:
        file.write(b".")
    settled.reload(IMPATIENT)
    assert not due(settled.rescan(Target(manifest))).recheck


@pytest.mark.parametrize("name", INPUTS)
def test_a_file_that_grows_after_its_manifest_is_waited_for(batch, name):
    manifest = batch.add()
    watcher, settle_time = watching(manifest), Watcher().settle_time
    for _ in range(3):  # each time it has grown again
        grow(manifest.parent / name, after=manifest)
        assert settle_time - 5 < seconds_to_wait(watcher.rescan(Target(manifest))) <= settle_time
    settled = Settings(watcher=Watcher(settle_time=0.05))
    watcher.reload(settled)
    assert wait_until(lambda: isinstance(watcher.rescan(Target(manifest)), Render))


def grow(path, after):
    """Append to a file until its time is later than that of another one, whatever the resolution of times."""
    while True:
        with path.open("ab") as file:
            file.write(b".")
        if path.stat().st_mtime_ns > after.stat().st_ctime_ns:
            return
        time.sleep(0.001)


def test_a_manifest_that_was_prepared_first_and_renamed_last_is_not_older_than_its_files(batch):
    manifest = batch.add()
    prepared = manifest.rename(manifest.with_name(".prepared"))
    grow(manifest.parent / INPUTS[0], after=prepared)
    time.sleep(0.02)
    prepared.rename(manifest)
    assert due(watching(manifest).decide(Target(manifest)))


def test_a_file_whose_size_the_manifest_lists_is_not_waited_for(batch):
    manifest = batch.add_full()
    grow(manifest.parent / INPUTS[0], after=manifest)
    assert due(watching(manifest).decide(Target(manifest)))


@pytest.mark.parametrize("name", INPUTS)
def test_a_settled_video_is_settled_again_when_an_input_is_removed(settled, manifest, name):
    (manifest.parent / name).unlink()
    assert not settled.ledger.decisions.is_settled(Target(manifest))
    assert needs_nothing(settled.rescan(Target(manifest)))
    assert settled.ledger.decisions.is_settled(Target(manifest))


@pytest.mark.parametrize(("gone", "touched"), [INPUTS, INPUTS[::-1]])
def test_a_touched_input_is_rechecked_even_if_another_was_removed(settled, manifest, gone, touched):
    (manifest.parent / gone).unlink()
    os.utime(manifest.parent / touched, ns=(0, 0))
    task = due(settled.rescan(Target(manifest)))
    assert task.recheck
    assert task.obstacle(video_may_be_absent=False) is None


@pytest.mark.parametrize("name", INPUTS)
def test_a_touched_input_is_rechecked_by_its_content(settled, manifest, name):
    os.utime(manifest.parent / name, ns=(0, 0))
    task = due(settled.rescan(Target(manifest)))
    assert task.recheck


def test_a_failed_video_whose_content_is_unknown_is_tried_again_when_a_file_is_touched(manifest):
    """Its job crashed, or a file could not be read: perhaps its permissions were changed."""
    task = planned(watching(manifest), manifest)
    content = record_content(task.basis.stamps, {})
    task.place.write(failure(task.place, task.fingerprint, JobError("crashed"), 1.0, Watcher(), content=content))
    (manifest.parent / INPUTS[0]).chmod(0o600)
    assert not due(watching(manifest).decide(Target(manifest))).recheck


def test_an_input_replaced_by_one_of_the_same_size_is_rechecked(settled, manifest):
    video = manifest.parent / "video_001.mp4"
    other = video.with_name("other")
    other.write_bytes(bytes(video.stat().st_size))
    other.rename(video)
    assert due(settled.rescan(Target(manifest))).recheck


def test_force_renders_a_touched_input_without_a_recheck(settled, manifest):
    (manifest.parent / "video_001.mp4").touch()
    assert not planned(watching(manifest, force=True, settings=IMPATIENT), manifest).recheck


def test_touching_an_input_of_a_failed_video_causes_a_new_attempt(manifest):
    task = planned(watching(manifest), manifest)
    content = record_content(task.basis.stamps, {})
    task.place.write(failure(task.place, task.fingerprint, JobError("crashed"), 1.0, Watcher(), content=content))
    watcher = watching(manifest)
    assert seconds_to_wait(watcher.rescan(Target(manifest))) > 1
    os.utime(manifest.parent / "video_001.mp4", ns=(0, 0))
    task = due(watcher.rescan(Target(manifest)))
    assert not task.recheck


def test_a_collection_is_due_again_when_the_end_of_its_batch_changes(batch):
    manifest = batch.add(visualization={"auto_generate_videos": True, "normalization": "batch"})
    ending = write_json(batch.folder / "batch.complete.json", {"status": "interrupted"})
    target, watcher = Target(manifest, batch.folder), watching(manifest)
    task = due(watcher.rescan(target))
    render(task)
    watcher.ledger.note_rendered(task)
    assert needs_nothing(watcher.rescan(target))
    assert watcher.ledger.decisions.is_settled(target)
    write_json(ending, {"status": "complete"})
    assert not watcher.ledger.decisions.is_settled(target)
    assert due(watcher.rescan(target))


@pytest.mark.parametrize("fields", REFUSED)
def test_a_refused_manifest_is_settled_until_it_changes(batch, fields, readings):
    manifest = batch.add(**fields)
    watcher = watching(manifest)
    for _ in range(3):
        assert needs_nothing(watcher.rescan(Target(manifest)))
    assert len(readings) == 1
    assert Target(manifest) in watcher.ledger.given_up
    batch.add()
    assert due(watcher.rescan(Target(manifest)))
    assert watcher.ledger.given_up == set()


def test_a_deleted_receipt_of_a_refused_manifest_is_written_again(batch):
    manifest = batch.add(video="../v.mp4")
    watcher = watching(manifest)
    watcher.decide(Target(manifest))
    (manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json").unlink()
    assert needs_nothing(watcher.rescan(Target(manifest)))
    assert read_receipt(manifest)["status"] == "failed"


def test_an_unreadable_manifest_is_read_again_and_gets_no_receipt(batch, readings, caplog):
    manifest = batch.prompt() / "video_001.complete.json"
    manifest.mkdir(parents=True)
    watcher = watching(manifest)
    for _ in range(3):
        assert needs_nothing(watcher.rescan(Target(manifest)))
    assert len(readings) == 3
    assert len(caplog.records) == 1
    assert read_receipt(manifest) is None
    manifest.rmdir()
    batch.add()
    assert due(watcher.rescan(Target(manifest)))


def test_a_reload_forgets_settled_decisions(settled, manifest):
    settled.reload(Settings(visualization={"colormap": "bone"}))
    assert due(settled.rescan(Target(manifest))).settings.colormap == "bone"


def test_the_owner_of_a_receipt_is_the_video_or_the_collection(batch):
    manifest = batch.add(visualization={"auto_generate_videos": True})
    write_json(batch.folder / "batch.complete.json", {})
    watcher = watching(manifest)
    for target in (Target(manifest), Target(manifest, batch.folder)):
        task = due(watcher.decide(target))
        assert watcher.ledger.decisions.owner(task.place.path) == target
    assert watcher.ledger.decisions.owner(manifest.parent / "attention_videos" / "another.rendered.json") is None


def test_deciding_changes_nothing_until_the_decision_is_applied(batch):
    refused, fine = batch.add(1, video="../v.mp4"), batch.add(2)
    watcher = watching(fine)
    for _ in range(2):
        assert isinstance(watcher.planner.decide(Target(refused)), Refused)
        assert isinstance(watcher.planner.decide(Target(fine)), Render)
    assert read_receipt(refused) is None
    assert watcher.ledger.given_up == set()
    assert watcher.ledger.decisions.videos() == 0
    watcher.decide(Target(refused))
    assert read_receipt(refused)["status"] == "failed"
    assert watcher.ledger.given_up == {Target(refused)}


def test_a_settled_decision_names_the_files_it_depends_on(settled, manifest):
    decision = settled.decide(Target(manifest))
    assert isinstance(decision, Settled)
    assert list(decision.basis.stamps) == INPUTS
    assert decision.basis.receipt == manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json"
    assert decision.basis.receipt_stamp is not None


def test_a_video_of_an_older_batch_is_not_yet_due_while_its_files_change(tmp_path):
    old = OldBatch(tmp_path / "old")
    older = old.add(summary=False, age=5.0)
    decision = watching(older).decide(Target(older))
    assert 0 < seconds_to_wait(decision) <= Watcher().settle_time_unmarked
    assert decision.why == "its files are still changing"


def test_watchers_that_word_a_refusal_differently_do_not_replace_each_others_receipts_for_ever(batch):
    manifest = batch.add(video="../v.mp4")
    mine = watching(manifest)
    mine.decide(Target(manifest))
    own = read_receipt(manifest)
    path = manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json"
    theirs = {**own, "manifest_sha256": "0" * 64, "attempts": [{**own["attempts"][0], "error": "other words"}]}
    write_json(path, theirs)
    mine.rescan(Target(manifest))
    assert read_receipt(manifest) == theirs
    batch.add(video="../another.mp4")
    mine.rescan(Target(manifest))
    assert "another.mp4" in read_receipt(manifest)["attempts"][0]["error"]


def test_an_unforeseen_error_is_the_refusal_of_one_video(batch, monkeypatch, caplog):
    manifest = batch.add()

    def fail(*arguments, **keywords):
        raise RecursionError("nobody has foreseen this")

    monkeypatch.setattr("attnwatch.watch.plan.read_video", fail)
    watcher = watching(batch.folder)
    assert isinstance(watcher.decide(Target(manifest)), Refused)
    assert watcher.rescan(Target(manifest)) is None
    assert "RecursionError: nobody has foreseen this" in read_receipt(manifest)["attempts"][-1]["error"]
    (said,) = [message for message in caplog.messages if "foreseen" in message]
    assert manifest.name in said
    assert "Traceback" not in caplog.text


def test_an_unforeseen_error_is_a_refusal_even_where_no_receipt_can_be_placed(batch, monkeypatch):
    manifest = batch.add()

    def fail(*arguments, **keywords):
        raise RecursionError

    monkeypatch.setattr("attnwatch.watch.plan.read_video", fail)
    monkeypatch.setattr("attnwatch.watch.plan.outputs_of", fail)
    watcher = watching(batch.folder)
    assert isinstance(watcher.decide(Target(manifest)), Refused)
    assert Target(manifest) in watcher.ledger.given_up


@pytest.mark.parametrize("connect", ["hardlink_to", "symlink_to"])
def test_an_output_that_is_given_another_name_is_not_rendered_again_as_an_input(batch, connect, caplog):
    manifest = batch.add()
    write_receipt(manifest)
    outputs = manifest.parent / "attention_videos"
    record = OutputRecord(file="out.mp4", kind="overlay", token="kiss", bytes=1, scale=(0, 1))
    (outputs / "out.mp4").write_bytes(b"x")
    place = due_place(manifest)
    place.write(place.read().model_copy(update={"outputs": (record,)}))
    video = manifest.with_name("video_001.mp4")
    video.unlink()
    getattr(video, connect)(outputs / "out.mp4")
    decision = watching(batch.folder).decide(Target(manifest))
    assert isinstance(decision, Refused)
    assert "output" in caplog.text


def due_place(manifest):
    read = read_manifest(manifest)
    return Place(manifest, read.video_id, read.output_directory)
