import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from attnwatch.batches.targets import Target
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.stamps import stamp_of
from attnwatch.watch.decisions import Decisions, origins
from attnwatch.watch.task import Basis

INPUTS = ("video_001.mp4", "attention_maps/vid001.safetensors")
FILES = ("video_001.complete.json", "batch.complete.json", "receipt.rendered.json", *INPUTS)

files = st.sampled_from(FILES)


class SettledUntilSomethingChanges(RuleBasedStateMachine):
    """A target is settled exactly as long as all its files are unchanged since it was settled."""

    def __init__(self):
        super().__init__()
        self.temporary = TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        (self.folder / "attention_maps").mkdir()
        self.target = Target(self.folder / "video_001.complete.json", self.folder)
        self.decisions = Decisions()
        self.sizes = dict.fromkeys(FILES)
        self.settled = None
        self.written = 0

    def teardown(self):
        self.temporary.cleanup()

    @rule(name=files)
    def write(self, name):
        self.written += 1
        (self.folder / name).write_bytes(b"x" * self.written)
        self.sizes[name] = self.written

    @rule(name=files)
    def delete(self, name):
        (self.folder / name).unlink(missing_ok=True)
        self.sizes[name] = None

    @rule()
    def settle(self):
        receipt = self.folder / "receipt.rendered.json"
        stamps = {name: stamp_of(self.folder / name) for name in INPUTS}
        self.decisions.settle(self.target, Basis(origins(self.target), stamps, receipt, stamp_of(receipt)))
        self.settled = dict(self.sizes)

    @rule()
    def unsettle(self):
        self.decisions.unsettle(self.target)
        self.settled = None

    @rule()
    def forget(self):
        self.decisions.forget_settled()
        self.settled = None

    @invariant()
    def is_settled_while_nothing_changes(self):
        assert self.decisions.is_settled(self.target) == (self.settled == self.sizes)
        assert self.decisions.videos() == (self.settled is not None)


SettledUntilSomethingChanges.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestSettledUntilSomethingChanges = SettledUntilSomethingChanges.TestCase


def settled(folder, *, batch=None):
    """Return decisions with one settled target, which has one input, and that target."""
    target = Target(folder / "v.complete.json", batch)
    for path in (target.manifest, folder / "v.mp4"):
        path.write_text("{}")
    decisions = Decisions()
    decisions.settle(
        target, Basis(origins(target), {"v.mp4": stamp_of(folder / "v.mp4")}, folder / "v.rendered.json", None)
    )
    assert decisions.is_settled(target)
    return decisions, target


def test_a_new_modification_time_unsettles_a_target(tmp_path):
    decisions, target = settled(tmp_path)
    os.utime(tmp_path / "v.mp4", ns=(0, 0))
    assert not decisions.is_settled(target)


def test_replacing_a_file_by_one_of_the_same_size_and_time_unsettles_a_target(tmp_path):
    decisions, target = settled(tmp_path)
    before = (tmp_path / "v.mp4").stat()
    other = tmp_path / "other"
    other.write_text("[]")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(tmp_path / "v.mp4")
    os.utime(tmp_path / "v.mp4", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not decisions.is_settled(target)


def test_the_end_of_a_batch_does_not_unsettle_its_videos(tmp_path):
    decisions, target = settled(tmp_path)
    (tmp_path / "batch.complete.json").write_text("{}")
    assert decisions.is_settled(target)


def test_a_video_and_its_collection_are_settled_separately_and_count_as_one_video(tmp_path):
    decisions, target = settled(tmp_path)
    collected = Target(target.manifest, tmp_path)
    assert not decisions.is_settled(collected)
    decisions.settle(collected, Basis(origins(collected), {}, tmp_path / "c.rendered.json", None))
    assert decisions.videos() == 1
    decisions.unsettle(target)
    assert decisions.is_settled(collected)


def test_a_disabled_rendering_is_settled_but_not_counted_as_a_video(tmp_path):
    target = Target(tmp_path / "v.complete.json")
    decisions = Decisions()
    decisions.settle(target, Basis(origins(target), {}, None, None))
    assert decisions.is_settled(target)
    assert decisions.videos() == 0
    target.manifest.write_text("{}")
    assert not decisions.is_settled(target)


def test_the_owner_of_a_receipt_is_its_target(tmp_path):
    decisions = Decisions()
    assert decisions.owner(tmp_path / "v.rendered.json") is None
    for batch in (None, tmp_path):
        target = Target(tmp_path / "v.complete.json", batch)
        decisions.own(tmp_path / "v.rendered.json", target)
        assert decisions.owner(tmp_path / "v.rendered.json") == target


def fingerprint(manifest_sha256="digest", **settings):
    return Fingerprint(manifest_sha256, settings, {})


def test_a_rendering_is_identified_by_target_manifest_settings_and_files(tmp_path):
    decisions, target = settled(tmp_path)
    stamps = {"v.mp4": stamp_of(tmp_path / "v.mp4")}
    decisions.note_rendered(target, fingerprint(), stamps)
    assert decisions.was_rendered(target, fingerprint(), stamps)
    assert not decisions.was_rendered(target, fingerprint("another digest"), stamps)
    assert not decisions.was_rendered(target, fingerprint(colormap="bone"), stamps)
    assert not decisions.was_rendered(target, fingerprint(), {"v.mp4": None})
    assert not decisions.was_rendered(target, fingerprint(), {"w.mp4": stamps["v.mp4"]})
    assert not decisions.was_rendered(Target(target.manifest, tmp_path), fingerprint(), stamps)


def test_forgetting_settled_targets_keeps_the_renderings(tmp_path):
    decisions, target = settled(tmp_path)
    decisions.note_rendered(target, fingerprint(), {})
    decisions.forget_settled()
    assert decisions.was_rendered(target, fingerprint(), {})


def test_pruning_forgets_deleted_videos_when_a_scan_found_far_fewer(tmp_path):
    decisions, remaining = settled(tmp_path)
    targets = [Target(tmp_path / f"{number}.complete.json") for number in range(200)]
    for target in targets:
        decisions.settle(target, Basis(origins(target), {}, tmp_path / "r.rendered.json", None))
        decisions.note_rendered(target, fingerprint(), {})
        decisions.own(target.manifest.with_suffix(".rendered.json"), target)
    decisions.prune(200)
    assert decisions.videos() == 201
    decisions.prune(1)
    assert decisions.videos() == 1
    assert decisions.is_settled(remaining)
    assert not any(decisions.was_rendered(target, fingerprint(), {}) for target in targets)
    assert decisions.owner(targets[0].manifest.with_suffix(".rendered.json")) is None
