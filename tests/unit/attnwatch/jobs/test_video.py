import contextlib
import errno
import json
import os
import resource
import stat
import tempfile
import threading
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from pathlib import Path

import jsonschema
import pytest
from filelock import FileLock

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.receipts import NOTHING, Place
from attnwatch.contract.schemas import json_schema
from attnwatch.errors import BusyError, VideoError
from attnwatch.jobs.local import LocalEngine, run_here
from attnwatch.jobs.outputs import remove_leftovers
from attnwatch.jobs.video import Job, run
from attnwatch.jobs.work import obstructed
from attnwatch.render.video import render_outputs
from attnwatch.settings import Watcher
from attnwatch.system.files import remove_tree
from attnwatch.system.locks import lock_file
from attnwatch.system.roots import Root
from attnwatch.system.shortage import Shortage
from tests.planning import due, watching
from tests.support import (
    FRAMES,
    Batch,
    blob_maps,
    called_in_a_process,
    decode,
    read_receipt,
    write_manifest,
    write_receipt,
    write_source_video,
    write_tensors,
)

OUTPUTS = [f"prompt_001_vid001_kiss_{kind}.mp4" for kind in ("attention", "overlay", "static")]
RECEIPT = "prompt_001_vid001.rendered.json"
MADE = [*OUTPUTS, "prompt_001_vid001.measures.json", RECEIPT]
INPUTS = ["video_001.mp4", "attention_maps/vid001.safetensors"]


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def job(manifest, *, tokens=None, video_may_be_absent=False, **visualization):
    """Return the job that the watcher would plan for a video."""
    at_once = Watcher(settle_time=0)  # even if a file is newer than its manifest
    settings = Settings(watcher=at_once, visualization={"quality": "fast", "static_duration": 0.2, **visualization})
    planner = watching(manifest.parent, settings=settings, by_name=True, force=True, tokens=tokens)
    task = due(planner.decide(Target(manifest)))
    return Job(
        place=task.place,
        seen=task.stored,
        settings=task.settings,
        tokens=tokens,
        watcher=Watcher(),
        video_may_be_absent=video_may_be_absent,
    )


def names(manifest):
    """Return all names in the output folder, including hidden ones."""
    return sorted(path.name for path in (manifest.parent / "attention_videos").iterdir())


def test_a_job_leaves_only_its_outputs_and_its_receipt(batch):
    manifest = batch.add()
    result = run(job(manifest))
    assert result.obstacle is None
    assert names(manifest) == sorted(MADE)
    for name in OUTPUTS[:2]:
        assert len(decode(manifest.parent / "attention_videos" / name)) == FRAMES


def test_the_receipt_records_outputs_and_inputs(batch):
    manifest = batch.add()
    result = run(job(manifest))
    receipt = read_receipt(manifest)
    jsonschema.validate(receipt, json_schema("receipt"))
    assert receipt == json.loads(result.receipt.model_dump_json())
    assert receipt["status"] == "rendered"
    assert [output["file"] for output in receipt["outputs"]] == OUTPUTS
    for output in receipt["outputs"]:
        assert output["bytes"] == (manifest.parent / "attention_videos" / output["file"]).stat().st_size
    assert receipt["inputs"] == {
        name: (manifest.parent / name).stat().st_size for name in ("video_001.mp4", "attention_maps/vid001.safetensors")
    }


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"{"), os.mkfifo, lambda path: path.symlink_to("x")])
def test_on_request_an_unreadable_receipt_is_replaced(batch, make, tmp_path):
    """The job works with relative paths, the planner with absolute ones: both must see the same receipt."""
    manifest = batch.add(attention=[])
    (manifest.parent / "attention_videos").mkdir()
    make(manifest.parent / "attention_videos" / RECEIPT)
    receiver, sender = Pipe(duplex=False)
    called_in_a_process(run_here, job(manifest), sender)
    assert receiver.recv().obstacle is None
    assert read_receipt(manifest)["status"] == "skipped"


def test_a_folder_that_a_receipt_calls_an_output_is_left_alone(batch):
    manifest = batch.add(attention=[])
    receipt = run(job(manifest)).receipt
    folder = manifest.parent / "attention_videos" / "kept"
    folder.mkdir()
    named = OutputRecord(file="kept", kind="static", token="kiss", bytes=1, scale=(0, 1))
    (folder.parent / RECEIPT).write_text(receipt.model_copy(update={"outputs": (named,)}).model_dump_json())
    assert run(job(manifest, colormap="bone")).receipt.status == "skipped"
    assert folder.is_dir()


def test_a_video_without_tracked_words_is_skipped_with_a_note(batch):
    manifest = batch.add(attention=[])
    run(job(manifest))
    receipt = read_receipt(manifest)
    assert receipt["status"] == "skipped"
    assert receipt["notes"] == ["no word was tracked"]
    assert names(manifest) == [RECEIPT]


