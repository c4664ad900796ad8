"""Processes that come and go make one batch; each runs here after the other, or inside a step of the other."""

import json
import os
import shutil
import time
from functools import partial

import pytest
from rich.console import Console

from generator.batch import attempt
from generator.batch import make_video as make_video_module
from generator.batch.claiming import claims, process
from generator.batch.claiming.joining import plan_joining
from generator.batch.claiming.process import run_claiming
from generator.batch.leases import FOLDER, Leases
from generator.batch.make_video import make_video
from generator.batch.plan import plan_batch
from generator.batch.run import run
from generator.config import load_settings
from generator.errors import PipelineError, ResumeError, UsageError
from generator.models import load as models
from generator.outputs import files, tensor_file
from generator.outputs import video as video_module
from tests.integration.generator_support import contents, manifests
from tests.lockless import without_locks

FLAGS = {"template": "a (kiss) between [men|women]", "videos_per_variation": 2, "batch_name": "demo"}
FLAGS |= {"width": 32, "height": 32, "frames": 5, "steps": 2}
IDS = ["prompt_001_vid001", "prompt_001_vid002", "prompt_002_vid001", "prompt_002_vid002"]


@pytest.fixture(autouse=True)
def _loaded(model, monkeypatch):
    monkeypatch.setattr(models, "load", lambda *_: model)
    monkeypatch.setattr(process, "POLL", 0.01)


@pytest.fixture
def console():
    return Console(stderr=True, force_terminal=False)


@pytest.fixture(scope="module")
def alone(model, tmp_path_factory):
    """A batch that one process has made."""
    output = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load", lambda *_: model)
        settings = load_settings({**FLAGS, "output": str(output)}, {}, None)
        assert run(plan_batch(settings), Console(stderr=True, force_terminal=False)) == 0
    (folder,) = output.iterdir()
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs" / "kiss"


@pytest.fixture
def begun(folder, alone):
    """The batch, with its last two videos missing."""
    shutil.copytree(alone, folder)
    for path in manifests(folder)[2:]:
        path.unlink()
    return folder


@pytest.fixture
def join(folder, console):
    """Run one process until nothing is left for it to make."""

    def start(flags=FLAGS):
        return run_claiming(partial(plan_joining, folder, load_settings(flags, {}, None)), console)

    return start


@pytest.fixture
def making(monkeypatch):
    """Replace what makes a video, and note which ones are made."""
    made = []

    def replace(how=make_video):
        def noted(batch, folder, video, *rest):
            made.append(video.video_id)
            how(batch, folder, video, *rest)

        monkeypatch.setattr(attempt, "make_video", noted)
        return made

    return replace


def outcome(folder):
    return json.loads((folder / "batch.complete.json").read_text())


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def test_one_process_that_claims_makes_the_batch_that_it_makes_alone(folder, alone, join):
    assert join() == 0
    assert contents(folder) == contents(alone)
    assert outcome(folder)["counts"] == {"expected": 4, "complete": 4, "failed": 0}
    assert json.loads((folder / "batch.json").read_text())["batch"] == "kiss"
    assert hidden(folder) == []


def test_a_batch_is_claimed_where_locks_do_not_work(tmp_path, alone, console):
    with without_locks(tmp_path) as mount:
        folder = mount / "outputs" / "kiss"
        settings = load_settings(FLAGS, {}, None)
        assert run_claiming(partial(plan_joining, folder, settings), console) == 0
        assert contents(folder) == contents(alone)
        assert hidden(folder) == []


def test_a_process_joins_without_flags_and_makes_what_is_missing(begun, alone, join, making):
    made = making()
    assert join(flags={}) == 0
    assert made == IDS[2:]
    assert contents(begun) == contents(alone)


def test_who_comes_after_the_end_makes_nothing_and_changes_nothing(begun, join, making):
    assert join() == 0
    before, made = (begun / "batch.complete.json").stat().st_mtime_ns, making()
    assert join() == 0
    assert made == []
    assert (begun / "batch.complete.json").stat().st_mtime_ns == before


def test_who_comes_after_the_end_does_not_load_the_model(begun, join, monkeypatch):
    assert join() == 0
    monkeypatch.setattr(models, "load", lambda *_: pytest.fail("loaded the model"))
    assert join(flags={}) == 0


def test_a_process_that_joins_in_the_middle_takes_other_videos(folder, join, making):
    joined = []

    def while_another_works(*arguments):
        make_video(*arguments)
        if not joined:
            joined.append(True)
            leases = Leases(folder / FOLDER)
            lease = leases.take(IDS[1], 1)  # the other one's
            assert lease is not None
            joined.append(lease)
        elif len(joined) == 2 and arguments[2].video_id == IDS[3]:
            joined[1].end(claims.State.FREE)  # it was stopped: its video is free again

    made = making(while_another_works)
    assert join() == 0
    assert made == [IDS[0], IDS[2], IDS[3], IDS[1]]
    assert outcome(folder)["status"] == "complete"


