import os
import subprocess
from pathlib import Path

import pytest

from attnwatch.system.mounts import file_system_of, file_systems_below, parse_mountinfo, read_mountinfo

TABLE = r"""
21 26 0:19 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
26 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro
27 26 0:23 / /tmp rw,nosuid - tmpfs tmpfs rw,size=1048576k
40 26 8:17 / /data rw,noatime shared:30 master:2 - xfs /dev/sdb1 rw,attr2
41 40 0:45 / /data/shared\040videos rw,relatime - nfs4 server:/export/my\040videos rw,vers=4.2,addr=10.0.0.5
42 41 8:33 / /data/shared\040videos/scratch ro,relatime - ext4 /dev/sdc1 ro
43 26 0:50 / /mnt/a\134b rw - fuse.sshfs user@host:/ rw,user_id=1000
44 26 0:51 / /mnt/auto rw - autofs systemd-1 rw,fd=29
45 44 0:52 / /mnt/auto rw - cifs //server/share rw,vers=3.1.1
"""


@pytest.fixture
def mounts():
    return parse_mountinfo(TABLE)


@pytest.mark.parametrize(
    ("path", "kind", "source"),
    [
        ("/", "ext4", "/dev/sda2"),
        ("/home/somebody/outputs", "ext4", "/dev/sda2"),
        ("/data/outputs", "xfs", "/dev/sdb1"),
        ("/database", "ext4", "/dev/sda2"),
        ("/data/shared videos/outputs", "nfs4", "server:/export/my videos"),
        ("/data/shared videos/scratch/x", "ext4", "/dev/sdc1"),
        ("/mnt/a\\b/outputs", "fuse.sshfs", "user@host:/"),
        ("/mnt/auto/outputs", "cifs", "//server/share"),
    ],
)
def test_a_path_belongs_to_the_innermost_and_latest_mount(mounts, path, kind, source):
    system = file_system_of(Path(path), mounts)
    assert (system.kind, system.source) == (kind, source)


def test_options_of_the_mount_and_of_the_file_system_are_read(mounts):
    system = file_system_of(Path("/data"), mounts)
    assert {"rw", "noatime", "attr2"} <= system.options
    assert not system.read_only
    assert file_system_of(Path("/data/shared videos/scratch"), mounts).read_only


@pytest.mark.parametrize(
    ("kind", "events"),
    [
        *((kind, "trusted") for kind in ("ext4", "xfs", "btrfs", "tmpfs", "zfs")),
        *((kind, "partial") for kind in ("overlay", "fuseblk", "fuse.fuse-overlayfs", "something-new")),
        *((kind, "none") for kind in ("nfs", "nfs4", "cifs", "9p", "virtiofs", "lustre", "gpfs", "beegfs", "ceph")),
        *((kind, "none") for kind in ("fuse.sshfs", "fuse.gcsfuse", "fuse.glusterfs")),
    ],
)
def test_events_are_trusted_where_only_this_machine_writes_and_the_reason_names_the_kind(kind, events):
    (system,) = parse_mountinfo(f"1 0 0:1 / / rw - {kind} source rw")
    assert system.events == events
    assert system.polled == (events != "trusted")
    assert kind in system.reason


def test_mounts_below_a_folder_are_found_too(mounts):
    assert [system.kind for system in file_systems_below(Path("/data"), mounts)] == ["xfs", "nfs4", "ext4"]
    assert [system.kind for system in file_systems_below(Path("/tmp"), mounts)] == ["tmpfs"]


def test_a_link_belongs_to_the_file_system_of_its_target(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    link.symlink_to(target)
    table = f"1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / {os.path.realpath(target)} rw - nfs server:/ rw"
    assert file_system_of(link / "outputs", parse_mountinfo(table)).kind == "nfs"


@pytest.mark.parametrize("table", ["", "nonsense", "1 2 3 - 4", "- ext4 a rw", "1 0 0:1 / / rw ext4 a rw"])
def test_without_a_readable_table_events_are_not_trusted(table):
    system = file_system_of(Path("/outputs"), parse_mountinfo(table))
    assert system.events == "partial"
    assert "does not name its mount" in system.reason


def test_names_that_are_not_utf8_are_preserved():
    (system,) = parse_mountinfo("1 0 0:1 / /mnt/\udcff\\012 rw - ext4 /dev/a rw")
    assert os.fsencode(system.mount_point) == b"/mnt/\xff\n"


def test_only_ascii_spaces_separate_fields():
    (system,) = parse_mountinfo("1 0 0:1 / /mnt/a\u00a0b\u2028c rw - ext4 /dev/a rw")
    assert str(system.mount_point) == "/mnt/a\u00a0b\u2028c"


def test_the_table_of_this_machine_agrees_with_df(tmp_path):
    """Compares with the answer of another program."""
    for path in (tmp_path, Path("/proc"), Path("/dev/shm")):
        if path.exists():
            df = subprocess.run(["df", "--output=fstype,target", path], capture_output=True, text=True, check=True)
            kind, target = df.stdout.splitlines()[1].split(None, 1)
            system = file_system_of(path, parse_mountinfo(read_mountinfo()))
            assert (system.kind, str(system.mount_point)) == (kind, target)