@pytest.mark.parametrize(("tensors", "status"), [({}, "rendered"), ({"attention": []}, "skipped")])
def test_maps_that_their_writer_calls_incomplete_are_rendered_with_its_reason_as_a_note(batch, tensors, status):
    reason = "found 2 of 5 denoising steps, because the pipeline was interrupted; expected all"
    manifest = batch.add(**tensors, generation={"capture": {"incomplete": reason}})
    run(job(manifest))
    receipt = read_receipt(manifest)
    assert receipt["status"] == status
    assert receipt["notes"] == [f"the attention is incomplete: {reason}"]


def test_a_video_locked_by_another_process_is_busy(batch):
    manifest = batch.add()
    todo = job(manifest)
    todo.place.directory.mkdir()
    with FileLock(todo.place.directory / ".prompt_001_vid001.lock"):
        result = run(todo)
        assert result.busy
        assert result.receipt is None
        assert names(manifest) == [".prompt_001_vid001.lock"]
    assert run(todo).receipt.status == "rendered"


def test_a_video_rendered_by_another_process_since_planning_is_not_rendered_again(batch):
    manifest = batch.add()
    first, second = job(manifest), job(manifest)
    assert run(first).receipt
    before = read_receipt(manifest)
    result = run(second)
    assert result.busy
    assert read_receipt(manifest) == before


@pytest.mark.parametrize("rendered_first", [False, True])
def test_where_locks_do_not_hold_a_job_that_was_taken_for_dead_writes_nothing_beside_the_next_one(
    batch, monkeypatch, rendered_first
):
    from attnwatch.render import video

    monkeypatch.setattr("attnwatch.jobs.video.exclusive", lambda *_: contextlib.nullcontext())
    manifest, results, render = batch.add(), [], video.render_outputs

    def overtaken(*arguments, **options):
        monkeypatch.setattr(video, "render_outputs", render)
        rendering = render(*arguments, **options) if rendered_first else None
        results.append(run(job(manifest)))
        return rendering or render(*arguments, **options)

    monkeypatch.setattr(video, "render_outputs", overtaken)
    assert run(job(manifest)).busy
    assert results[0].receipt.status == "rendered"
    assert read_receipt(manifest)["attempts"] == [attempt.model_dump() for attempt in results[0].receipt.attempts]
    assert names(manifest) == sorted(MADE)


def test_a_receipt_that_was_replaced_during_the_job_stays(batch, monkeypatch):
    from attnwatch.render import video

    manifest, render = batch.add(), video.render_outputs

    def overtaken(*arguments, **options):
        write_receipt(manifest, "by another process")
        return render(*arguments, **options)

    monkeypatch.setattr(video, "render_outputs", overtaken)
    assert run(job(manifest)).busy
    assert read_receipt(manifest)["attempts"][-1]["error"] == "by another process"
    assert names(manifest) == ["prompt_001_vid001.rendered.json"]


def test_a_job_removes_the_leftovers_of_a_killed_one(batch):
    manifest = batch.add()
    todo = job(manifest)
    leftover = todo.place.directory / ".prompt_001_vid001.tmp"
    leftover.mkdir(parents=True)
    (leftover / f"{OUTPUTS[0]}.partial").write_bytes(b"half of it")
    (todo.place.directory / ".prompt_001_vid001.lock").touch()
    run(todo)
    assert names(manifest) == sorted(MADE)


def test_remove_leftovers_removes_the_files_of_a_killed_job(batch):
    place = job(batch.add()).place
    (place.directory / ".prompt_001_vid001.tmp").mkdir(parents=True)
    (place.directory / ".prompt_001_vid001.lock").touch()
    remove_leftovers(place)
    assert list(place.directory.iterdir()) == []


def test_remove_leftovers_spares_a_running_job(batch):
    place = job(batch.add()).place
    unfinished = place.directory / ".prompt_001_vid001.tmp" / "x.mp4.partial"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()
    with FileLock(place.directory / ".prompt_001_vid001.lock"):
        remove_leftovers(place)
        assert unfinished.exists()


def test_remove_leftovers_waits_for_a_dying_job_to_release_its_lock(batch):
    place = job(batch.add()).place
    (place.directory / ".prompt_001_vid001.tmp").mkdir(parents=True)
    with FileLock(place.directory / ".prompt_001_vid001.lock", thread_local=False) as lock:
        threading.Timer(0.1, lock.release).start()
        remove_leftovers(place, patience=60)
    assert list(place.directory.iterdir()) == []


def test_remove_leftovers_creates_nothing(batch):
    place = job(batch.add()).place
    remove_leftovers(place)
    assert not place.directory.exists()


def test_outputs_that_new_settings_disable_are_removed(batch):
    manifest = batch.add()
    run(job(manifest))
    foreign = manifest.parent / "attention_videos" / "my_favourite.mp4"
    foreign.touch()
    run(job(manifest, generate_overlay=False))
    assert names(manifest) == sorted([*MADE[:1], *MADE[2:], foreign.name])


def test_measures_are_written_and_removed_as_the_settings_say(batch):
    manifest = batch.add()
    run(job(manifest))
    assert read_receipt(manifest)["measures"] == MADE[-2]
    run(job(manifest, measures=False))
    assert names(manifest) == sorted([*OUTPUTS, RECEIPT])
    assert "measures" not in read_receipt(manifest)