def test_a_video_that_fails_is_tried_by_three_processes_and_once_by_each(begun, join, making):
    def failing(batch, folder, video, *rest):
        if video.video_id == IDS[2]:
            raise PipelineError("CUDA out of memory")
        make_video(batch, folder, video, *rest)

    made = making(failing)
    assert [join() for _ in range(4)] == [1, 1, 1, 1]
    assert made == [IDS[2], IDS[3], IDS[2], IDS[2]]
    note = json.loads((begun / "videos/prompt_002/video_001.failed.json").read_text())
    assert len(note["attempts"]) == 3
    assert outcome(begun)["counts"] == {"expected": 4, "complete": 3, "failed": 1}


def test_a_video_at_which_ten_processes_died_is_given_up(begun, join, making, caplog):
    (begun / FOLDER).mkdir()
    for number in range(1, 11):
        dead = {"kernel": "earlier", "token": "x", "state": "held" if number < 11 else "free"}
        (begun / FOLDER / f"{IDS[2]}.{number}.lease").write_text(json.dumps(dead))
    (begun / FOLDER / f"{IDS[2]}.11.lease").write_text(json.dumps({"state": "free"}))
    made = making()
    assert join() == 1
    assert made == [IDS[3]]
    assert f"{IDS[2]} is given up: 10 processes died while they made it" in caplog.text


def test_a_damaged_video_is_made_again(begun, alone, join, making):
    (begun / "videos/prompt_001/video_002.mp4").write_bytes(b"half")
    made = making()
    assert join() == 0
    assert made == [IDS[2], IDS[1], IDS[3]]
    assert contents(begun) == contents(alone)


def test_what_a_dead_process_left_of_a_video_is_removed_and_what_others_write_is_not(begun, join, making):
    place = begun / "videos/prompt_002"
    left, theirs = place / ".generator-1-video_001.mp4.tmp", place / ".generator-1-video_002.mp4.tmp"
    left.touch()
    theirs.touch()

    def looking(batch, folder, video, *rest):
        assert (left.exists(), theirs.exists()) == (False, video.video_id == IDS[2])
        make_video(batch, folder, video, *rest)

    making(looking)
    assert join() == 0


@pytest.mark.parametrize(
    "step",
    [
        (make_video_module, "_generate", None),
        (make_video_module, "_generate", PipelineError("the device was lost")),
        (tensor_file, "_opened", None),
        (video_module, "encode_video", None),
        (video_module, "encode_video", FileNotFoundError("the temporary file is gone")),
        (files, "_flush", None),
    ],
)
def test_a_process_that_slept_while_another_made_its_video_leaves_that_as_it_is(begun, alone, join, monkeypatch, step):
    """Files of different machines must not be mixed, nor may what fails after the sleep cost the video."""
    where, name, error = step
    theirs, clock, function = {}, time.clock_gettime, getattr(where, name)

    def asleep(*arguments, **named):
        result = function(*arguments, **named)
        if not theirs:
            theirs.update(made_by_another(begun, alone))
            monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + 3600)
            if error is not None:
                raise error
        return result

    monkeypatch.setattr(where, name, asleep)
    assert join() == 0
    assert contents(begun) == contents(alone)
    assert {path: path.stat().st_ino for path in theirs} == theirs
    assert hidden(begun) == []
    assert list(begun.rglob("*.failed.json")) == []


def made_by_another(folder, alone):
    """Make the third video, and the fourth, as a process that has taken over; return the inodes of their files."""
    for left in (folder / "videos" / "prompt_002").rglob(".generator-*"):
        left.unlink()
    shutil.rmtree(folder / "videos" / "prompt_002")
    shutil.copytree(alone / "videos" / "prompt_002", folder / "videos" / "prompt_002")
    (folder / FOLDER / f"{IDS[2]}.2.lease").write_text('{"token": "theirs", "state": "done"}')
    return {path: path.stat().st_ino for path in (folder / "videos" / "prompt_002").rglob("*") if path.is_file()}


def test_a_process_that_slept_while_it_began_the_batch_joins_that_of_another(folder, console, join, monkeypatch):
    clock, flush = time.clock_gettime, files._flush

    def asleep(path):
        flush(path)
        if path.name.endswith("-batch.json.tmp"):
            monkeypatch.setattr(files, "_flush", flush)
            (folder / FOLDER / "founding.2.lease").write_text('{"token": "theirs", "state": "free"}')
            assert join({**FLAGS, "seed": 7}) == 0
            monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + 3600)

    monkeypatch.setattr(files, "_flush", asleep)
    assert join() == 0
    assert json.loads((folder / "batch.json").read_text())["videos"][0]["seed"] == 7


