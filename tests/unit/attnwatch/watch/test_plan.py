import json
import logging
import os

import pytest

import tests.planning
from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.manifest import read_manifest, verify
from attnwatch.contract.receipts import failure, record_content, success
from attnwatch.errors import JobError
from attnwatch.settings import Watcher
from attnwatch.watch.decision import GivenUp, Refused, Render, Settled
from tests.legacy_support import OldBatch
from tests.planning import due, left_alone, waiting
from tests.support import Batch, read_receipt, write_json, write_manifest

OUTPUT = OutputRecord(file="x_attention.mp4", kind="attention", token="kiss", bytes=1, scale=(0.0, 1.0))
INPUTS = ["video_001.mp4", "attention_maps/vid001.safetensors"]


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


@pytest.fixture
def manifest(batch):
    return batch.add()


def watching(manifest, **options):
    return tests.planning.watching(manifest.parent, **options)


def planned(mine, manifest):
    """Decide about the rendering beside a video, which is due now; return its task."""
    return due(mine.decide(Target(manifest)))


def render(task, content=None):
    task.place.write(success(task.place, task.fingerprint, (OUTPUT,), (), 1.0, content=content or {}))
    (task.place.directory / OUTPUT.file).touch()


def fail(task, **limits):
    task.place.write(failure(task.place, task.fingerprint, JobError("crashed"), 1.0, Watcher(**limits)))


def test_a_video_without_a_receipt_is_to_be_rendered_now(manifest):
    task = planned(watching(manifest), manifest)
    assert task.receipt is None
    assert task.place.path == manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json"


def test_a_rendered_video_is_up_to_date(manifest):
    render(planned(watching(manifest), manifest))
    afterwards = watching(manifest)
    assert left_alone(afterwards.decide(Target(manifest)))
    assert afterwards.ledger.decisions.videos == 1


def test_a_video_whose_inputs_changed_is_to_be_rendered_again(manifest):
    render(planned(watching(manifest), manifest))
    with (manifest.parent / "video_001.mp4").open("ab") as file:
        file.write(b".")
    assert planned(watching(manifest), manifest)


@pytest.mark.parametrize("names", [INPUTS[:1], INPUTS[1:], INPUTS])
def test_a_rendered_video_whose_inputs_were_removed_is_up_to_date(manifest, names):
    render(planned(watching(manifest), manifest))
    for name in names:
        (manifest.parent / name).unlink()
    afterwards = watching(manifest, once=True, by_name=True)
    assert left_alone(afterwards.decide(Target(manifest)))
    assert afterwards.ledger.decisions.videos == 1
    assert not afterwards.ledger.given_up


@pytest.mark.parametrize(("removed", "due"), [([], True), (INPUTS[:1], False), (INPUTS, False)])
def test_a_newer_renderer_renders_again_what_has_all_its_inputs_and_leaves_the_rest(manifest, removed, due):
    task = planned(watching(manifest), manifest)
    render(task)
    receipt = task.place.read()
    task.place.write(receipt.model_copy(update={"renderer": receipt.renderer - 1}))
    for name in removed:
        (manifest.parent / name).unlink()
    afterwards = watching(manifest)
    assert left_alone(afterwards.decide(Target(manifest))) is not due
    assert not afterwards.ledger.given_up


def test_a_video_whose_outputs_were_removed_with_an_input_is_to_be_rendered(manifest):
    task = planned(watching(manifest), manifest)
    render(task)
    (manifest.parent / "video_001.mp4").unlink()
    (task.place.directory / OUTPUT.file).unlink()
    assert planned(watching(manifest), manifest)


def test_a_video_that_failed_and_whose_input_was_removed_is_no_rendered_one(manifest):
    fail(planned(watching(manifest), manifest))
    (manifest.parent / "video_001.mp4").unlink()
    assert planned(watching(manifest), manifest)


