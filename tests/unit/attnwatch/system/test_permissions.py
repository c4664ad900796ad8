import os

import pytest

from attnwatch.system.permissions import unreadable, unwritable, user


@pytest.mark.parametrize(("flags", "reason"), [(os.ST_RDONLY, "is mounted read-only"), (0, "change its permissions")])
def test_the_reason_for_an_unwritable_folder_is_its_mount_or_its_permissions(tmp_path, monkeypatch, flags, reason):
    monkeypatch.setattr("os.access", lambda _folder, _mode: False)
    monkeypatch.setattr("os.statvfs", lambda _folder: os.statvfs_result((1, 1, 1, 1, 1, 1, 1, 1, flags, 255)))
    assert reason in unwritable(tmp_path / "not yet made")


def test_a_folder_that_can_be_read_is_not_refused_and_another_is_with_the_user(tmp_path, monkeypatch):
    assert unreadable(tmp_path) is None
    monkeypatch.setattr("os.access", lambda _folder, _mode: False)
    assert unreadable(tmp_path) == (
        f"{tmp_path} cannot be read by user {user()}; change its permissions, or run as its owner"
    )


def test_a_user_without_a_name_has_a_number(monkeypatch):
    """In a container, a process may run as any number."""
    assert not user().isdigit()
    monkeypatch.setattr("os.geteuid", lambda: 1_234_567)
    assert user() == "1234567"
