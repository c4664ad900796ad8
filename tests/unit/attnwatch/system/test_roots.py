import pytest

from attnwatch.system.folders import LinkError, Links, PathError
from attnwatch.system.roots import Root


@pytest.fixture
def tree(tmp_path):
    """A root that is reached through a link, with a batch in it."""
    (tmp_path / "disk" / "batch" / "maps").mkdir(parents=True)
    (tmp_path / "disk" / "batch" / "maps" / "kiss").write_bytes(b"12345")
    (tmp_path / "outputs").symlink_to("disk")
    return tmp_path / "outputs"


def test_the_way_to_a_root_may_be_a_link(tree):
    root = Root(tree)
    assert root.read(tree / "batch" / "maps" / "kiss", 100) == b"12345"
    with root.folder(tree) as folder, root.open() as itself:
        assert folder.identity == itself.identity


def test_a_file_is_read_up_to_a_bound(tree):
    assert Root(tree).read(tree / "batch" / "maps" / "kiss", 3) == b"123"


def test_no_link_below_a_root_is_followed(tree, tmp_path):
    (tmp_path / "outside").mkdir()
    (tree / "linked").symlink_to(tmp_path / "outside")
    for use in (Root(tree).folder, Root(tree).open_file):
        with pytest.raises(LinkError):
            use(tree / "linked" / "kiss")
    with Root(tree, Links.ALL).folder(tree / "linked") as linked, Root(tmp_path / "outside").open() as outside:
        assert linked.identity == outside.identity


@pytest.mark.parametrize("path", ["../outside", "batch/../../outside", "/etc/passwd"])
def test_nothing_is_reached_outside_a_root(tree, path):
    with pytest.raises(PathError):
        Root(tree).open_file(tree / path)


def test_a_root_below_another_follows_links_inside_itself_only(tree):
    (tree / "batch" / "alias").symlink_to("maps")
    below = Root(tree).below(tree / "batch", Links.INSIDE)
    assert below.read(tree / "batch" / "alias" / "kiss", 100) == b"12345"
    (tree / "again").symlink_to("batch")
    with pytest.raises(LinkError):
        Root(tree).below(tree / "again", Links.INSIDE).open()


def test_a_root_that_follows_all_links_passes_that_on(tree):
    (tree / "again").symlink_to("batch")
    below = Root(tree, Links.ALL).below(tree / "again", Links.INSIDE)
    assert below.links is Links.ALL
    assert below.read(tree / "again" / "maps" / "kiss", 100) == b"12345"


def test_missing_folders_are_created_one_or_all(tree):
    with pytest.raises(FileNotFoundError):
        Root(tree).folder(tree / "a" / "b", create=True)
    Root(tree).folder(tree / "a", create=True).close()
    Root(tree).folder(tree / "c" / "d", create=True, parents=True).close()
    assert (tree / "a").is_dir()
    assert (tree / "c" / "d").is_dir()


def test_a_process_that_works_in_a_folder_sees_it_as_the_root(tree, monkeypatch):
    root = Root(tree, Links.ALL)
    assert root.seen_from(tree / "batch") == Root(root.seen_from(tree).path, Links.ALL)
    assert root.seen_from(tree.parent / "elsewhere") == root
    monkeypatch.chdir(tree / "batch")
    seen = Root(tree).seen_from(tree / "batch")
    assert seen.read(seen.path / "maps" / "kiss", 100) == b"12345"