@pytest.mark.parametrize("asked", [{"force": True}, {"settings": Settings(visualization={"colormap": "bone"})}])
def test_without_its_tensors_a_rendered_video_is_not_rendered_otherwise_and_it_is_said(manifest, asked, caplog):
    render(planned(watching(manifest), manifest))
    tensors = manifest.parent / INPUTS[1]
    data = tensors.read_bytes()
    tensors.unlink()
    mine = watching(manifest, **asked)
    assert left_alone(mine.look(Target(manifest)))
    assert mine.ledger.decisions.is_settled(Target(manifest))
    assert mine.ledger.given_up == {Target(manifest)}
    assert f"{manifest}: found no {INPUTS[1]}, which was removed after the last rendering" in caplog.text
    assert "the existing outputs are kept" in caplog.text
    tensors.write_bytes(data)
    assert due(mine.look(Target(manifest)))
    assert not mine.ledger.given_up


@pytest.mark.parametrize("asked", [{"force": True}, {"settings": Settings(visualization={"colormap": "bone"})}])
def test_without_its_video_what_can_be_rendered_otherwise_is(manifest, asked):
    render(planned(watching(manifest), manifest))
    (manifest.parent / INPUTS[0]).unlink()
    task = planned(watching(manifest, **asked), manifest)
    assert task.obstacle(video_may_be_absent=True) is None


def test_force_asks_for_what_is_up_to_date(manifest):
    render(planned(watching(manifest), manifest))
    assert planned(watching(manifest, force=True), manifest)


def test_force_gives_a_failing_video_one_turn_and_then_lets_it_wait(manifest):
    forcing = watching(manifest, force=True)
    task = planned(forcing, manifest)
    fail(task)
    forcing.ledger.decisions.note_failed(task.target)
    assert waiting(forcing.decide(Target(manifest))) > 1


def test_what_this_run_rendered_is_not_rendered_again_because_of_another_watchers_settings(manifest):
    mine = watching(manifest)
    task = planned(mine, manifest)
    render(task)
    mine.ledger.note_rendered(task)
    other = watching(manifest, settings=Settings(visualization={"colormap": "bone"}))
    render(planned(other, manifest))
    assert left_alone(mine.decide(Target(manifest)))


def test_what_this_run_rendered_is_rendered_again_when_its_receipt_is_deleted(manifest):
    mine = watching(manifest)
    task = planned(mine, manifest)
    render(task)
    mine.ledger.note_rendered(task)
    task.place.path.unlink()
    assert planned(mine, manifest)


def test_a_failed_video_waits(manifest):
    fail(planned(watching(manifest), manifest))
    decision = watching(manifest).decide(Target(manifest))
    assert 20 < waiting(decision) < 40
    assert decision.why == "its last attempt failed"
    assert decision.task.receipt.status == "failed"


@pytest.mark.parametrize("options", [{"once": True}, {"once": True, "by_name": True}])
def test_whoever_asks_now_does_not_wait(manifest, options):
    fail(planned(watching(manifest), manifest))
    assert planned(watching(manifest, **options), manifest)


def test_a_video_that_was_given_up_is_tried_again_only_by_name(manifest):
    fail(planned(watching(manifest), manifest), max_attempts=1)
    mine = watching(manifest, once=True)
    assert isinstance(mine.decide(Target(manifest)), GivenUp)
    assert mine.ledger.given_up == {Target(manifest)}
    assert planned(watching(manifest, once=True, by_name=True), manifest)


def test_a_batch_may_ask_for_no_rendering_per_video(batch):
    manifest = batch.add(visualization={"auto_generate_per_video": False})
    assert left_alone(watching(manifest).decide(Target(manifest)))
    assert planned(watching(manifest, once=True, by_name=True), manifest)


def test_the_watchers_own_settings_win_over_those_of_the_batch(batch):
    manifest = batch.add(visualization={"auto_generate_per_video": False, "colormap": "bone", "quality": "high"})
    own = Settings(visualization={"auto_generate_per_video": True, "colormap": "cool"})
    task = planned(watching(manifest, settings=own), manifest)
    assert (task.settings.colormap, task.settings.quality) == ("cool", "high")


def test_a_setting_that_nobody_knows_is_said_once_and_does_not_matter(batch, caplog):
    manifest = batch.add(visualization={"glitter": 1})
    mine = watching(manifest)
    assert planned(mine, manifest)
    assert planned(mine, manifest)
    (record,) = caplog.records
    assert str(manifest) in record.message
    assert "'glitter'" in record.message


