import os
from pathlib import Path

import pytest

from attnwatch.batches.discover import find_manifests, find_videos, not_followed, walk
from attnwatch.batches.entered import is_searched
from attnwatch.system.exclusion import Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.roots import Root
from tests.legacy_support import OldBatch
from tests.support import Batch, opened_since, write_json, write_manifest, write_source_video


def found(root):
    return [str(path.relative_to(root)) for path in find_manifests(root)]


def put(root, *names):
    for name in names:
        write_manifest(root / name)


def test_manifests_are_found_at_any_depth_in_order_of_folder_name(tmp_path):
    put(tmp_path, "b/2.complete.json", "b/1.complete.json", "a/deep/down/x.complete.json", "top.complete.json")
    assert found(tmp_path) == [
        "top.complete.json",
        "a/deep/down/x.complete.json",
        "b/1.complete.json",
        "b/2.complete.json",
    ]


def test_a_batch_of_the_generators_layout_is_found(tmp_path):
    manifest = Batch.make(tmp_path).add()
    assert list(find_manifests(tmp_path)) == [manifest]


def test_the_marker_of_a_batch_is_not_a_manifest(tmp_path):
    put(tmp_path, "batch/batch.complete.json", "batch/batch.json")
    assert found(tmp_path) == []


def test_hidden_files_and_folders_are_ignored(tmp_path):
    put(tmp_path, ".x.complete.json", ".unfinished/x.complete.json", "a/.b/c/x.complete.json")
    assert found(tmp_path) == []


@pytest.mark.parametrize("folder", ["attention_maps", "attention_videos"])
def test_folders_that_never_hold_manifests_are_not_entered(tmp_path, folder):
    put(tmp_path, f"a/{folder}/x.complete.json", f"{folder}/deep/x.complete.json")
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "folder", ["#recycle", "@eaDir", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found", "System Volume Information"]
)
def test_recycle_bins_and_folders_of_the_system_are_not_entered_unless_they_are_the_root(tmp_path, folder):
    put(tmp_path, f"{folder}/x.complete.json", f"a/{folder}/b/x.complete.json", "a/x.complete.json")
    assert found(tmp_path) == ["a/x.complete.json"]
    assert not is_searched(tmp_path / "a" / folder / "b" / "x.complete.json", tmp_path)
    assert found(tmp_path / folder) == ["x.complete.json"]
    assert is_searched(tmp_path / folder / "x.complete.json", tmp_path / folder)


def test_what_a_root_excludes_is_not_searched(tmp_path):
    put(tmp_path, "old/x.complete.json", "a/old/x.complete.json", "a/b/x.complete.json", "a/c/video_1.complete.json")
    root = Root(tmp_path, excluded=Exclusion(("old", "a/b", "video_*")))
    assert list(find_videos(tmp_path, root)) == []
    put(tmp_path, "b/x.complete.json", "a/c/x.complete.json")
    kept = [tmp_path / "a/c/x.complete.json", tmp_path / "b/x.complete.json"]
    assert list(find_videos(tmp_path, root)) == kept
    assert list(find_videos(tmp_path / "a", root)) == kept[:1]  # paths are those below the root
    searched = [path for path in tmp_path.rglob("*.json") if is_searched(path, tmp_path, root.excluded)]
    assert sorted(searched) == kept


def test_so_is_not_an_older_video(tmp_path):
    batch = OldBatch(tmp_path / "batch")
    batch.add(1)
    batch.add(2)
    assert len(list(find_videos(tmp_path, Root(tmp_path)))) == 2
    for pattern, left in (("batch", 0), ("vid001", 1), ("batch/attention_maps/prompt_000/vid001", 1)):
        root = Root(tmp_path, excluded=Exclusion((pattern,)))
        assert len(list(find_videos(tmp_path, root))) == left, pattern


def test_the_root_may_be_a_manifest(tmp_path):
    put(tmp_path, "a.complete.json", "b.complete.json")
    assert list(find_manifests(tmp_path / "a.complete.json")) == [tmp_path / "a.complete.json"]


def test_a_root_that_is_another_file_yields_nothing(tmp_path):
    (tmp_path / "v.mp4").touch()
    assert list(find_manifests(tmp_path / "v.mp4")) == []


def test_a_missing_root_yields_nothing(tmp_path):
    assert list(find_manifests(tmp_path / "nothing")) == []


