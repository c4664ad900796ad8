"""`attnwatch doctor`: checks that a watcher can work on this machine and in a folder, and suggests remedies."""

import errno
import fcntl
import os
import resource
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from attnwatch.batches.discover import find_videos
from attnwatch.batches.entered import is_left_out
from attnwatch.batches.videos import outputs_of
from attnwatch.cli.contents import contents
from attnwatch.cli.doctor_cluster import examine_cluster
from attnwatch.cli.finding import Finding, listed
from attnwatch.cli.output import show
from attnwatch.report.activity import read_activities
from attnwatch.report.log import counted
from attnwatch.settings import Watcher
from attnwatch.system.abilities import has_no_locks, sync_folder
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.inotify import Inotify, read_inotify
from attnwatch.system.lock_reach import LockReach, lock_reach
from attnwatch.system.mounts import FileSystem, file_systems_below, parse_mountinfo, read_mountinfo
from attnwatch.system.refusals import remedy
from attnwatch.system.roots import Root
from attnwatch.system.shortage import ENOUGH_FILES
from attnwatch.system.sizes import size_text

_LEAST_QUEUE = 16_384  # the kernel's own default
_CLOCK_TOLERANCE = 2.0  # seconds; network file systems may store whole seconds
_MUCH_SPACE = 10  # times min_free_space


def examine(root: Path, settings: Watcher, excluded: Exclusion = NOTHING) -> Iterator[Finding]:
    """Yield the findings about this machine and a folder. Leaves nothing behind in the folder."""
    start = Root(root, excluded=excluded)
    yield from _reading(start)
    yield from _writing(start)
    yield from _mounts(root)
    yield from _inotify(start, read_inotify())
    yield from _space(root, settings.min_free_space)
    yield from contents(root, excluded)
    yield from examine_cluster(root, settings)
    yield _encoder()
    yield _loops()
    yield _open_files()


def told(findings: Iterable[Finding]) -> Counter[str]:
    """Show findings as they come; return how many there are of each level."""
    levels: Counter[str] = Counter()
    for finding in findings:
        levels[finding.level] += 1
        show(f"{finding.level:<9}{finding.text}")
        if finding.remedy is not None:
            show(f"{'':<9}-> {finding.remedy}")
    show(f"{counted(levels['problem'], 'problem')}, {counted(levels['warning'], 'warning')}")
    return levels


def _reading(root: Root) -> Iterator[Finding]:
    unreadable = [folder for folder, readable in _folders(root) if not readable]
    if not unreadable:
        yield Finding("ok", "all folders can be read")
        return
    found = f"{len(unreadable):,} folder{'s' if len(unreadable) > 1 else ''} cannot be read: {listed(unreadable)}"
    yield Finding("problem", found, "allow the watcher's user to read and enter them (chmod u+rx, or setfacl)")


def _writing(start: Root) -> Iterator[Finding]:
    """Check permissions, locks and the clock with a nameless file in the folder."""
    root = start.path
    try:
        with tempfile.TemporaryFile(dir=root, prefix=".attnwatch-doctor-") as file:
            file.write(b"x")
            file.flush()
            yield Finding("ok", f"{root} can be written")
            yield _locks(file)
            yield _flushing(root)
            yield _clock(os.fstat(file.fileno()).st_mtime - time.time())
    except OSError as error:
        yield Finding("problem", f"{root} cannot be written: {error.strerror}", remedy(error))
    outputs = {outputs_of(path)[1] for path in find_videos(root, start)}
    places = {_nearest(folder) for folder in outputs}
    closed = sorted(place for place in places if not os.access(place, os.W_OK | os.X_OK))
    if closed:
        found = f"outputs cannot be written in {len(closed):,} folder{'s' if len(closed) > 1 else ''}: {listed(closed)}"
        yield Finding("problem", found, "allow the watcher's user to write there (chmod u+wx, or setfacl)")


def _nearest(folder: Path) -> Path:
    """Return the folder itself, or its nearest existing parent."""
    return next((path for path in (folder, *folder.parents) if path.is_dir()), folder)


def _locks(file: IO[bytes]) -> Finding:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if has_no_locks(error):
            found = "the file system has no locks, so watchers cannot see each other's work"
            return Finding("warning", found, "run only one watcher there, or mount it with locks (Lustre: -o flock)")
        name = errno.errorcode.get(error.errno or 0, "")
        remedy = "mount it with locks (Lustre: -o flock; NFS: without nolock, and with the lock service running)"
        return Finding("problem", f"files cannot be locked: {error.strerror} ({name})", remedy)
    return Finding("ok", "files can be locked: several watchers on this machine can share the work")


def _flushing(root: Path) -> Finding:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        can_flush = sync_folder(descriptor)
    except OSError as error:
        return Finding("problem", f"folders cannot be flushed: {error.strerror}", "check the mount and its server")
    finally:
        os.close(descriptor)
    if can_flush:
        return Finding("ok", "folders can be flushed: what is finished survives a power failure")
    found = "the file system cannot flush folders: after a power failure, the last outputs may be missing"
    return Finding("warning", found, "nothing has to be done: what is missing is rendered again")


def _clock(ahead: float) -> Finding:
    if abs(ahead) <= _CLOCK_TOLERANCE:
        return Finding("ok", "the clocks of the file system and of this machine agree")
    where = "ahead of" if ahead > 0 else "behind"
    found = f"the file system's clock is {abs(ahead):,.0f} s {where} this machine's"
    return Finding(
        "warning", found, "set both by NTP; until then, the times in `status` and of retries are off by as much"
    )