REFUSED = [{"video": "../v.mp4"}, {"format": "attnwatch/2"}, {"visualization": {"overlay_alpha": 7}}]


@pytest.mark.parametrize("fields", REFUSED)
def test_a_manifest_that_is_refused_gets_a_receipt_that_says_why(batch, fields):
    manifest = batch.add(**fields)
    mine = watching(manifest)
    assert left_alone(mine.decide(Target(manifest)))
    assert mine.ledger.given_up == {Target(manifest)}
    receipt = read_receipt(manifest)
    assert receipt["status"] == "failed"
    assert receipt["next_attempt"] is None
    assert str(manifest) in receipt["attempts"][0]["error"]


@pytest.mark.parametrize("fields", REFUSED)
def test_a_refused_manifest_is_complained_about_once(batch, fields, caplog):
    manifest = batch.add(**fields)
    mine = watching(manifest)
    mine.decide(Target(manifest))
    before = read_receipt(manifest)
    mine.decide(Target(manifest))
    watching(manifest).decide(Target(manifest))
    assert read_receipt(manifest) == before
    complaints = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(complaints) == 2  # two planners, once each
    assert str(manifest) in complaints[0].message


def test_a_refused_manifest_that_was_mended_is_rendered(batch):
    manifest = batch.add(video="../v.mp4")
    mine = watching(manifest)
    mine.decide(Target(manifest))
    batch.add()
    assert planned(mine, manifest)
    assert mine.ledger.given_up == set()


def test_a_dry_run_writes_nothing(batch):
    manifest = batch.add(video="../v.mp4")
    assert left_alone(watching(manifest, once=True, dry_run=True).decide(Target(manifest)))
    assert not (manifest.parent / "attention_videos").exists()


def test_a_manifest_that_vanished_is_nothing_to_complain_about(manifest, caplog):
    manifest.unlink()
    mine = watching(manifest)
    assert left_alone(mine.decide(Target(manifest)))
    assert mine.ledger.given_up == set()
    assert caplog.records == []


def test_a_receipt_that_cannot_be_written_does_not_stop_the_planner(batch):
    manifest = batch.add(video="../v.mp4")
    (manifest.parent / "attention_videos").touch()
    assert left_alone(watching(manifest).decide(Target(manifest)))


def test_two_refused_manifests_do_not_share_a_receipt(batch):
    first = batch.add(1, video="../v.mp4")
    second = write_manifest(first.with_name("dog.complete.json"), video="../v.mp4")
    mine = watching(first)
    for manifest in (first, second):
        mine.decide(Target(manifest))
    assert read_receipt(first)["video_id"] == "prompt_001_vid001"
    assert read_receipt(second)["video_id"] == "prompt_001_dog"


def test_what_is_said_of_a_video_in_a_folder_whose_name_is_no_utf8_can_be_written(tmp_path):
    manifest = write_manifest(tmp_path / "\udcff" / "v.complete.json", video="../v.mp4")
    watching(manifest).decide(Target(manifest))
    assert json.loads((manifest.parent / "attention_videos" / "__v.rendered.json").read_text())["status"] == "failed"


def test_two_videos_of_one_name_do_not_overwrite_each_other(batch, caplog):
    first, second = (batch.add(number, video_id="same") for number in (1, 2))
    mine = watching(first)
    render(planned(mine, first))
    assert left_alone(mine.decide(Target(second)))
    assert mine.ledger.given_up == {Target(second)}
    assert "video_id: found 'same', which" in caplog.text
    first.unlink()
    assert planned(mine, second)
    assert not mine.ledger.given_up


def test_a_good_rendering_that_was_replaced_by_name_meanwhile_is_left_alone(manifest):
    render(planned(watching(manifest), manifest))
    mine = watching(manifest)
    assert left_alone(mine.decide(Target(manifest)))
    other = watching(manifest, settings=Settings(visualization={"colormap": "viridis"}), by_name=True)
    render(planned(other, manifest))
    assert left_alone(mine.decide(Target(manifest)))
    assert planned(watching(manifest), manifest)  # one that starts anew has its own settings