def test_links_to_folders_are_not_followed_so_a_walk_ends(tmp_path):
    put(tmp_path, "a/x.complete.json")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert found(tmp_path) == ["a/x.complete.json"]


def test_the_root_itself_may_be_a_link_or_hidden(tmp_path):
    put(tmp_path, ".cache/x.complete.json")
    (tmp_path / "link").symlink_to(".cache")
    assert found(tmp_path / "link") == ["x.complete.json"]
    assert found(tmp_path / ".cache") == ["x.complete.json"]


def test_a_folder_named_like_a_manifest_is_walked_as_a_folder(tmp_path):
    put(tmp_path, "odd.complete.json/x.complete.json")
    assert found(tmp_path) == ["odd.complete.json/x.complete.json"]


def test_folders_that_vanish_during_the_walk_are_skipped(tmp_path):
    put(tmp_path, "a/x.complete.json", "b/y.complete.json", "c/z.complete.json")
    walk = find_manifests(tmp_path)
    assert next(walk).name == "x.complete.json"
    (tmp_path / "b" / "y.complete.json").unlink()
    (tmp_path / "b").rmdir()
    assert [path.name for path in walk] == ["z.complete.json"]


def test_names_that_are_not_valid_utf8_are_found(tmp_path):
    put(tmp_path, os.fsdecode(b"\xff/\xfe.complete.json"))
    assert [os.fsencode(path.name) for path in find_manifests(tmp_path)] == [b"\xfe.complete.json"]


def test_very_deep_trees_are_walked(tmp_path):
    deep = tmp_path.joinpath(*["d"] * 500)
    put(deep, "x.complete.json")
    assert len(found(tmp_path)) == 1


def test_each_folder_of_a_very_deep_tree_is_opened_from_a_near_one(tmp_path, monkeypatch):
    # From the root, 200 folders below each other would be 20,000 steps; of 2,000, two million.
    deep = tmp_path.joinpath(*["d"] * 200)
    put(deep, "x.complete.json")
    put(deep.parent / "e" / "f", "y.complete.json")
    put(tmp_path / "d-1", "z.complete.json")
    opened = []
    open_really = os.open
    monkeypatch.setattr("os.open", lambda path, *given, **how: opened.append(path) or open_really(path, *given, **how))
    assert [Path(name).name for name in found(tmp_path)] == [f"{name}.complete.json" for name in "xyz"]
    assert len(opened) < 5 * 200


def test_a_walk_keeps_few_folders_open_and_closes_them_in_the_end(tmp_path):
    put(tmp_path.joinpath(*["d"] * 100), "x.complete.json")
    opened = opened_since()
    assert max(len(opened()) for _ in walk(tmp_path)) < 30
    abandoned = walk(tmp_path)
    next(abandoned)
    abandoned.close()
    assert not opened()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", True),
        ("a/x.complete.json", True),
        ("a/.x.complete.json", False),
        (".a/x.complete.json", False),
        ("a/.b", False),
        ("a/attention_maps/x.complete.json", False),
        ("a/attention_videos", False),
    ],
)
def test_the_path_alone_shows_whether_a_walk_reaches_it(tmp_path, path, expected):
    assert is_searched(tmp_path / path, tmp_path) is expected


def test_a_path_elsewhere_is_not_searched(tmp_path):
    assert not is_searched(tmp_path, tmp_path / "a")


def test_a_hidden_root_is_searched(tmp_path):
    assert is_searched(tmp_path / ".cache" / "a", tmp_path / ".cache")


def test_a_walk_visits_every_folder_and_counts_the_folders_directly_inside(tmp_path):
    put(tmp_path, "a/v.complete.json", "a/v.mp4", "b/c/w.complete.json", ".hidden/x.complete.json")
    for name in ("a/attention_maps/vid001", "a/attention_videos"):
        (tmp_path / name).mkdir(parents=True)
    walked = [(Path(folder.path).relative_to(tmp_path), folder.files, folder.folders) for folder in walk(tmp_path)]
    assert walked == [
        (Path(), [], 2),
        (Path("a"), ["v.complete.json"], 2),
        (Path("b"), [], 1),
        (Path("b/c"), ["w.complete.json"], 0),
    ]


