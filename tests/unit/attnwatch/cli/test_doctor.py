import errno
import os
import re
import resource
import shutil
import subprocess
from collections import namedtuple
from dataclasses import replace

import pytest

from attnwatch.cli import doctor
from attnwatch.cli.doctor import examine
from attnwatch.report.activity import Activity, Publisher
from attnwatch.settings import Watcher
from attnwatch.system.inotify import Inotify
from attnwatch.tensors import loops
from tests.lockless import without_locks
from tests.support import Batch, attnwatch, read_receipt, write_manifest

PLENTY = Inotify(max_watches=100_000, max_instances=128, max_queued=16_384, watches=10, instances=1)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Simulate a machine without problems, whatever machine the tests run on."""
    monkeypatch.setattr(loops, "WHY_NOT_COMPILED", None)
    monkeypatch.setattr(doctor, "read_inotify", lambda: PLENTY)
    monkeypatch.setattr(doctor, "read_mountinfo", lambda: "1 0 0:1 / / rw - ext4 /dev/sda1 rw")


@pytest.fixture
def batch(tmp_path):
    batch = Batch.make(tmp_path / "outputs")
    write_manifest(batch.prompt() / "video_001.complete.json", attention=[])
    return batch


def findings(root, level=None, **settings):
    found = list(examine(root, Watcher(**settings)))
    assert all((finding.remedy is None) == (finding.level == "ok") for finding in found)
    return [finding for finding in found if level in (None, finding.level)]


def only(root, level, **settings):
    """Return the one finding that is not ok."""
    (finding,) = [finding for finding in findings(root, **settings) if finding.level != "ok"]
    assert finding.level == level
    return f"{finding.text} -> {finding.remedy}"


def test_without_problems_every_finding_is_ok_and_nothing_is_left_behind(batch):
    before = sorted(batch.folder.rglob("*"))
    assert {finding.level for finding in findings(batch.folder)} == {"ok"}
    assert sorted(batch.folder.rglob("*")) == before


def test_a_scheduler_that_does_not_answer_is_a_problem(batch, monkeypatch):
    pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")
    monkeypatch.setattr("attnwatch.jobs.cluster.connecting.PATIENCE", 0.3)
    text = only(batch.folder, "problem", engine="dask://127.0.0.1:9")
    assert text.startswith("found no Dask scheduler at tcp://127.0.0.1:9 ")
    assert text.endswith("expected one -> start it (dask scheduler), or correct the setting `engine`")


def test_a_cluster_that_the_watcher_starts_itself_is_not_started_for_a_check(batch):
    pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")
    assert "the watcher starts 3 workers of its own on this machine" in [
        finding.text for finding in findings(batch.folder, "ok", engine="dask://local?workers=3")
    ]


def test_too_few_watches_are_reported_with_a_sufficient_limit(batch, monkeypatch):
    monkeypatch.setattr(doctor, "read_inotify", lambda: replace(PLENTY, max_watches=12))
    text = only(batch.folder, "warning")
    assert "3 folders to watch, 10 watched by this user, 12 allowed" in text
    assert "sysctl fs.inotify.max_user_watches=32" in text


def test_folders_that_are_already_watched_are_not_counted_twice(batch, monkeypatch):
    monkeypatch.setattr(doctor, "read_inotify", lambda: replace(PLENTY, max_watches=12))
    with Publisher([batch.folder]) as publisher:
        publisher.publish(Activity(roots=(), version="1.2"))
        assert not findings(batch.folder, "warning")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instances": 128}, "max_user_instances=256"),
        ({"max_queued": 1024}, "max_queued_events=16384"),
    ],
)
def test_other_limits_are_reported(batch, monkeypatch, change, said):
    monkeypatch.setattr(doctor, "read_inotify", lambda: replace(PLENTY, **change))
    assert said in only(batch.folder, "warning")


def test_unreadable_limits_are_a_warning(batch, monkeypatch):
    monkeypatch.setattr(doctor, "read_inotify", lambda: None)
    assert "cannot be read" in only(batch.folder, "warning")


def test_each_mount_at_and_below_the_folder_is_checked(batch, monkeypatch):
    root = os.path.realpath(batch.folder)
    table = f"1 0 0:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / {root}/videos rw - nfs4 server:/videos rw"
    monkeypatch.setattr(doctor, "read_mountinfo", lambda: table)
    assert f"{root}/videos is nfs4 (server:/videos): new videos are found by scanning" in only(batch.folder, "warning")


@pytest.mark.parametrize(
    ("options", "level", "said"),
    [
        ("nfs4 server:/videos local_lock=none", "ok", "reach every machine that mounts it (nfs4)"),
        ("nfs4 server:/videos local_lock=all", "warning", "do not reach other machines (nfs4 with local_lock=all)"),
        ("beegfs beegfs_nodev rw", "warning", "reach other machines is not known (beegfs)"),
    ],
)
def test_whether_locks_reach_other_machines_is_said_of_each_shared_mount(batch, monkeypatch, options, level, said):
    root = os.path.realpath(batch.folder)
    table = f"1 0 0:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / {root}/videos rw - {options}"
    monkeypatch.setattr(doctor, "read_mountinfo", lambda: table)
    assert any(said in finding.text for finding in findings(batch.folder, level))


def test_a_read_only_mount_is_a_problem(batch, monkeypatch):
    monkeypatch.setattr(doctor, "read_mountinfo", lambda: "1 0 0:1 / / ro - ext4 /dev/sda1 rw")
    assert "mounted read-only" in only(batch.folder, "problem")


def test_unreadable_and_unwritable_folders_are_problems(batch, monkeypatch):
    """Simulate an ordinary user, because root may do everything."""
    scandir, access = os.scandir, os.access

    def refused(path):
        if str(path).endswith("prompt_001"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(doctor.os, "access", lambda path, mode: "prompt_001" not in str(path) and access(path, mode))
    assert f"outputs cannot be written in 1 folder: {batch.prompt()}" in only(batch.folder, "problem")
    monkeypatch.setattr(doctor.os, "access", access)
    monkeypatch.setattr(doctor.os, "scandir", refused)
    assert f"1 folder cannot be read: {batch.prompt()}" in only(batch.folder, "problem")


def test_an_unwritable_folder_of_outputs_is_a_problem(batch, monkeypatch):
    def refused(**_arguments):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refused)
    assert "cannot be written: Read-only file system" in only(batch.folder, "problem")


def test_the_remedy_for_a_folder_that_cannot_be_written_is_that_for_its_reason(batch, monkeypatch):
    for number, remedy in ((errno.ENOSPC, "free some space"), (errno.EACCES, "change its permissions")):

        def refused(number=number, **_arguments):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refused)
        (problem,) = (each for each in findings(batch.folder, "problem"))
        assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("number", "level", "said"),
    [
        (errno.ENOSYS, "warning", "the file system has no locks.*run only one watcher there"),
        (errno.EOPNOTSUPP, "warning", "the file system has no locks.*-o flock"),
        (errno.ENOLCK, "problem", "files cannot be locked: No locks available .ENOLCK.*-o flock"),
    ],
)
def test_a_file_system_without_locks_or_with_failing_ones_is_told_apart(batch, monkeypatch, number, level, said):
    monkeypatch.setattr(doctor.fcntl, "flock", refusing(number))
    assert re.search(said, only(batch.folder, level))


def test_where_locks_do_not_work_doctor_and_watcher_say_so(tmp_path):
    with without_locks(tmp_path) as mount:
        manifest = Batch.make(mount / "outputs").add()
        done = attnwatch("doctor", mount / "outputs")
        assert done.returncode == 1
        assert "problem  files cannot be locked: No locks available (ENOLCK)" in done.stdout
        done = attnwatch(mount / "outputs", "--once")
        assert done.returncode == 1
        assert (
            "prompt_001_vid001: found No locks available; expected a file system whose locks work; mount" in done.stderr
        )
        assert read_receipt(manifest) is None


def test_a_file_system_that_answers_that_no_locks_are_available_is_a_problem(batch, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler, for a library that answers in the place of the file system")
    source, library = tmp_path / "no_locks.c", tmp_path / "no_locks.so"
    source.write_text("#include <errno.h>\nint flock(int file, int what) { errno = ENOLCK; return -1; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    done = attnwatch("doctor", batch.folder, LD_PRELOAD=str(library))
    assert done.returncode == 1
    assert "problem  files cannot be locked: No locks available (ENOLCK)" in done.stdout


@pytest.mark.parametrize(
    ("number", "level", "said"),
    [
        (errno.EINVAL, "warning", "the file system cannot flush folders"),
        (errno.EIO, "problem", "folders cannot be flushed: Input/output error"),
    ],
)
def test_a_file_system_that_cannot_flush_folders_or_fails_to_is_told_apart(batch, monkeypatch, number, level, said):
    monkeypatch.setattr(os, "fsync", refusing(number))
    assert said in only(batch.folder, level)


def refusing(number):
    def refuse(*inputs):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(("ahead", "said"), [(90, "90 s ahead of"), (-7200, "7,200 s behind")])
def test_a_file_system_with_a_different_clock_is_reported(batch, monkeypatch, ahead, said):
    now = doctor.time.time
    monkeypatch.setattr(doctor.time, "time", lambda: now() - ahead)
    assert said in only(batch.folder, "warning")


def test_too_little_space_is_a_problem_and_little_a_warning(batch):
    free = os.statvfs(batch.folder).f_bavail * os.statvfs(batch.folder).f_frsize
    assert "nothing is rendered" in only(batch.folder, "problem", min_free_space=2 * free)
    assert "free some space soon" in only(batch.folder, "warning", min_free_space=free // 4)


def test_no_free_inode_is_a_problem(batch, monkeypatch):
    numbers = namedtuple("statvfs", "f_bavail f_frsize f_files f_favail")(10**9, 4096, 1000, 0)
    monkeypatch.setattr(doctor.os, "statvfs", lambda _: numbers)
    assert "no inode is free" in only(batch.folder, "problem")


def test_unreadable_manifests_are_listed(batch):
    for number in range(2, 7):
        write_manifest(batch.prompt() / f"video_{number:03d}.complete.json", format="attnwatch/2")
    text = only(batch.folder, "warning")
    assert "5 manifests cannot be read" in text
    assert "video_002.complete.json" in text
    assert "video_006.complete.json" not in text
    assert f"attnwatch check {batch.folder}" in text


def test_manifests_of_a_newer_minor_version_are_reported(batch):
    for number, version in ((2, "attnwatch/1.0"), (3, "attnwatch/1.3")):
        write_manifest(batch.prompt() / f"video_{number:03d}.complete.json", attention=[], format=version)
    assert "manifests of attnwatch/1.3: this version of attnwatch knows" in only(batch.folder, "warning")


def test_a_missing_encoder_is_a_problem(batch, monkeypatch):
    import av

    def refuse(name, _mode):
        raise ValueError(name)

    monkeypatch.setattr(av.codec, "Codec", refuse)
    assert "has no H.264 encoder" in only(batch.folder, "problem")


def test_missing_compiled_loops_are_a_warning(batch, monkeypatch):
    monkeypatch.setattr(loops, "WHY_NOT_COMPILED", "no module named _loops")
    text = only(batch.folder, "warning")
    assert "are not compiled" in text
    assert "make clean" not in text  # which would remove the environment in which pip is to run
    assert "pip install --force-reinstall --no-deps ." in text


def test_a_single_folder_is_counted_in_the_singular(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "read_inotify", lambda: PLENTY)
    assert any(finding.text.startswith("1 folder to watch, ") for finding in findings(tmp_path))


def test_a_low_limit_of_open_files_is_reported(batch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        assert "LimitNOFILE=" in only(batch.folder, "warning")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