def test_a_choice_of_words_and_a_failure_leave_the_measures_as_they_are(batch):
    manifest = batch.add()
    run(job(manifest))
    path = manifest.parent / "attention_videos" / MADE[-2]
    before = path.read_bytes()
    run(job(manifest, tokens=("kiss",)))
    assert (read_receipt(manifest)["measures"], path.read_bytes()) == (path.name, before)
    next(manifest.parent.rglob("*.safetensors")).write_bytes(b"broken")
    assert run(job(manifest)).receipt.status == "failed"
    assert (read_receipt(manifest)["measures"], path.read_bytes()) == (path.name, before)


def test_measures_without_pictures_are_written_too(batch):
    manifest = batch.add()
    nothing = {f"generate_{kind}": False for kind in ("attention_only", "overlay", "aggregated")}
    assert run(job(manifest, **nothing)).receipt.status == "skipped"
    assert names(manifest) == sorted(MADE[-2:])
    assert read_receipt(manifest)["measures"] == MADE[-2]


@pytest.mark.parametrize("present", [True, False])
def test_a_collection_links_the_measures_if_they_are_still_there(batch, present):
    manifest = batch.add()
    run(job(manifest))
    beside = manifest.parent / "attention_videos" / MADE[-2]
    if not present:
        beside.unlink()
    alone = job(manifest)
    place = replace(alone.place, directory=batch.folder / "attention_videos", root=None)
    result = run(replace(alone, place=place, batch=batch.folder, seen=NOTHING))
    assert result.linked
    assert result.receipt.measures == (beside.name if present else None)
    assert not present or (place.directory / beside.name).samefile(beside)


def test_a_folder_with_the_name_of_the_measures_ends_the_job_and_stays(batch):
    manifest = batch.add()
    folder = manifest.parent / "attention_videos" / MADE[-2]
    folder.mkdir(parents=True)
    receipt = run(job(manifest)).receipt
    assert receipt.status == "failed"
    assert "found a folder with the name of an output" in receipt.attempts[-1].error
    assert folder.is_dir()


def test_an_overlay_is_kept_while_the_source_video_is_missing(batch):
    manifest = batch.add()
    run(job(manifest))
    overlay = manifest.parent / "attention_videos" / OUTPUTS[1]
    before = overlay.read_bytes()
    manifest.with_name("video_001.mp4").unlink()
    run(job(manifest, video_may_be_absent=True, colormap="bone"))
    assert overlay.read_bytes() == before
    receipt = read_receipt(manifest)
    assert sorted(output["file"] for output in receipt["outputs"]) == OUTPUTS
    assert f"{OUTPUTS[1]} is from an earlier rendering" in receipt["notes"]
    run(job(manifest, video_may_be_absent=True, generate_overlay=False))
    assert not overlay.exists()


def test_words_over_a_video_that_was_removed_since_are_not_replaced_by_words_over_black(batch):
    manifest = batch.add()
    combined = manifest.parent / "attention_videos" / "prompt_001_vid001_combined.mp4"
    run(job(manifest, generate_combined=True))
    before = combined.read_bytes()
    manifest.with_name("video_001.mp4").unlink()
    for colormap in ("bone", "hot"):
        run(job(manifest, video_may_be_absent=True, generate_combined=True, colormap=colormap))
        assert combined.read_bytes() == before
        assert f"{combined.name} is from an earlier rendering" in read_receipt(manifest)["notes"]


def test_words_over_black_are_made_again_while_there_is_no_video(batch):
    manifest = batch.add(source=False)
    made = []
    for alpha in (0.3, 0.9):
        run(job(manifest, video_may_be_absent=True, generate_combined=True, overlay_alpha=alpha))
        made.append((manifest.parent / "attention_videos" / "prompt_001_vid001_combined.mp4").read_bytes())
    assert made[0] != made[1]


def test_rendering_selected_words_keeps_the_outputs_of_others(batch):
    manifest = batch.add(words=("dog", "kiss"))
    run(job(manifest))
    before = names(manifest)
    run(job(manifest, tokens=("kiss",)))
    assert names(manifest) == before
    run(job(manifest, tokens=("typo",)))
    assert names(manifest) == before


def test_a_receipt_cannot_remove_files_outside_of_its_folder(batch):
    manifest = batch.add()
    run(job(manifest))
    path = manifest.parent / "attention_videos" / RECEIPT
    receipt = json.loads(path.read_text())
    todo = job(manifest)
    receipt["outputs"].append({**receipt["outputs"][0], "file": "../video_001.mp4"})
    path.write_text(json.dumps(receipt))
    assert run(replace(todo, seen=todo.place.look())).receipt.status == "rendered"
    assert (manifest.parent / "video_001.mp4").exists()