def test_a_walk_of_a_file_yields_its_folder_with_only_that_file(tmp_path):
    put(tmp_path, "v.complete.json", "w.complete.json", "v.mp4")
    (folder,) = walk(tmp_path / "w.complete.json")
    assert (folder.path, folder.files, folder.folders) == (str(tmp_path), ["w.complete.json"], 0)
    (folder,) = walk(tmp_path / "v.mp4")
    assert folder.files == []


def test_a_walk_can_match_other_names(tmp_path):
    put(tmp_path, "v.complete.json", "v.failed.json")
    (folder,) = walk(tmp_path, lambda name: name.endswith(".failed.json"))
    assert folder.files == ["v.failed.json"]


def test_a_walk_scans_folders_lazily(tmp_path):
    put(tmp_path, "a/v.complete.json")
    walked = walk(tmp_path)
    next(walked)
    put(tmp_path, "a/w.complete.json")
    assert next(walked).files == ["v.complete.json", "w.complete.json"]


def linked(root, links=Links.NONE):
    folders = list(walk(root, start=Root(root, links)))
    return [str(Path(folder.path, name).relative_to(root)) for folder in folders for name in folder.linked]


def test_links_to_folders_elsewhere_are_counted(tmp_path):
    put(tmp_path, "elsewhere/x.complete.json", "root/a/y.complete.json")
    (tmp_path / "root" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    assert linked(tmp_path / "root") == ["a/more"]
    assert found(tmp_path / "root") == ["a/y.complete.json"]


@pytest.mark.parametrize("target", ["a", ".", "nothing", "a/y.complete.json"])
def test_links_to_what_is_walked_anyway_or_is_no_folder_do_not_count(tmp_path, target):
    put(tmp_path, "a/y.complete.json")
    (tmp_path / "latest").symlink_to(target)
    assert linked(tmp_path) == []


def test_a_link_to_itself_hides_nothing(tmp_path):
    manifest = write_manifest(tmp_path / "a" / "x.complete.json")
    (tmp_path / "a" / "video.mp4").symlink_to(tmp_path / "a" / "video.mp4")
    assert list(find_manifests(tmp_path)) == [manifest]


def test_outputs_that_are_a_link_do_not_count(tmp_path):
    put(tmp_path, "root/y.complete.json")
    (tmp_path / "root" / "attention_videos").symlink_to(tmp_path)
    assert linked(tmp_path / "root") == []


def test_links_are_followed_on_request_and_each_folder_is_entered_once(tmp_path):
    put(tmp_path, "elsewhere/x.complete.json", "root/b/y.complete.json")
    root = tmp_path / "root"
    (root / "a_link").symlink_to("b")
    (root / "b" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "z_link").symlink_to(tmp_path / "elsewhere")
    (root / "b" / "again").symlink_to(root)
    videos = find_videos(root, Root(root, Links.ALL))
    assert [str(path.relative_to(root)) for path in videos] == ["b/y.complete.json", "z_link/x.complete.json"]
    assert linked(root, Links.ALL) == []


def test_a_folder_exchanged_for_a_link_during_a_walk_is_not_entered(tmp_path):
    put(tmp_path, "elsewhere/x.complete.json", "root/a/y.complete.json", "root/b/z.complete.json")
    found = find_manifests(tmp_path / "root")
    assert next(found).name == "y.complete.json"
    (tmp_path / "root" / "b").rename(tmp_path / "b")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    assert list(found) == []


def test_linked_folders_are_counted_and_the_first_are_named():
    assert not_followed([Path("/o/a")]) == "1 linked folder is not followed: /o/a; --follow-links follows it"
    many = not_followed([Path(f"/o/{name}") for name in "abcde"])
    assert many == "5 linked folders are not followed: /o/a, /o/b, /o/c and 2 more; --follow-links follows them"


def test_documents_with_names_like_those_of_exports_hide_no_other_videos(tmp_path):
    old = OldBatch(tmp_path / "old")
    tensors = [old.add(number) for number in (1, 2)]
    write_json(old.video(1).with_name("settings_export.json"), {})
    assert list(find_videos(old.folder)) == tensors


def test_films_of_an_export_are_no_videos(tmp_path):
    for name in ("50__kiss.mov", "other.mov"):
        write_source_video(tmp_path / name)
    write_json(tmp_path / "50%_export.json", {})
    (folder,) = walk(tmp_path)
    assert folder.unmarked == ["other.mov"]
