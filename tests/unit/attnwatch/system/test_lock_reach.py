import pytest

from attnwatch.system.lock_reach import lock_reach
from attnwatch.system.mounts import parse_mountinfo


def reach(kind, options="rw"):
    (system,) = parse_mountinfo(f"1 0 0:1 / /data rw - {kind} source {options}")
    return lock_reach(system)


@pytest.mark.parametrize(
    ("kind", "options", "machines", "reason"),
    [
        ("nfs4", "rw,vers=4.2,local_lock=none", "all", "nfs4"),
        ("nfs4", "rw,vers=4.2,local_lock=all", "this", "nfs4 with local_lock=all"),
        ("nfs", "rw,nolock,local_lock=all", "this", "nfs with nolock"),
        ("nfs", "rw,vers=3,local_lock=posix", "all", "nfs"),
        ("lustre", "rw,flock", "all", "lustre"),
        ("lustre", "rw,localflock", "this", "lustre with localflock"),
        ("lustre", "rw", "this", "lustre without flock"),
        ("cifs", "rw,nobrl", "this", "cifs with nobrl"),
        ("ceph", "rw", "all", "ceph"),
        ("virtiofs", "rw", "this", "virtiofs"),
        ("fuse.sshfs", "rw", "this", "fuse.sshfs"),
        ("beegfs", "rw", "unknown", "beegfs"),
        ("fuse.rclone", "rw", "unknown", "fuse.rclone"),
    ],
)
def test_how_far_locks_reach_depends_on_the_file_system_and_how_it_is_mounted(kind, options, machines, reason):
    found = reach(kind, options)
    assert (found.machines, found.reason) == (machines, reason)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "tmpfs", "fuse.bindfs"])
def test_of_a_disk_that_no_other_machine_can_have_there_is_nothing_to_say(kind):
    assert reach(kind) is None


def test_what_to_mount_it_with_is_said_where_that_would_help():
    assert reach("nfs4", "local_lock=all").remedy == "without nolock and local_lock"
    assert reach("lustre").remedy == "-o flock"
    assert reach("fuse.sshfs").remedy is None