def test_missing_tensors_are_an_obstacle_without_a_receipt(batch):
    manifest = batch.add()
    (manifest.parent / "attention_maps" / "vid001.safetensors").unlink()
    result = run(job(manifest))
    assert result.receipt is None
    assert not result.busy
    assert "vid001.safetensors is not there yet" in result.obstacle
    assert names(manifest) == []


def test_a_missing_source_video_is_an_obstacle(batch):
    manifest = batch.add(source=False)
    assert "video_001.mp4 is not there yet" in run(job(manifest)).obstacle


def test_a_source_video_that_may_be_absent_costs_only_the_overlay(batch):
    manifest = batch.add(source=False)
    run(job(manifest, video_may_be_absent=True))
    receipt = read_receipt(manifest)
    assert [output["kind"] for output in receipt["outputs"]] == ["attention", "static"]
    assert receipt["notes"] == ["no overlay: the video video_001.mp4 is absent"]
    assert receipt["inputs"]["video_001.mp4"] is None


def test_the_overlay_is_rendered_once_the_source_video_arrives(batch):
    manifest = batch.add(source=False)
    run(job(manifest, video_may_be_absent=True))
    batch.write_data()
    run(job(manifest))
    assert names(manifest) == sorted(MADE)


def broken_video(manifest):
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all" * 100)


def broken_tensors(manifest):
    (manifest.parent / "attention_maps" / "vid001.safetensors").write_bytes(b"no tensors")


def broken_digest(manifest):
    files = {"video_001.mp4": {"bytes": (manifest.parent / "video_001.mp4").stat().st_size, "sha256": "0" * 64}}
    write_manifest(manifest, attention=["attention_maps/vid001.safetensors"], files=files)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (broken_video, "video_001.mp4"),
        (broken_tensors, "complete safetensors file"),
        (broken_digest, "SHA-256"),
    ],
)
def test_the_receipt_records_why_an_input_is_invalid(batch, damage, expected):
    manifest = batch.add()
    damage(manifest)
    assert run(job(manifest)).receipt.status == "failed"
    receipt = read_receipt(manifest)
    jsonschema.validate(receipt, json_schema("receipt"))
    assert expected in receipt["attempts"][0]["error"]
    assert receipt["next_attempt"]
    assert names(manifest) == [RECEIPT]


def test_a_failed_rendering_keeps_the_outputs_of_the_last_good_one(batch):
    manifest = batch.add()
    run(job(manifest))
    contents = {name: (manifest.parent / "attention_videos" / name).read_bytes() for name in OUTPUTS}
    broken_tensors(manifest)
    assert run(job(manifest)).receipt.status == "failed"
    assert contents == {name: (manifest.parent / "attention_videos" / name).read_bytes() for name in OUTPUTS}


def test_a_successful_attempt_keeps_the_history_of_failed_ones(batch):
    manifest = batch.add()
    good = (manifest.parent / "video_001.mp4").read_bytes()
    (manifest.parent / "video_001.mp4").write_bytes(b"x" * len(good))
    run(job(manifest))
    (manifest.parent / "video_001.mp4").write_bytes(good)
    run(job(manifest))
    errors = [attempt["error"] is None for attempt in read_receipt(manifest)["attempts"]]
    assert errors == [False, True]


def test_a_manifest_damaged_after_planning_is_an_obstacle(batch):
    manifest = batch.add()
    todo = job(manifest)
    manifest.write_text("{")
    result = run(todo)
    assert result.receipt is None
    assert "invalid JSON" in result.obstacle


def test_an_unwritable_output_folder_is_an_obstacle(batch):
    manifest = batch.add()
    (manifest.parent / "attention_videos").touch()
    result = run(job(manifest))
    assert result.receipt is None
    assert "attention_videos" in result.obstacle


def test_negative_attention_values_are_refused(batch):
    maps = blob_maps()
    maps[0, 0, 0, 1, 2, 3] = -1
    manifest = batch.add(tensors={"kiss": maps})
    run(job(manifest))
    assert "negative" in read_receipt(manifest)["attempts"][0]["error"]


def touched(manifest, name="video_001.mp4"):
    """Change the modification time of an input; return the job that compares its content."""
    os.utime(manifest.parent / name, ns=(0, 0))
    return recheck(manifest)


def recheck(manifest):
    """Return the job that compares the content of a rendered video's inputs with the receipt."""
    settings = Settings(visualization={"quality": "fast", "static_duration": 0.2})
    task = due(watching(manifest.parent, settings=settings).decide(Target(manifest)))
    assert task.recheck
    return Job(
        task.place,
        task.stored,
        task.settings,
        None,
        Watcher(memory_limit=None),
        video_may_be_absent=False,
        recheck=True,
    )


@pytest.fixture
def renderings(monkeypatch):
    """Paths of the manifests that were actually rendered."""
    rendered = []

    def spy(manifest, *arguments, **keywords):
        rendered.append(manifest.path)
        return render_outputs(manifest, *arguments, **keywords)

    monkeypatch.setattr("attnwatch.render.video.render_outputs", spy)
    return rendered


