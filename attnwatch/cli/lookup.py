"""Resolves paths and names given on the command line."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from attnwatch.batches.discover import find_videos, manifest_of, walk
from attnwatch.batches.named import ALIKE, BATCH_FOLDER, exists, folders_in, named, newest_batch
from attnwatch.batches.passed import Passed, unmarked
from attnwatch.batches.videos import identifier_of
from attnwatch.cli.finding import listed
from attnwatch.contract.names import BATCH_FILE, MANIFEST_SUFFIX, OUTPUT_DIRECTORY, is_manifest
from attnwatch.errors import ConfigError, nearest
from attnwatch.system.permissions import user

_FLAGS = {"version": "--version", "help": "--help"}
"""What other programs have as commands."""


def to_watch(path: Path, commands: Sequence[str], *, waits: bool, now: str | None) -> Path:
    """Return the absolute path of a folder to watch, or the manifest of a video.

    A folder may not exist yet if its path has a slash (it is absolute then) or is the usual one. A single word is more
    likely to be mistyped, or meant as a command.

    Args:
        path: as it was given on the command line.
        commands: names of the commands.
        waits: whether any folder is waited for.
        now: the flag that says not to wait for anything.

    Raises:
        ConfigError: there is nothing at the path, and it is not waited for.

    """
    if exists(path):
        return root_of(manifest_of(path) if path.is_file() else path)
    if now is not None:
        beside = nearest(path.name, folders_in(path.parent), cutoff=ALIKE)
        hint = f"did you mean {path.parent / beside[0]}/?" if beside else "check the path"
        raise ConfigError(f"found nothing at {path}; expected a folder of finished videos, with {now}; {hint}")
    if waits or path.is_absolute() or path == BATCH_FOLDER:
        return root_of(path)
    meant = nearest(path.name, (*_FLAGS, *commands, *folders_in(Path())), cutoff=ALIKE)
    known = {**_FLAGS, **{name: name for name in commands}}
    hint = f"did you mean `attnwatch {known.get(meant[0], f'{meant[0]}/')}`? " if meant else ""
    raise ConfigError(
        f"found nothing at {path}; expected a folder or a command; {hint}"
        f"`attnwatch {path}/` waits for a folder that does not exist yet"
    )


def root_of(path: Path) -> Path:
    """Return the absolute path of a folder or of a manifest.

    Raises:
        ConfigError: the path is a file other than a manifest, or the root of the file system.

    """
    if path.is_file() and not is_manifest(path.name):
        if path.absolute().parent.name == OUTPUT_DIRECTORY:
            raise ConfigError(f"found {path}, which was rendered; expected the video that it shows, or its manifest")
        beside = path.stem + MANIFEST_SUFFIX
        raise ConfigError(
            f"found no manifest for {path}; expected {beside} beside it, with what the model attended to while it made "
            "the video (FORMAT.md); this cannot be had from a video alone"
        )
    return _part_of_the_system(path)


def folder(path: Path) -> Path:
    """Return the absolute path of a folder, or of the newest batch of that name.

    Raises:
        ConfigError: the path is a file or the root of the file system, or neither a path nor a batch has this name.

    """
    found = named(path)
    if not found.is_dir():
        raise ConfigError(f"found the file {path}; expected a folder of videos; check the path")
    return _part_of_the_system(found)


def video(path: Path) -> Path:
    """Return the absolute path of the manifest of a video.

    Raises:
        ConfigError: the path is not that of a video or its manifest.

    """
    manifest = root_of(named(path))
    if not is_manifest(manifest.name) or not manifest.is_file():
        raise ConfigError(f"found {path}; expected a video with a manifest beside it, or the manifest; name each video")
    return manifest


def videos(*paths: Path) -> list[Path]:
    """Return what identifies each of the videos that some paths stand for, each once.

    Args:
        paths: a video or its manifest, a folder or the name of a batch (such as `demo` or `outputs/demo`) for all
            videos in it, or one of these with a pattern of names of videos below it, such as `demo/prompt_001_*`.

    Raises:
        ConfigError: there is no such video at one of the paths.

    """
    return list(dict.fromkeys(found for path in paths for found in _videos(path)))


def _videos(path: Path) -> list[Path]:
    if _is_pattern(path):
        searched = root_of(named(path.parent))
        names = {video: identifier_of(video) for video in find_videos(searched)}
        found = [video for video, name in names.items() if name == path.name]
        found = found or [video for video, name in names.items() if fnmatchcase(name, path.name)]
        expected = f"the name of a video in {searched}, or a pattern such as 'prompt_001_*'"
    else:
        searched = root_of(named(path))
        found = list(find_videos(searched))
        expected = "a video, its manifest, or a folder of finished videos"
    if not found:
        raise ConfigError(f"found no finished video at {path}; expected {expected}; {_why_none(searched)}")
    return found


def _why_none(folder: Path) -> str:
    """Return why no finished video is found in a folder, as far as the folder tells."""
    passed = Passed()
    for each in walk(folder):
        passed.take(each)
    if passed.closed:
        return f"user {user()} cannot read {listed(list(passed.closed))}"
    if passed.unmarked:
        return unmarked(passed.unmarked, passed.unmarked_number)
    return "`attnwatch status` lists them"


def _is_pattern(path: Path) -> bool:
    """Return whether the last part of a path is the name of a video in what stands before it, or a pattern of names.

    A batch of that name there comes first, as wherever a batch is called by its name.
    """
    return not exists(path) and path.name != str(path) and newest_batch(path) is None


def single_video(path: Path) -> Path:
    """Return what identifies the one video that a path stands for; see `videos`.

    Raises:
        ConfigError: there is no such video, or more than one.

    """
    first, *others = videos(path)
    if others:
        names = " and ".join(identifier_of(video) for video in (first, others[0]))
        raise ConfigError(
            f"found {1 + len(others):,} videos in {path}, such as {names}; expected one; name it, as in "
            f"{(path.parent if _is_pattern(path) else path) / identifier_of(first)}"
        )
    return first


def batch_folder(path: Path) -> Path:
    """Return the absolute path of a batch's folder, or of the newest batch of that name.

    Raises:
        ConfigError: the path is not the folder of one batch.

    """
    root = root_of(named(path))
    if not root.is_dir():
        raise ConfigError(f"found the file {root}; expected the folder of a batch")
    if not (root / BATCH_FILE).exists() and any(root.glob(f"*/{BATCH_FILE}")):
        raise ConfigError(f"found several batches in {root}; expected the folder of one batch; list them one by one")
    return root


def _part_of_the_system(path: Path) -> Path:
    """Return the absolute path; refuse the root of the file system, where devices and the kernel's own files are."""
    if path.resolve() == Path("/"):
        raise ConfigError(f"found {path}, the whole file system; expected the folder that the videos are written to")
    return path.absolute()
