"""Atomic writing, and errors that name the file."""

import errno
import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from generator.errors import OutputError
from generator.outputs import files
from generator.outputs.files import atomic_write, fingerprint, make_folder, remove_leftovers, write_bytes, write_json


def write_half(path, error):
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_a_file_is_hidden_until_it_is_complete(tmp_path):
    path = tmp_path / "video.mp4"
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_flushed_before_renaming_and_the_folder_after(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    flushed = []
    fsync = os.fsync

    def spy(descriptor):
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    write_json(path, {"a": "é"})
    (file, named_before), (folder, named_after) = flushed
    assert file.parent == tmp_path
    assert not named_before
    assert (folder, named_after) == (tmp_path, True)


def test_an_exception_leaves_the_existing_file_unchanged(tmp_path):
    path = tmp_path / "a.txt"
    write_bytes(path, b"old")
    with pytest.raises(KeyError):
        write_half(path, KeyError())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_reported_and_leaves_no_file(tmp_path):
    path = tmp_path / "a.txt"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match=r"a\.txt cannot be written: No space left on device.*--resume"):
        write_half(path, full)
    assert list(tmp_path.iterdir()) == []


def test_an_error_other_than_a_full_disk_does_not_ask_for_space(tmp_path):
    path = tmp_path / "a.txt"
    path.mkdir()
    with pytest.raises(OutputError, match=r"a\.txt cannot be written: Is a directory\. Check what is at this path"):
        write_bytes(path, b"new")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_folders_is_enough(tmp_path, monkeypatch, number):
    refuse_fsync_of_folders(monkeypatch, number)
    write_bytes(tmp_path / "a.txt", b"whole")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


def test_a_folder_that_fails_to_be_flushed_is_an_error(tmp_path, monkeypatch):
    refuse_fsync_of_folders(monkeypatch, errno.EIO)
    with pytest.raises(OutputError, match="Input/output error"):
        write_bytes(tmp_path / "a.txt", b"perhaps lost")


def refuse_fsync_of_folders(monkeypatch, number):
    fsync = os.fsync

    def refusing(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"the folder .*file/below cannot be created: Not a directory"):
        make_folder(tmp_path / "file" / "below")


def test_only_leftovers_of_killed_processes_are_removed(tmp_path):
    below = tmp_path / "videos" / "prompt_001"
    below.mkdir(parents=True)
    names = [".hidden", ".other.tmp", "video_001.mp4"]
    for name in names:
        (below / name).touch()
    with atomic_write(below / "video_002.mp4") as leftover:
        leftover.touch()
        remove_leftovers(tmp_path)
        assert sorted(path.name for path in below.iterdir()) == names
        leftover.touch()


def test_a_fingerprint_has_size_and_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 3)
    (tmp_path / "a").write_bytes(b"some bytes")
    assert fingerprint(tmp_path / "a") == {"bytes": 10, "sha256": hashlib.sha256(b"some bytes").hexdigest()}


def test_a_document_with_values_outside_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})


def test_bytes_of_names_that_are_not_utf_8_come_back_from_a_document(tmp_path):
    write_json(tmp_path / "a.json", {"output": "caf\udce9"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"output": "caf\udce9"}