def test_a_touched_input_is_not_rendered_again_and_its_time_is_recorded(batch, renderings):
    manifest = batch.add()
    run(job(manifest))
    before = read_receipt(manifest)
    result = run(touched(manifest))
    assert result.unchanged
    assert len(renderings) == 1
    after = read_receipt(manifest)
    assert after["content"]["video_001.mp4"]["modified"] == 0
    assert {**after, "content": None} == {**before, "content": None}
    assert names(manifest) == sorted(MADE)


@pytest.mark.parametrize(("gone", "other"), [INPUTS, INPUTS[::-1]])
def test_a_touched_input_beside_a_removed_one_is_not_rendered_again(batch, renderings, gone, other):
    manifest = batch.add()
    run(job(manifest))
    before = read_receipt(manifest)
    (manifest.parent / gone).unlink()
    assert run(touched(manifest, other)).unchanged
    assert len(renderings) == 1
    after = read_receipt(manifest)
    assert after["content"][gone] == before["content"][gone]
    assert after["content"][other]["modified"] == 0
    assert after["inputs"] == before["inputs"]


@pytest.mark.parametrize("wrong", ["a negative value", "another digest"])
def test_a_link_to_an_input_of_a_failed_video_grants_no_further_attempt(batch, renderings, wrong):
    """As backups make; it changes a time of the file."""
    maps = blob_maps()
    maps[0, 0, 0, 1, 2, 3] = -1
    manifest = batch.add(tensors={"kiss": maps}) if wrong == "a negative value" else batch.add_full()
    if wrong == "another digest":
        broken_digest(manifest)
    run(job(manifest))
    before, tries = read_receipt(manifest), len(renderings)
    (manifest.parent / "backup").hardlink_to(manifest.with_name("video_001.mp4"))
    assert run(recheck(manifest)).unchanged
    after = read_receipt(manifest)
    assert len(renderings) == tries
    assert (after["attempts"], after["next_attempt"]) == (before["attempts"], before["next_attempt"])
    assert after["content"]["video_001.mp4"]["changed"] > before["content"]["video_001.mp4"]["changed"]


def test_a_touched_input_of_a_failed_video_waits_if_its_time_cannot_be_recorded(batch, monkeypatch):
    maps = blob_maps()
    maps[0, 0, 0, 1, 2, 3] = -1
    manifest = batch.add(tensors={"kiss": maps})
    run(job(manifest))

    def full(place, receipt):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    again = touched(manifest)
    monkeypatch.setattr(Place, "write", full)
    result = run(again)
    assert (result.receipt, result.shortage) == (None, Shortage.DISK)


def test_an_input_replaced_by_one_of_the_same_size_is_rendered_again(batch, renderings):
    manifest = batch.add()
    maps = manifest.parent / "attention_maps" / "vid001.safetensors"
    run(job(manifest))
    before = read_receipt(manifest)
    write_tensors(maps, {"kiss": blob_maps(peak=0.25)})
    result = run(recheck(manifest))
    assert not result.unchanged
    assert len(renderings) == 2
    name = "attention_maps/vid001.safetensors"
    assert read_receipt(manifest)["inputs"] == before["inputs"]
    assert read_receipt(manifest)["content"][name]["sha256"] != before["content"][name]["sha256"]
    assert read_receipt(manifest)["outputs"][0]["scale"] != before["outputs"][0]["scale"]


def test_an_input_replaced_by_a_broken_one_of_the_same_size_fails_with_the_reason(batch):
    manifest = batch.add_full()
    run(job(manifest))
    video = manifest.with_name("video_001.mp4")
    video.write_bytes(bytes(video.stat().st_size))
    run(recheck(manifest))
    assert read_receipt(manifest)["status"] == "failed"
    assert "SHA-256" in read_receipt(manifest)["attempts"][-1]["error"]


@dataclass(frozen=True)
class Moving(Place):
    """A place whose folder is renamed in the middle of a job: when it reads the receipt."""

    old: Path = Path()
    new: Path = Path()

    def read(self):
        if self.old.exists():
            self.old.rename(self.new)
        return super().read()


def in_a_process(todo):
    """Run a job in its own process, as the engine does; return its result."""
    return called_in_a_process(_run_as_forked, todo)


def _run_as_forked(todo):
    ours, theirs = Pipe()
    run_here(todo, theirs)
    return ours.recv()


def test_a_folder_renamed_before_the_job_starts_is_an_obstacle_and_is_not_recreated(batch):
    manifest = batch.add()
    todo = job(manifest)
    batch.folder.rename(batch.folder.with_name("renamed"))
    result = in_a_process(todo)
    assert result.receipt is None
    assert result.shortage is None
    assert not result.busy
    assert not batch.folder.exists()
    assert not list(batch.folder.with_name("renamed").rglob("attention_videos"))


def test_a_folder_renamed_during_a_job_gets_the_outputs(batch):
    manifest = batch.add()
    todo, new = job(manifest), batch.folder.with_name("renamed")
    place = Moving(manifest, todo.place.video_id, todo.place.directory, batch.folder, new)
    assert in_a_process(replace(todo, place=place)).receipt.status == "rendered"
    assert not batch.folder.exists()
    assert names(new / manifest.relative_to(batch.folder)) == sorted(MADE)


