import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from attnwatch.batches.targets import Target
from attnwatch.contract.receipts import Fingerprint
from attnwatch.contract.stamps import stamp_of
from attnwatch.watch.decisions import Decisions, origins
from attnwatch.watch.task import Basis

INPUTS = ("video_001.mp4", "attention_maps/vid001.safetensors")
FILES = ("video_001.complete.json", "batch.complete.json", "receipt.rendered.json", *INPUTS)

files = st.sampled_from(FILES)


class SettledUntilSomethingChanges(RuleBasedStateMachine):
    """A target is settled exactly as long as all files are as they were when it was settled."""

    def __init__(self):
        super().__init__()
        self.exit = TemporaryDirectory()
        self.folder = Path(self.exit.name)
        (self.folder / "attention_maps").mkdir()
        self.target = Target(self.folder / "video_001.complete.json", self.folder)
        self.memory = Decisions()
        self.sizes = dict.fromkeys(FILES)
        self.settled = None
        self.written = 0

    def teardown(self):
        self.exit.cleanup()

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
        self.memory.settle(self.target, Basis(origins(self.target), stamps, receipt, stamp_of(receipt)))
        self.settled = dict(self.sizes)

    @rule()
    def unsettle(self):
        self.memory.unsettle(self.target)
        self.settled = None

    @rule()
    def forget(self):
        self.memory.forget_settled()
        self.settled = None

    @invariant()
    def is_settled_as_long_as_nothing_changed(self):
        assert self.memory.is_settled(self.target) == (self.settled == self.sizes)
        assert self.memory.videos == (self.settled is not None)


SettledUntilSomethingChanges.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestSettledUntilSomethingChanges = SettledUntilSomethingChanges.TestCase


def settled(folder, *, batch=None):
    """Return a memory with one settled target of one input, and that target."""
    target = Target(folder / "v.complete.json", batch)
    for path in (target.manifest, folder / "v.mp4"):
        path.write_text("{}")
    memory = Decisions()
    memory.settle(
        target, Basis(origins(target), {"v.mp4": stamp_of(folder / "v.mp4")}, folder / "v.rendered.json", None)
    )
    assert memory.is_settled(target)
    return memory, target


def test_a_file_of_the_same_size_with_another_time_is_a_change(tmp_path):
    memory, target = settled(tmp_path)
    os.utime(tmp_path / "v.mp4", ns=(0, 0))
    assert not memory.is_settled(target)


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_a_change(tmp_path):
    memory, target = settled(tmp_path)
    before = (tmp_path / "v.mp4").stat()
    other = tmp_path / "other"
    other.write_text("[]")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(tmp_path / "v.mp4")
    os.utime(tmp_path / "v.mp4", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not memory.is_settled(target)


def test_the_ending_of_a_batch_matters_only_to_its_collection(tmp_path):
    memory, target = settled(tmp_path)
    (tmp_path / "batch.complete.json").write_text("{}")
    assert memory.is_settled(target)


def test_a_video_and_its_collection_are_settled_each_by_itself_and_count_as_one_video(tmp_path):
    memory, target = settled(tmp_path)
    collected = Target(target.manifest, tmp_path)
    assert not memory.is_settled(collected)
    memory.settle(collected, Basis(origins(collected), {}, tmp_path / "c.rendered.json", None))
    assert memory.videos == 1
    memory.unsettle(target)
    assert memory.is_settled(collected)


def test_a_rendering_that_nobody_wants_is_settled_and_counts_as_no_video(tmp_path):
    target = Target(tmp_path / "v.complete.json")
    memory = Decisions()
    memory.settle(target, Basis(origins(target), {}, None, None))
    assert memory.is_settled(target)
    assert memory.videos == 0
    target.manifest.write_text("{}")
    assert not memory.is_settled(target)


def test_a_receipt_leads_to_its_target(tmp_path):
    memory = Decisions()
    assert memory.owner(tmp_path / "v.rendered.json") is None
    for batch in (None, tmp_path):
        target = Target(tmp_path / "v.complete.json", batch)
        memory.own(tmp_path / "v.rendered.json", target)
        assert memory.owner(tmp_path / "v.rendered.json") == target


def fingerprint(manifest_sha256="digest", **settings):
    return Fingerprint(manifest_sha256, settings, {})


def test_what_was_rendered_is_known_by_its_manifest_its_settings_and_its_files(tmp_path):
    memory, target = settled(tmp_path)
    stamps = {"v.mp4": stamp_of(tmp_path / "v.mp4")}
    memory.note_rendered(target, fingerprint(), stamps)
    assert memory.was_rendered(target, fingerprint(), stamps)
    assert not memory.was_rendered(target, fingerprint("another digest"), stamps)
    assert not memory.was_rendered(target, fingerprint(colormap="bone"), stamps)
    assert not memory.was_rendered(target, fingerprint(), {"v.mp4": None})
    assert not memory.was_rendered(target, fingerprint(), {"w.mp4": stamps["v.mp4"]})
    assert not memory.was_rendered(Target(target.manifest, tmp_path), fingerprint(), stamps)


def test_what_was_rendered_is_not_forgotten_with_what_was_settled(tmp_path):
    memory, target = settled(tmp_path)
    memory.note_rendered(target, fingerprint(), {})
    memory.forget_settled()
    assert memory.was_rendered(target, fingerprint(), {})


def test_videos_that_are_gone_are_forgotten_when_far_fewer_were_found(tmp_path):
    memory, there = settled(tmp_path)
    targets = [Target(tmp_path / f"{number}.complete.json") for number in range(200)]
    for target in targets:
        memory.settle(target, Basis(origins(target), {}, tmp_path / "r.rendered.json", None))
        memory.note_rendered(target, fingerprint(), {})
        memory.own(target.manifest.with_suffix(".rendered.json"), target)
    memory.prune(200)
    assert memory.videos == 201
    memory.prune(1)
    assert memory.videos == 1
    assert memory.is_settled(there)
    assert not any(memory.was_rendered(target, fingerprint(), {}) for target in targets)
    assert memory.owner(targets[0].manifest.with_suffix(".rendered.json")) is None
