import contextlib
import errno
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from attnwatch.system.files import remove_tree
from attnwatch.system.folders import Folder, LinkError, Links, PathError
from tests.support import contents, opened_since, wait_until

WRITING = {
    "create": lambda folder, name: folder.create(name).close(),
    "write": lambda folder, name: folder.write(name, b"new"),
    "rename": lambda folder, name: folder.rename("own", folder, name),
    "link": lambda folder, name: folder.link("own", folder, name),
}
REMOVING = {
    "unlink": Folder.unlink,
    "remove": Folder.remove,
    "remove_tree": lambda folder, name: remove_tree(name, folder),
}


def content(folder, name):
    with folder.open_file(name) as file:
        return file.read()


def test_a_file_is_read_at_any_depth(batch):
    with Folder.open(batch) as folder:
        assert content(folder, "own") == b"own"
        assert content(folder, "maps/words/kiss") == b"inside"
        assert content(folder, "./maps//words/kiss") == b"inside"


@pytest.mark.parametrize("name", ["../outside/kiss", "maps/../../outside/kiss", "/etc/passwd", "a\0b", ".."])
def test_a_name_never_leads_out(batch, name):
    with Folder.open(batch) as folder:
        for use in (folder.open_file, folder.stat, folder.folder):
            with pytest.raises(PathError, match="expected the path of something inside the folder"):
                use(name)


@pytest.mark.parametrize("use", {**WRITING, **REMOVING}.values(), ids={**WRITING, **REMOVING}.keys())
@pytest.mark.parametrize("name", ["../outside/kiss", "maps/words", "/tmp/x", "a\0b", "..", ".", ""])
def test_only_plain_names_are_written_and_removed(batch, outside, use, name):
    before = contents(batch), contents(outside)
    with Folder.open(batch) as folder, pytest.raises(PathError, match="expected a plain name"):
        use(folder, name)
    assert (contents(batch), contents(outside)) == before


def test_a_root_may_be_reached_through_links(batch, tmp_path):
    (tmp_path / "link").symlink_to("batch")
    with Folder.open(tmp_path / "link") as folder:
        assert content(folder, "maps/words/kiss") == b"inside"
    with pytest.raises(LinkError, match="link: found a link"):
        Folder.open(tmp_path / "link", follow=False)


@pytest.mark.parametrize("where", ["maps", "maps/words", "maps/words/kiss"])
def test_no_link_below_is_followed(batch, outside, where):
    link = batch / where
    link.rename(batch / "moved")
    link.symlink_to(outside / where.removeprefix("maps/").removeprefix("maps"))
    with Folder.open(batch) as folder:
        with pytest.raises(LinkError, match="maps/words/kiss: found a link"):
            folder.open_file("maps/words/kiss")
        if where != "maps/words/kiss":
            for use in (folder.folder, folder.stat):
                with pytest.raises(LinkError, match="found a link"):
                    use("maps/words/kiss")


def test_the_status_of_a_link_is_its_own(batch, outside):
    (batch / "link").symlink_to(outside)
    with Folder.open(batch) as folder:
        assert stat.S_ISLNK(folder.stat("link").st_mode)
        with pytest.raises(FileNotFoundError, match="nothing"):
            folder.stat("maps/nothing")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("maps/alias", "words"),
        ("alias", "maps/words"),
        ("maps/words/alias", "../../maps/words"),
        ("maps/words/alias", "{batch}/maps/words"),
        ("maps/words/alias", "{batch}"),
        ("alias", "."),
    ],
)
def test_links_that_stay_inside_are_followed_on_request(batch, link, target):
    (batch / link).symlink_to(target.format(batch=batch))
    below = {"words": "kiss", "{batch}/maps/words": "kiss"}.get(target, "maps/words/kiss")
    below = "kiss" if target.endswith("maps/words") else below
    with Folder.open(batch, links=Links.INSIDE) as folder:
        assert content(folder, f"{link}/{below}") == b"inside"
        with folder.folder(link) as linked, Folder.open((batch / link).resolve()) as actual:
            assert linked.identity == actual.identity
    with Folder.open(batch) as folder, pytest.raises(LinkError):
        folder.open_file(f"{link}/{below}")


def test_a_file_may_be_a_link_that_stays_inside(batch):
    (batch / "alias").symlink_to("maps/second")
    (batch / "maps" / "second").symlink_to("words/kiss")
    with Folder.open(batch, links=Links.INSIDE) as folder:
        assert content(folder, "alias") == b"inside"
        assert stat.S_ISREG(folder.stat("alias").st_mode)