def test_a_batch_renamed_while_it_is_collected_gets_the_collection(batch):
    manifest = batch.add()
    directory, new = batch.folder / "attention_videos", batch.folder.with_name("renamed")
    place = Moving(manifest, "prompt_001_vid001", directory, batch.folder, new)
    assert in_a_process(replace(job(manifest), place=place, batch=batch.folder)).receipt.status == "rendered"
    assert not batch.folder.exists()
    assert sorted(path.name for path in (new / "attention_videos").iterdir()) == sorted(MADE)


def colliding(batch, colours=((250, 10, 10), (10, 10, 250))):
    """Return the manifests of two videos of one folder whose outputs would have the same names."""
    manifests, names = [], (("dog", "red_fox"), ("dog_red", "fox"))
    for number, ((video_id, word), colour) in enumerate(zip(names, colours, strict=True), start=1):
        manifest = batch.add(number, words=(word,), video_id=video_id)
        write_source_video(manifest.with_name(f"video_{number:03d}.mp4"), colour=colour)
        manifests.append(manifest)
    return manifests


def shown(manifest, record):
    """Return the mean red and blue of the overlay in a receipt."""
    (file,) = (output["file"] for output in record["outputs"] if output["kind"] == "overlay")
    rgb = decode(manifest.parent / "attention_videos" / file)[0].to_ndarray(format="rgb24").astype(float)
    return rgb[..., 0].mean(), rgb[..., 2].mean()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_videos_never_share_an_output(batch, order):
    manifests = colliding(batch)
    for _ in range(2):
        for index in order:
            assert run(job(manifests[index], overlay_alpha=0)).receipt.status == "rendered"
    receipts = [read_receipt(manifest) for manifest in manifests]
    files = [output["file"] for receipt in receipts for output in receipt["outputs"]]
    assert len(files) == len(set(files)) == 6
    assert {path.name for path in (manifests[0].parent / "attention_videos").glob("*.mp4")} == set(files)
    (red, blue), (other_red, other_blue) = map(shown, manifests, receipts)
    assert red > blue
    assert other_blue > other_red
    plain = [f"dog_red_fox_{kind}.mp4" for kind in ("attention", "overlay", "static")]
    assert [output["file"] for output in receipts[order[0]]["outputs"]] == plain


def test_two_videos_that_are_rendered_at_once_never_share_an_output(batch):
    manifests = colliding(batch)
    jobs = [job(manifest) for manifest in manifests]
    with LocalEngine() as engine:
        for todo in jobs:
            engine.start(todo)
        ended = []
        while engine.running:
            ended += engine.wait(1.0)
    assert [done.outcome.receipt.status for done in ended] == ["rendered", "rendered"]
    files = [output["file"] for manifest in manifests for output in read_receipt(manifest)["outputs"]]
    assert len(files) == len(set(files)) == 6
    assert not list((manifests[0].parent / "attention_videos").glob(".*"))


def test_a_word_that_is_no_longer_tracked_takes_no_file_of_another_video_along(batch):
    first, second = colliding(batch)
    run(job(first))
    place = job(second).place
    shared = read_receipt(first)["outputs"]
    record = read_receipt(first) | {"video_id": "dog_red", "manifest": second.name}
    place.path.write_text(json.dumps(record), encoding="utf-8")  # as version 0.2.0 left them
    write_tensors(second.with_name("attention_maps") / "vid002.safetensors", {"wolf": blob_maps()})
    assert run(job(second)).receipt.status == "rendered"
    assert all((place.directory / output["file"]).exists() for output in shared)


def failing(monkeypatch, error):
    """Make the rendering fail after it has written a part of an output."""

    def render(manifest, settings, directory, **keywords):
        (directory / "half.mp4.partial").write_bytes(b"half of it")
        raise error

    monkeypatch.setattr("attnwatch.render.video.render_outputs", render)


def caused_by(number, error):
    error.__cause__ = OSError(number, "message of the system")
    return error


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
NO_FILES = OSError(errno.EMFILE, "Too many open files")


def full(monkeypatch):
    """Let no disk have any room, not even when the unfinished files of a job are removed."""
    monkeypatch.setattr("attnwatch.system.shortage._has_room", lambda _folder: False)


@pytest.mark.parametrize(
    "error",
    [
        NO_SPACE,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EROFS, "Read-only file system"),
        caused_by(errno.ENOSPC, VideoError("the encoder gave up")),
    ],
)
def test_a_full_disk_does_not_count_as_a_failure_of_the_video(batch, monkeypatch, error):
    manifest = batch.add()
    failing(monkeypatch, error)
    full(monkeypatch)
    result = run(job(manifest))
    assert (result.receipt, result.shortage, result.busy) == (None, Shortage.DISK, False)
    assert result.obstacle
    assert names(manifest) == []