def _mounts(root: Path) -> Iterator[Finding]:
    for system in file_systems_below(root, parse_mountinfo(read_mountinfo())):
        yield _mount(system)
        if (reach := lock_reach(system)) is not None:
            yield _reach(system.mount_point, reach)


def _mount(system: FileSystem) -> Finding:
    about = f"{system.mount_point} is {system.kind} ({system.source})" if system.source else str(system.mount_point)
    if system.read_only:
        return Finding("problem", f"{about}, mounted read-only", "mount it read-write: outputs go beside the videos")
    if not system.polled:
        return Finding("ok", f"{about}: file events report new videos")
    found = f"{about}: new videos are found by scanning; {system.reason}"
    return Finding(
        "warning", found, "run the watcher on the machine that writes the videos, or leave it: scans find everything"
    )


def _reach(mount_point: Path, reach: LockReach) -> Finding:
    if reach.machines == "all":
        return Finding("ok", f"locks in {mount_point} reach every machine that mounts it ({reach.reason})")
    if reach.machines == "this":
        found = f"locks in {mount_point} do not reach other machines ({reach.reason})"
    else:
        found = f"whether locks in {mount_point} reach other machines is not known ({reach.reason})"
    remedy = "run a single watcher for it, which may give its work to the others: --engine dask://HOST:8786"
    return Finding("warning", found, remedy if reach.remedy is None else f"mount it {reach.remedy}; or {remedy}")


def _inotify(root: Root, inotify: Inotify | None) -> Iterator[Finding]:
    if inotify is None:
        yield Finding("warning", "the kernel's limits for file events cannot be read", "scans find everything")
        return
    needed = sum(1 for _ in _folders(root))
    is_watched = any(activity.host == socket.gethostname() for activity in read_activities(root.path))
    after = max(needed, inotify.watches) if is_watched else needed + inotify.watches
    folders = f"{needed:,} folder{'' if needed == 1 else 's'} to watch"
    about = f"{folders}, {inotify.watches:,} watched by this user, {inotify.max_watches:,} allowed"
    if after > inotify.max_watches:
        remedy = f"sysctl fs.inotify.max_user_watches={_rounded(2 * after)}; until then, scans find what events miss"
        yield Finding("warning", about, remedy)
    else:
        yield Finding("ok", about)
    about = f"{inotify.instances:,} of {inotify.max_instances:,} inotify instances in use by this user"
    if inotify.instances >= inotify.max_instances:
        wanted = _rounded(2 * inotify.max_instances)
        remedy = f"sysctl fs.inotify.max_user_instances={wanted}; until then, scans find everything"
        yield Finding("warning", about, remedy)
    else:
        yield Finding("ok", about)
    about = f"{inotify.max_queued:,} unread file events are kept"
    if inotify.max_queued < _LEAST_QUEUE:
        remedy = f"sysctl fs.inotify.max_queued_events={_LEAST_QUEUE}; an overflow costs a scan, but no video"
        yield Finding("warning", about, remedy)
    else:
        yield Finding("ok", about)


def _space(root: Path, least: int) -> Iterator[Finding]:
    try:
        status = os.statvfs(root)
    except OSError as error:
        yield Finding("problem", f"free space cannot be determined: {error.strerror}", "check the mount")
        return
    free = status.f_bavail * status.f_frsize
    about = f"{size_text(free)} free, min_free_space is {size_text(least)}"
    if free < least:
        yield Finding("problem", about, "free some space, or lower min_free_space: nothing is rendered until then")
    elif free < _MUCH_SPACE * least:
        yield Finding("warning", about, "free some space soon: nothing is rendered below min_free_space")
    else:
        yield Finding("ok", about)
    if status.f_files and status.f_favail == 0:
        yield Finding("problem", "no inode is free: no file can be created", "remove files that are not needed")


def _encoder() -> Finding:
    import av  # noqa: PLC0415 - takes half a second, and other commands do not need it

    try:
        av.codec.Codec("libx264", "w")
    except ValueError:
        found = f"PyAV {av.__version__} has no H.264 encoder (libx264)"
        return Finding("problem", found, "install PyAV's own wheel: pip install --force-reinstall --only-binary av av")
    return Finding("ok", f"H.264 encoder: libx264 of PyAV {av.__version__}")


def _loops() -> Finding:
    from attnwatch.tensors import loops  # noqa: PLC0415 - imports numpy, which other commands do not need

    if loops.WHY_NOT_COMPILED is None:
        return Finding("ok", "the inner loops are compiled")
    found = f"the inner loops are not compiled ({loops.WHY_NOT_COMPILED}): numpy replaces them, more slowly"
    remedy = (
        "install a C compiler (gcc), then attnwatch again, in its source folder: "
        "rm -rf build attnwatch/tensors/*.so; pip install --force-reinstall --no-deps . (or -e ., as before)"
    )
    return Finding("warning", found, remedy)


def _open_files() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    about = f"{'any number of' if limit == resource.RLIM_INFINITY else f'{limit:,}'} files may be open"
    if limit != resource.RLIM_INFINITY and limit < ENOUGH_FILES:
        return Finding("warning", about, f"ulimit -n {ENOUGH_FILES}, or LimitNOFILE= of the service")
    return Finding("ok", about)


def _folders(root: Root) -> Iterator[tuple[str, bool]]:
    """Yield every folder at or below a path that events cover, and whether it can be read."""
    above, pending = (str(root.path),), [str(root.path)]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                inside = (entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
                pending.extend(path for path in inside if not is_left_out(path, above, root.excluded))
        except FileNotFoundError:
            continue
        except OSError:
            yield folder, False
        else:
            yield folder, True


def _rounded(number: int) -> int:
    """Round up to a power of two."""
    return 1 << (number - 1).bit_length()