@pytest.fixture
def readings(monkeypatch):
    """The manifests that were read, in order."""
    read = []

    def spy(path):
        read.append(path)
        return read_manifest(path)

    monkeypatch.setattr("attnwatch.watch.plan.read_video", spy)
    return read


@pytest.fixture
def settled(manifest):
    task = planned(watching(manifest), manifest)
    content = record_content(task.basis.stamps, verify(task.manifest, video_may_be_absent=False))
    render(task, content)
    mine = watching(manifest)
    assert left_alone(mine.decide(Target(manifest)))
    return mine


def test_a_settled_video_is_not_read_again(settled, manifest, readings):
    for _ in range(3):
        assert left_alone(settled.look(Target(manifest)))
    assert readings == []


def test_a_video_that_is_due_is_not_settled(manifest, readings):
    mine = watching(manifest)
    for _ in range(2):
        assert due(mine.look(Target(manifest)))
    assert len(readings) == 2


def test_a_video_that_nobody_wants_is_settled_until_its_manifest_changes(batch, readings):
    manifest = batch.add(visualization={"auto_generate_per_video": False})
    mine = watching(manifest)
    for _ in range(3):
        assert left_alone(mine.look(Target(manifest)))
    assert len(readings) == 1
    batch.add(visualization={"auto_generate_per_video": True})
    assert due(mine.look(Target(manifest)))


def test_a_settled_video_whose_manifest_changed_is_rendered_again(settled, manifest, batch):
    batch.add(visualization={"colormap": "bone"})
    assert not due(settled.look(Target(manifest))).recheck


