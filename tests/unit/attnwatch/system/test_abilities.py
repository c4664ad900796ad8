"""File systems without locks, or whose folders cannot be flushed."""

import errno
import os

import pytest

from attnwatch.system.abilities import has_no_locks, sync_folder


@pytest.fixture
def folder(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def refusing(number):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_folder_is_flushed_where_that_is_possible(folder, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    assert sync_folder(folder)
    assert flushed == [folder]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_flush_folders_is_no_error(folder, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refusing(number))
    assert not sync_folder(folder)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_folder_that_fails_to_be_flushed_is_an_error(folder, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        sync_folder(folder)


@pytest.mark.parametrize(("number", "absent"), [(errno.ENOSYS, True), (errno.ENOTSUP, True), (errno.ENOLCK, False)])
def test_locks_that_fail_are_not_taken_for_absent_ones(number, absent):
    assert has_no_locks(OSError(number, "")) is absent