@pytest.mark.parametrize("target", ["../outside/kiss", "{outside}/kiss", "..", "maps/../../outside/kiss", "/", "loop"])
def test_links_that_lead_out_or_in_a_circle_are_refused(batch, outside, target):
    (batch / "loop").symlink_to("loop")
    (batch / "link").symlink_to(target.format(outside=outside))
    with Folder.open(batch, links=Links.INSIDE) as folder:
        for use in (folder.open_file, folder.folder, folder.stat):
            with pytest.raises(LinkError, match="link: found a link that leads"):
                use("link")


def test_a_folder_beside_with_a_longer_name_is_not_inside(batch, tmp_path):
    (tmp_path / "batch2").mkdir()
    (batch / "link").symlink_to(tmp_path / "batch2")
    with Folder.open(batch, links=Links.INSIDE) as folder, pytest.raises(LinkError):
        folder.folder("link")


def test_all_links_are_followed_on_request(batch, outside):
    (batch / "link").symlink_to(outside)
    (batch / "file").symlink_to(outside / "kiss")
    with Folder.open(batch, links=Links.ALL) as folder:
        assert content(folder, "link/words/kiss") == b"outside"
        assert content(folder, "file") == b"outside"
        with folder.folder("link") as linked, Folder.open(outside) as actual:
            assert linked.identity == actual.identity


def test_a_folder_exchanged_for_a_link_keeps_its_descriptor(batch, outside):
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        (batch / "maps").rename(batch / "moved")
        (batch / "maps").symlink_to(outside)
        maps.write("new", b"new")
        assert content(maps, "words/kiss") == b"inside"
        assert not maps.still_at(batch / "maps")
        assert maps.still_at(batch / "moved")
    assert (batch / "moved" / "new").read_bytes() == b"new"
    assert not (outside / "new").exists()


def test_links_swapped_in_while_paths_are_looked_up_never_lead_out(batch, outside):
    """One thread exchanges a folder in the middle of the path for a link, as fast as it can."""
    (batch / "link").symlink_to(outside)
    stop, found, refused = threading.Event(), set(), 0

    def exchange():
        while not stop.is_set():
            (batch / "maps").rename(batch / "real")
            (batch / "link").rename(batch / "maps")
            (batch / "maps").rename(batch / "link")
            (batch / "real").rename(batch / "maps")

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for links in (Links.NONE, Links.INSIDE):
            with Folder.open(batch, links=links) as folder:
                for _ in range(2_000):
                    try:
                        found.add(content(folder, "maps/words/kiss"))
                    except OSError:
                        refused += 1
    finally:
        stop.set()
        thread.join()
    assert found <= {b"inside"}
    assert refused


def test_only_regular_files_are_opened(batch, monkeypatch):
    os.mkfifo(batch / "fifo")
    monkeypatch.chdir(batch)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening, Folder.open(batch) as folder:
        listening.bind("socket")
        for name, what in (("fifo", "a FIFO"), ("socket", "a socket")):
            with pytest.raises(PathError, match=f"found {what}; expected a regular file"):
                folder.open_file(name)
        for name in ("maps", "."):
            with pytest.raises(IsADirectoryError):
                folder.open_file(name)
    with Folder.open(Path("/dev")) as folder, pytest.raises(PathError, match="found a device"):
        folder.open_file("null")


def test_a_fifo_that_takes_the_place_of_a_file_does_not_block(batch, monkeypatch):
    os.mkfifo(batch / "fifo")
    regular = (batch / "own").stat()
    with Folder.open(batch) as folder:
        monkeypatch.setattr(os, "stat", lambda *_, **__: regular)
        with pytest.raises(PathError, match="found a FIFO"):
            folder.open_file("fifo")


def test_errors_name_the_whole_path(batch):
    with Folder.open(batch) as folder:
        with pytest.raises(FileNotFoundError) as absent:
            folder.open_file("maps/nothing/kiss")
        assert absent.value.filename == str(batch / "maps/nothing/kiss")
        with pytest.raises(FileExistsError) as taken:
            folder.create("own")
        assert taken.value.filename == str(batch / "own")


def test_refusals_can_be_sent_between_processes(batch):
    (batch / "link").symlink_to("own")
    with Folder.open(batch) as folder, pytest.raises(LinkError) as refused:
        folder.open_file("link")
    again = pickle.loads(pickle.dumps(refused.value))
    assert str(again) == str(refused.value)
    assert again.errno == errno.ELOOP