@pytest.mark.parametrize(("error", "expected"), [(NO_SPACE, "free some space"), (NO_FILES, "ulimit -n")])
def test_what_one_video_alone_runs_out_of_is_its_failure(batch, monkeypatch, error, expected):
    manifest = batch.add()
    failing(monkeypatch, error)
    result = run(job(manifest))
    assert result.receipt.status == "failed"
    assert expected in result.receipt.attempts[-1].error
    assert result.receipt.next_attempt is not None  # it may have room later


def test_too_many_processes_do_not_count_as_a_failure_of_the_video(batch, monkeypatch):
    manifest = batch.add()
    failing(monkeypatch, OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    result = run(job(manifest))
    assert (result.receipt, result.shortage) == (None, Shortage.MACHINE)


def test_a_held_lock_of_the_colour_scale_is_no_failure_and_is_not_waited_for(batch):
    manifest = batch.add()
    alone = job(manifest)
    place = replace(alone.place, directory=batch.folder / "attention_videos", root=None)
    collected = replace(alone, place=place, batch=batch.folder, batch_sha256="a" * 64)
    place.directory.mkdir()
    with FileLock(place.directory / lock_file(collected.batch_scale.path.name)):
        result = run(collected)
    assert (result.receipt, result.busy) == (None, True)
    assert run(collected).receipt.status == "rendered"


def test_an_encoder_error_on_a_full_disk_does_not_count_as_a_failure(batch, monkeypatch):
    manifest = batch.add()
    failing(monkeypatch, VideoError("the encoder gave up"))
    todo = job(manifest)
    result = run(replace(todo, watcher=Watcher(min_free_space=2**60)))
    assert result.shortage is Shortage.DISK
    assert "the encoder gave up; " in result.obstacle
    assert names(manifest) == []
    assert run(todo).receipt.status == "failed"


def taken_by_others(_descriptor, _start, size):
    if size > 2**20:  # less is still there
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("name", "found"),
    [("attnwatch.tensors.file.free_space", lambda _folder: 1), ("os.posix_fallocate", taken_by_others)],
)
def test_too_little_space_for_decompressed_maps_does_not_count_as_a_failure(batch, monkeypatch, name, found):
    manifest = batch.add()
    plain = manifest.parent / "attention_maps" / "vid001.safetensors"
    write_tensors(plain.with_name("vid001.safetensors.zst"), {"kiss": blob_maps((8, 128, 128), steps=4)})
    write_manifest(manifest, attention=["attention_maps/vid001.safetensors.zst"])
    monkeypatch.setattr(name, found)
    result = run(job(manifest))
    assert (result.receipt, result.shortage) == (None, Shortage.TEMPORARY)
    assert tempfile.gettempdir() in result.obstacle
    assert names(manifest) == []


def test_maps_that_no_temporary_folder_could_hold_are_the_failure_of_the_video(batch, monkeypatch):
    manifest = batch.add()
    plain = manifest.parent / "attention_maps" / "vid001.safetensors"
    write_tensors(plain.with_name("vid001.safetensors.zst"), {"kiss": blob_maps()})
    write_manifest(manifest, attention=["attention_maps/vid001.safetensors.zst"])
    monkeypatch.setattr("attnwatch.tensors.file.whole_space", lambda _folder: 1)
    receipt = run(job(manifest)).receipt
    assert receipt.status == "failed"
    assert "set TMPDIR" in receipt.attempts[-1].error


def test_an_obstacle_is_a_shortage_a_busy_video_or_neither():
    full = obstructed(OSError(errno.ENOSPC, "No space left on device"))
    assert (full.receipt, full.shortage, full.busy) == (None, Shortage.DISK, False)
    busy = obstructed(BusyError("another process is rendering it"))
    assert (busy.shortage, busy.busy, busy.obstacle) == (None, True, "another process is rendering it")
    gone = obstructed(FileNotFoundError(errno.ENOENT, "No such file or directory", "maps"))
    assert (gone.shortage, gone.busy) == (None, False)
    assert gone.obstacle.startswith("maps: cannot be used (No such file or directory); expected")


@dataclass(frozen=True)
class Limited(Place):
    """A place that records the limits of the job's process, beside the manifest, when the receipt is read."""

    def read(self):
        found = [resource.getrlimit(resource.RLIMIT_DATA)[0], resource.getrlimit(resource.RLIMIT_CPU)[0], os.nice(0)]
        self.manifest.with_name("limits").write_text(json.dumps(found))
        return super().read()


def test_a_job_that_may_measure_its_batch_gets_time_for_every_video(batch):
    manifest, *_ = (batch.add(number) for number in (1, 2, 3))
    alone = job(manifest, visualization_timeout=100)
    place = replace(alone.place, directory=batch.folder / "attention_videos", root=None)
    collected = replace(alone, place=place, batch=batch.folder)
    measuring = replace(collected, batch_sha256="a" * 64)
    assert [todo.limits.seconds for todo in (alone, collected, measuring)] == [100, 100, 400]
    assert run(measuring).receipt.status == "rendered"
    assert measuring.limits.seconds == 100


