import os

import pytest

from attnwatch.system.permissions import unwritable


@pytest.mark.parametrize(("flags", "reason"), [(os.ST_RDONLY, "is mounted read-only"), (0, "change its permissions")])
def test_the_reason_for_an_unwritable_folder_is_its_mount_or_its_permissions(tmp_path, monkeypatch, flags, reason):
    monkeypatch.setattr("os.access", lambda _folder, _mode: False)
    monkeypatch.setattr("os.statvfs", lambda _folder: os.statvfs_result((1, 1, 1, 1, 1, 1, 1, 1, flags, 255)))
    assert reason in unwritable(tmp_path / "not yet made")