def test_missing_folders_are_created(batch, outside):
    with Folder.open(batch) as folder:
        for options in ({}, {"create": True}):
            with pytest.raises(FileNotFoundError):
                folder.folder("a/b", **options)
        with folder.folder("a/b", create=True, parents=True) as inside:
            inside.write("c", b"")
        folder.folder("a/b", create=True).close()
        folder.folder("a/b/d", create=True).close()
        (batch / "link").symlink_to(outside)
        with pytest.raises(LinkError):
            folder.folder("link/new", create=True, parents=True)
    assert (batch / "a" / "b" / "c").exists()
    assert not (outside / "new").exists()


def test_a_folder_that_may_be_entered_but_not_listed_is_passed(batch):
    if os.geteuid() == 0:
        pytest.skip("root may list everything")
    (batch / "maps").chmod(0o100)
    with Folder.open(batch) as folder:
        assert content(folder, "maps/words/kiss") == b"inside"
    (batch / "maps").chmod(0o700)


def test_a_file_is_written_in_whole_or_not_at_all(batch):
    with Folder.open(batch) as folder:
        folder.write("own", b"new")
        with contextlib.suppress(ValueError), folder.writing("own") as file:
            file.write(b"half")
            raise ValueError("broken")
        assert sorted(folder.names()) == ["maps", "own"]
    assert (batch / "own").read_bytes() == b"new"


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(batch):
    """A process rewrites a file in an endless loop, and is killed several times."""
    program = """
import sys
from pathlib import Path
from attnwatch.system.folders import Folder
with Folder.open(Path(sys.argv[1])) as folder:
    for number in range(10**9):
        folder.write("a.json", b"%d" % (number % 10) * 3_000_000)
"""
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program, str(batch / "maps")])
        try:
            wait_until(lambda: [*(batch / "maps").glob("*.tmp")])
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if (batch / "maps" / "a.json").exists():
            content = (batch / "maps" / "a.json").read_bytes()
            assert len(content) == 3_000_000
            assert len(set(content)) == 1
        for unfinished in (batch / "maps").glob("*.tmp"):
            assert unfinished.name.startswith(".")
            unfinished.unlink()


@pytest.mark.parametrize(("durable", "flushed"), [(True, ["regular", "folder"]), (False, [])])
def test_only_a_durable_file_is_flushed_to_disk(batch, monkeypatch, durable, flushed):
    seen = []
    monkeypatch.setattr(
        os, "fsync", lambda number: seen.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "regular")
    )
    with Folder.open(batch) as folder:
        folder.write("a.json", b"new", durable=durable)
    assert seen == flushed


def test_the_longest_name_can_be_written(batch):
    with Folder.open(batch) as folder:
        folder.write("x" * 255, b"new")
        assert content(folder, "x" * 255) == b"new"


@pytest.mark.parametrize("use", [WRITING["write"], WRITING["rename"]])
def test_a_link_is_replaced_and_not_written_through(batch, outside, use):
    (batch / "link").symlink_to(outside / "kiss")
    with Folder.open(batch) as folder:
        use(folder, "link")
    assert not (batch / "link").is_symlink()
    assert (outside / "kiss").read_bytes() == b"outside"


@pytest.mark.parametrize("use", [WRITING["create"], WRITING["link"]])
def test_a_new_file_takes_the_place_of_nothing(batch, outside, use):
    (batch / "link").symlink_to(outside / "nothing")
    with Folder.open(batch) as folder, pytest.raises(FileExistsError):
        use(folder, "link")
    assert not (outside / "nothing").exists()


def test_a_file_moves_between_folders(batch):
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        folder.rename("own", maps, "moved")
    assert (batch / "maps" / "moved").read_bytes() == b"own"
    assert not (batch / "own").exists()


def test_nothing_stays_open(batch, outside):
    (batch / "link").symlink_to(outside)
    opened = opened_since()
    for links in Links:
        with Folder.open(batch, links=links) as folder:
            with folder.folder("maps"), folder.open_file("own"):
                pass
            for name in ("link/nothing", "nothing", "..", "maps"):
                with pytest.raises(OSError, match=r"\S"):
                    folder.open_file(name)
            folder.stat("maps/words/kiss")
            folder.write("own", b"")
    assert not opened()


def test_a_folder_has_a_path_for_libraries_that_open_files_by_name(batch, outside):
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        (batch / "maps").rename(batch / "moved")
        (batch / "maps").symlink_to(outside)
        (maps.handle / "new").write_bytes(b"new")
    assert (batch / "moved" / "new").read_bytes() == b"new"