def test_a_job_runs_under_the_limits_of_its_settings(batch):
    manifest = batch.add()
    before = os.nice(0)
    todo = job(manifest, visualization_timeout=100)
    place = Limited(manifest, todo.place.video_id, todo.place.directory)
    limits = Watcher(memory_limit="3GiB", nice=4)
    result = in_a_process(replace(todo, place=place, watcher=limits, threads=2))
    assert result.receipt.status == "rendered"
    found = json.loads(manifest.with_name("limits").read_text())
    assert found == [3 * 2**30, 310, min(19, before + 4)]
    assert os.nice(0) == before


def exchanging(monkeypatch, folder, target):
    """Let a folder be exchanged for a link, or a new folder, while the video is rendered."""

    def render(manifest, settings, directory, **options):
        rendering = render_outputs(manifest, settings, directory, **options)
        folder.rename(folder.with_name("moved_away"))
        folder.symlink_to(target) if target is not None else folder.mkdir()
        return rendering

    monkeypatch.setattr("attnwatch.render.video.render_outputs", render)


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_outputs_exchanged_during_a_job_end_it_and_nothing_is_written_there(batch, monkeypatch, tmp_path, kind):
    manifest = batch.add()
    outside = tmp_path / "outside"
    (outside / ".prompt_001_vid001.tmp").mkdir(parents=True)
    (outside / OUTPUTS[0]).write_bytes(b"kept")
    folder = manifest.parent / "attention_videos"
    exchanging(monkeypatch, folder, outside if kind == "link" else None)
    result = run(job(manifest))
    assert result.receipt is None
    assert "found it moved away or replaced while prompt_001_vid001 was being rendered" in result.obstacle
    assert sorted(path.name for path in outside.iterdir()) == [".prompt_001_vid001.tmp", OUTPUTS[0]]
    assert (outside / OUTPUTS[0]).read_bytes() == b"kept"
    assert kind == "link" or not list(folder.iterdir())
    assert not list(folder.with_name("moved_away").iterdir())


def test_a_video_whose_folder_is_exchanged_for_a_link_before_the_job_is_not_rendered(batch, tmp_path):
    manifest = batch.add()
    todo = replace(job(manifest), root=Root(batch.folder))
    manifest.parent.rename(tmp_path / "outside")
    manifest.parent.symlink_to(tmp_path / "outside")
    result = in_a_process(todo)
    assert result.receipt is None
    assert "prompt_001: found a link" in result.obstacle
    assert not (tmp_path / "outside" / "attention_videos").exists()


def test_unfinished_outputs_are_open_to_their_user_only(batch, monkeypatch):
    seen = []

    def render(manifest, settings, directory, **options):
        seen.append(stat.S_IMODE(directory.stat().st_mode))
        return render_outputs(manifest, settings, directory, **options)

    monkeypatch.setattr("attnwatch.render.video.render_outputs", render)
    assert run(job(batch.add())).receipt.status == "rendered"
    assert seen == [0o700]


def test_leavings_that_cannot_be_removed_are_in_nobodys_way(batch, monkeypatch):
    manifest = batch.add()
    todo = job(manifest)
    left = todo.place.directory / ".prompt_001_vid001.tmp"
    left.mkdir(parents=True)

    def refused(name, folder):
        if name == left.name:
            raise PermissionError(errno.EACCES, "Permission denied", name)
        remove_tree(name, folder)

    monkeypatch.setattr("attnwatch.jobs.outputs.remove_tree", refused)
    assert run(todo).receipt.status == "rendered"
    assert names(manifest) == sorted([left.name, *MADE])


def test_the_leavings_of_another_video_stay(batch):
    place = job(batch.add()).place
    place.directory.mkdir()
    for name in (".prompt_001_vid001.x.tmp", ".prompt_001_vid0011.tmp", ".prompt_001_vid001.tmp-notahexnumber"):
        (place.directory / name).mkdir()
    (place.directory / ".prompt_001_vid001.tmp-0123abcd").mkdir()
    (place.directory / ".prompt_001_vid001.rendered.json.1-ab.tmp").touch()
    remove_leftovers(place)
    left = [".prompt_001_vid001.tmp-notahexnumber", ".prompt_001_vid001.x.tmp", ".prompt_001_vid0011.tmp"]
    assert sorted(path.name for path in place.directory.iterdir()) == left


def test_outputs_that_are_links_are_not_collected_but_rendered(batch, tmp_path):
    manifest = batch.add()
    run(job(manifest))
    beside = manifest.parent / "attention_videos" / OUTPUTS[0]
    beside.rename(tmp_path / "outside.mp4")
    beside.symlink_to(tmp_path / "outside.mp4")
    alone = job(manifest)
    place = replace(alone.place, directory=batch.folder / "attention_videos", root=None)
    assert run(replace(alone, place=place, batch=batch.folder, seen=NOTHING)).receipt.status == "rendered"
    collected = batch.folder / "attention_videos" / OUTPUTS[0]
    assert not collected.is_symlink()
    assert not collected.samefile(tmp_path / "outside.mp4")
