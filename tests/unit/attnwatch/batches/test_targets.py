import pytest

from attnwatch.batches.discover import Folder
from attnwatch.batches.targets import (
    Target,
    distinct_roots,
    ended_batch,
    ending_sha256,
    find_targets,
    outputs_at,
    targets_in,
)
from attnwatch.errors import ConfigError
from tests.support import BATCH, Batch, write_json


def end(batch, status="complete"):
    counts = {"expected": 1, "complete": 1, "failed": 0}
    return write_json(
        batch.folder / "batch.complete.json",
        {"format": "attnwatch/1", "status": status, "finished": "2026-01-02T03:04:05+00:00", "counts": counts},
    )


def test_a_running_batch_has_one_target_per_video(tmp_path):
    batch = Batch.make(tmp_path)
    manifests = [batch.add(1), batch.add(2)]
    assert list(find_targets(tmp_path)) == [Target(manifest) for manifest in manifests]


def test_a_batch_that_ended_also_has_a_collection_target_per_video(tmp_path):
    running, ended = Batch.make(tmp_path, "a_running"), Batch.make(tmp_path, "b_ended")
    first, second = running.add(), ended.add()
    end(ended, "interrupted")
    assert list(find_targets(tmp_path)) == [Target(first), Target(second), Target(second, ended.folder)]


def test_an_explicit_collection_does_not_require_the_batch_to_have_ended(tmp_path):
    batch = Batch.make(tmp_path)
    manifest = batch.add()
    assert list(find_targets(batch.folder, collect=True)) == [Target(manifest, batch.folder)]


def test_the_batch_of_a_manifest_is_at_most_three_levels_up(tmp_path):
    batch = Batch.make(tmp_path / "outputs")
    manifest = batch.add()
    write_json(tmp_path / "batch.complete.json", {})
    assert ended_batch(manifest, [tmp_path]) is None
    end(batch)
    assert ended_batch(manifest, [tmp_path]) == batch.folder


def test_no_batch_above_the_roots_is_collected(tmp_path):
    batch = Batch.make(tmp_path)
    manifest = batch.add()
    end(batch)
    for root in (manifest, manifest.parent, batch.folder / "videos"):
        assert list(find_targets(root)) == [Target(manifest)]
    assert ended_batch(manifest, [manifest, batch.folder]) == batch.folder


def test_outputs_below_out_keep_their_path_relative_to_their_root(tmp_path):
    videos, tensors, out = tmp_path / "videos", tmp_path / "attention_maps" / "prompt_001_vid001", tmp_path / "out"
    assert outputs_at(videos / "x", [videos], None) == videos / "x"
    assert outputs_at(videos / "x", [videos], out) == out / "x"
    assert outputs_at(videos / "x", [tmp_path / "other", videos], out) == out / "videos" / "x"
    assert outputs_at(videos / "x", [videos / "v.complete.json"], out) == out / "x"
    assert outputs_at(videos / "x", [tensors], out) == out / "videos" / "x"
    with pytest.raises(ConfigError, match=f"expected a folder below {videos}"):
        outputs_at(tmp_path / "attention_videos", [videos], out)


def test_the_ending_digest_changes_when_a_batch_is_resumed(tmp_path):
    batch = Batch.make(tmp_path)
    running = ending_sha256(batch.folder)
    batch.add()
    assert ending_sha256(batch.folder) != running
    end(batch, "interrupted")
    interrupted = ending_sha256(batch.folder)
    end(batch)
    assert ending_sha256(batch.folder) not in (running, interrupted)


def test_a_folder_without_manifests_has_no_targets(tmp_path):
    end(Batch.make(tmp_path))
    assert list(targets_in(Folder(str(tmp_path / BATCH)), [tmp_path])) == []


def test_the_manifests_of_one_folder_become_targets_in_order(tmp_path):
    batch = Batch.make(tmp_path)
    folder = Folder(str(batch.prompt()), ["b.complete.json", "c.complete.json"])
    b, c = (batch.prompt() / name for name in folder.files)
    assert list(targets_in(folder, [batch.folder])) == [Target(b), Target(c)]
    assert list(targets_in(folder, [batch.folder], batch.folder)) == [Target(b, batch.folder), Target(c, batch.folder)]
    end(batch)
    both = [Target(b), Target(b, batch.folder), Target(c), Target(c, batch.folder)]
    assert list(targets_in(folder, [batch.folder])) == both


def test_a_flat_batch_has_no_collection(tmp_path):
    batch = Batch.make(tmp_path)
    end(batch)
    folder = Folder(str(batch.folder), ["v.complete.json"])
    assert list(targets_in(folder, [batch.folder])) == [Target(batch.folder / "v.complete.json")]


@pytest.fixture
def aliased(tmp_path):
    """A folder with another one inside, and a link to each."""
    (tmp_path / "outputs" / "batch").mkdir(parents=True)
    (tmp_path / "link").symlink_to("outputs")
    (tmp_path / "inner").symlink_to("outputs/batch")
    return tmp_path


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        (["outputs", "link"], ["outputs"]),
        (["link", "outputs"], ["link"]),
        (["outputs", "inner"], ["outputs"]),
        (["inner", "outputs"], ["outputs"]),
        (["link", "outputs/batch"], ["link"]),
        (["outputs", "outputs/batch"], ["outputs", "outputs/batch"]),  # the same paths, so the same videos
        (["inner"], ["inner"]),
        (["missing", "nothing"], ["missing", "nothing"]),
    ],
)
def test_of_a_tree_that_is_named_under_two_paths_one_is_kept(aliased, named, kept):
    found, aliases = distinct_roots([aliased / name for name in named])
    assert found == tuple(aliased / name for name in kept)
    assert sorted((*found, *aliases)) == sorted(aliased / name for name in named)