def test_a_settled_video_whose_receipt_was_deleted_is_rendered_again(settled, manifest):
    (manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json").unlink()
    task = due(settled.look(Target(manifest)))
    assert not task.recheck


@pytest.mark.parametrize("name", INPUTS)
def test_a_settled_video_whose_input_is_longer_is_rendered_again(settled, manifest, name):
    with (manifest.parent / name).open("ab") as file:
        file.write(b".")
    assert not due(settled.look(Target(manifest))).recheck


@pytest.mark.parametrize("name", INPUTS)
def test_a_settled_video_whose_input_is_gone_is_left_alone_and_settled_again(settled, manifest, name):
    (manifest.parent / name).unlink()
    assert not settled.ledger.decisions.is_settled(Target(manifest))
    assert left_alone(settled.look(Target(manifest)))
    assert settled.ledger.decisions.is_settled(Target(manifest))


@pytest.mark.parametrize(("gone", "touched"), [INPUTS, INPUTS[::-1]])
def test_of_a_video_with_an_input_gone_and_one_touched_that_one_is_looked_at(settled, manifest, gone, touched):
    (manifest.parent / gone).unlink()
    os.utime(manifest.parent / touched, ns=(0, 0))
    task = due(settled.look(Target(manifest)))
    assert task.recheck
    assert task.obstacle(video_may_be_absent=False) is None


@pytest.mark.parametrize("name", INPUTS)
def test_a_settled_video_with_a_touched_file_is_to_be_looked_at_by_its_content(settled, manifest, name):
    os.utime(manifest.parent / name, ns=(0, 0))
    task = due(settled.look(Target(manifest)))
    assert task.recheck


def test_a_settled_video_whose_file_was_replaced_by_one_of_the_same_size_is_to_be_looked_at(settled, manifest):
    video = manifest.parent / "video_001.mp4"
    other = video.with_name("other")
    other.write_bytes(bytes(video.stat().st_size))
    other.rename(video)
    assert due(settled.look(Target(manifest))).recheck


def test_a_touched_file_is_rendered_again_by_force_whatever_is_in_it(settled, manifest):
    (manifest.parent / "video_001.mp4").touch()
    assert not planned(watching(manifest, force=True), manifest).recheck


def test_a_touched_file_of_a_video_that_failed_asks_for_a_new_attempt(manifest):
    task = planned(watching(manifest), manifest)
    content = record_content(task.basis.stamps, {})
    task.place.write(failure(task.place, task.fingerprint, JobError("crashed"), 1.0, Watcher(), content=content))
    mine = watching(manifest)
    assert waiting(mine.look(Target(manifest))) > 1
    os.utime(manifest.parent / "video_001.mp4", ns=(0, 0))
    task = due(mine.look(Target(manifest)))
    assert not task.recheck


def test_a_collection_is_planned_anew_when_its_batch_ends_otherwise(batch):
    manifest = batch.add(visualization={"auto_generate_videos": True, "normalization": "batch"})
    ending = write_json(batch.folder / "batch.complete.json", {"status": "interrupted"})
    target, mine = Target(manifest, batch.folder), watching(manifest)
    task = due(mine.look(target))
    render(task)
    mine.ledger.note_rendered(task)
    assert left_alone(mine.look(target))
    assert mine.ledger.decisions.is_settled(target)
    write_json(ending, {"status": "complete"})
    assert not mine.ledger.decisions.is_settled(target)
    assert due(mine.look(target))


@pytest.mark.parametrize("fields", REFUSED)
def test_a_refused_manifest_is_settled_until_it_changes(batch, fields, readings):
    manifest = batch.add(**fields)
    mine = watching(manifest)
    for _ in range(3):
        assert left_alone(mine.look(Target(manifest)))
    assert len(readings) == 1
    assert Target(manifest) in mine.ledger.given_up
    batch.add()
    assert due(mine.look(Target(manifest)))
    assert mine.ledger.given_up == set()


def test_a_refused_manifest_whose_receipt_is_gone_gets_another_one(batch):
    manifest = batch.add(video="../v.mp4")
    mine = watching(manifest)
    mine.decide(Target(manifest))
    (manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json").unlink()
    assert left_alone(mine.look(Target(manifest)))
    assert read_receipt(manifest)["status"] == "failed"


def test_a_manifest_that_cannot_be_read_just_now_is_read_again_and_gets_no_receipt(batch, readings, caplog):
    manifest = batch.prompt() / "video_001.complete.json"
    manifest.mkdir(parents=True)
    mine = watching(manifest)
    for _ in range(3):
        assert left_alone(mine.look(Target(manifest)))
    assert len(readings) == 3
    assert len(caplog.records) == 1
    assert read_receipt(manifest) is None
    manifest.rmdir()
    batch.add()
    assert due(mine.look(Target(manifest)))


def test_everything_is_decided_anew_with_other_settings(settled, manifest):
    settled.reload(Settings(visualization={"colormap": "bone"}))
    assert due(settled.look(Target(manifest))).settings.colormap == "bone"


def test_a_receipt_leads_to_the_video_or_to_the_collection(batch):
    manifest = batch.add(visualization={"auto_generate_videos": True})
    write_json(batch.folder / "batch.complete.json", {})
    mine = watching(manifest)
    for target in (Target(manifest), Target(manifest, batch.folder)):
        task = due(mine.decide(target))
        assert mine.ledger.decisions.owner(task.place.path) == target
    assert mine.ledger.decisions.owner(manifest.parent / "attention_videos" / "another.rendered.json") is None


def test_deciding_changes_nothing_until_the_decision_is_applied(batch):
    refused, fine = batch.add(1, video="../v.mp4"), batch.add(2)
    mine = watching(fine)
    for _ in range(2):
        assert isinstance(mine.planner.decide(Target(refused)), Refused)
        assert isinstance(mine.planner.decide(Target(fine)), Render)
    assert read_receipt(refused) is None
    assert mine.ledger.given_up == set()
    assert mine.ledger.decisions.videos == 0
    mine.decide(Target(refused))
    assert read_receipt(refused)["status"] == "failed"
    assert mine.ledger.given_up == {Target(refused)}


def test_a_decision_says_which_files_it_depends_on(settled, manifest):
    decision = settled.decide(Target(manifest))
    assert isinstance(decision, Settled)
    assert list(decision.basis.stamps) == INPUTS
    assert decision.basis.receipt == manifest.parent / "attention_videos" / "prompt_001_vid001.rendered.json"
    assert decision.basis.receipt_stamp is not None


def test_an_older_video_that_is_still_being_written_is_decided_about_later(tmp_path):
    old = OldBatch(tmp_path / "old")
    older = old.add(summary=False, age=5.0)
    decision = watching(older).decide(Target(older))
    assert 0 < waiting(decision) <= Watcher().settle_time_unmarked
    assert decision.why == "its files are still changing"
