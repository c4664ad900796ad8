import os
import stat

import pytest

from attnwatch.system.folders import Folder, PathError
from attnwatch.system.locks import exclusive, lock_file

USER, OTHER, GROUP = 20_001, 20_002, 20_100
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which needs root")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path, usual_umask):
    """A function that returns an open folder with these permissions."""
    opened = []

    def make(permissions):
        path = tmp_path / f"{permissions:o}"
        path.mkdir()
        path.chmod(permissions)
        opened.append(Folder.open(path))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    ("around", "inside", "lock"),
    [
        (0o755, 0o755, 0o644),
        (0o775, 0o775, 0o664),
        (0o770, 0o775, 0o664),
        (0o2775, 0o2775, 0o664),
        (0o777, 0o775, 0o664),
    ],
)
def test_folders_and_locks_can_be_written_by_the_group_that_shares_the_folder(folder, around, inside, lock):
    shared = folder(around)
    with shared.folder("attention_videos", create=True):
        assert mode(shared.path / "attention_videos") == inside
    with exclusive(shared, "video"):
        assert mode(shared.path / lock_file("video")) == lock


def test_what_was_there_before_keeps_its_permissions(folder):
    shared = folder(0o2775)
    (shared.path / "attention_videos").mkdir(0o700)
    shared.folder("attention_videos", create=True).close()
    assert mode(shared.path / "attention_videos") == 0o2700


def in_another_process(user, function):
    """Run a function as another user of the group; return whether it succeeded."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setgid(GROUP)
            os.setuid(user)
            function()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@needs_root
def test_another_user_of_the_group_takes_the_lock_that_a_killed_watcher_left(folder):
    shared = folder(0o2770)
    os.chown(shared.path, USER, GROUP)
    shared.path.chmod(0o2770)

    def leave():
        with shared.folder("attention_videos", create=True) as outputs, exclusive(outputs, "video"):
            os._exit(0)  # as if killed: the lock's file stays

    def take():
        with shared.folder("attention_videos") as outputs, exclusive(outputs, "video"):
            outputs.write("video.rendered.json", b"{}")

    assert in_another_process(USER, leave)
    assert (shared.path / "attention_videos" / lock_file("video")).exists()
    assert in_another_process(OTHER, take)
    assert not (shared.path / "attention_videos" / lock_file("video")).exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_in_the_way_of_a_lock_is_named_with_what_to_do(folder, make):
    shared = folder(0o755)
    path = shared.path / lock_file("video")
    make(path)
    with pytest.raises(PathError, match=r"(remove|replace) it") as caught, exclusive(shared, "video"):
        pass
    assert str(path) in str(caught.value)


@needs_root
def test_a_lock_that_another_user_keeps_to_himself_is_named_with_what_to_do(folder):
    shared = folder(0o2777)
    path = shared.path / lock_file("video")
    path.touch(0o600)

    def take():
        remedy = "remove it once no watcher of that user works there"
        with pytest.raises(PathError, match=remedy), exclusive(shared, "video"):
            pass

    assert in_another_process(OTHER, take)