def test_who_waits_for_others_reads_only_their_leases(folder, begun, join, making, monkeypatch):
    """Of a batch of 100,000 videos, that is done every other second by each process that waits."""
    leases = Leases(folder / FOLDER)
    theirs, looks = leases.take(IDS[2], 1), []

    class Noted(Leases):
        def state(self, name, number):
            if looks:
                looks[-1].append(name)
            return super().state(name, number)

    def waited(_stop, _seconds):
        looks.append([])
        if len(looks) == 3:
            theirs.end(claims.State.FREE)

    monkeypatch.setattr(claims, "Leases", Noted)
    monkeypatch.setattr("generator.batch.interrupt.StopRequest.wait", waited)
    making()
    assert join() == 0
    assert set(looks[0]) | set(looks[1]) == {IDS[2]}


def test_a_stopped_process_leaves_the_rest_to_the_others(begun, alone, join, making):
    def stopped(batch, folder, video, on_step):
        os.kill(os.getpid(), 15)
        make_video(batch, folder, video, on_step)

    making(stopped)
    assert join() == 143
    assert not (begun / "batch.complete.json").exists()
    making()
    assert join() == 0
    assert contents(begun) == contents(alone)


def test_who_joins_with_other_settings_is_refused(begun, join):
    with pytest.raises(ResumeError, match=r"started with video.steps 2; found 3 now"):
        join(flags={**FLAGS, "steps": 3})
    with pytest.raises(ResumeError, match="template"):
        join(flags={**FLAGS, "template": "a dog"})


def test_of_two_that_begin_with_different_templates_the_second_is_refused(folder, console, join):
    """Both found no batch file; the first was faster."""
    plans = iter([plan_joining(folder, load_settings({**FLAGS, "template": "a dog"}, {}, None))])

    def planned():
        found = next(plans, None)
        if found is not None:
            assert join() == 0
            return found
        return plan_joining(folder, load_settings({**FLAGS, "template": "a dog"}, {}, None))

    with pytest.raises(ResumeError, match="template"):
        run_claiming(planned, console)
    assert outcome(folder)["status"] == "complete"


def test_who_begins_at_the_same_time_joins_the_batch_of_the_first(folder, console, join, making):
    plans = iter([plan_joining(folder, load_settings(FLAGS, {}, None))])

    def planned():
        found = next(plans, None)
        if found is not None:
            assert join() == 0
        return found or plan_joining(folder, load_settings(FLAGS, {}, None))

    made = making()
    assert run_claiming(planned, console) == 0
    assert sorted(made) == IDS


@pytest.fixture
def emptied(folder):
    """What `rm -r kiss/*` leaves of a batch whose processes were killed."""
    (folder / FOLDER).mkdir(parents=True)
    (folder / FOLDER / "founding.1.lease").write_text('{"token": "theirs", "state": "done"}')
    return folder


def test_what_is_left_of_a_batch_that_was_removed_is_named_instead_of_waited_for(emptied, join, monkeypatch):
    monkeypatch.setattr(process, "SIGHT", 0.1)
    with pytest.raises(UsageError, match=r"generator\.leases, .* and no batch\.json; expected both or neither\. If"):
        join()


def test_a_signal_ends_the_wait_for_a_batch_file_that_is_not_seen_yet(emptied, join, monkeypatch):
    tries = iter([None] * 20)

    def asked(*_):
        next(tries)  # it is not asked for ever
        os.kill(os.getpid(), 15)

    monkeypatch.setattr(claims.Claims, "found", asked)
    assert join() == 143
    assert [path.name for path in emptied.iterdir()] == [FOLDER]


def test_a_folder_with_other_contents_is_refused(begun, console):
    """Such as that of all batches, given by mistake."""
    with pytest.raises(
        UsageError, match=r"found kiss and no batch\.json in .*outputs; expected the folder of one batch"
    ):
        plan_joining(begun.parent, load_settings(FLAGS, {}, None))


@pytest.mark.parametrize("name", ["process-0", "process-3"])
def test_nobody_claims_beside_a_generator_that_shares_out_videos_in_advance(begun, join, monkeypatch, name):
    monkeypatch.setattr("generator.batch.leases.DURATION", 0.5)
    with Leases(begun / FOLDER).taken(name), pytest.raises(ResumeError, match="another generator"):
        join()


def test_each_process_uses_the_device_that_it_is_given(begun):
    given = load_settings({"device": "cuda:1"}, {}, None)
    assert plan_joining(begun, given).settings.model.device == "cuda:1"
    assert plan_joining(begun, load_settings({}, {}, None)).settings.model.device == "auto"
