"""What `attnwatch doctor` finds in the videos of a folder: unreadable ones, newer versions, labels without glyphs."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attnwatch.batches.discover import find_manifests, layout_of, older_videos, walk
from attnwatch.batches.videos import open_attention, read_video
from attnwatch.cli.finding import MOST_LISTED, Finding, listed
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import AttnwatchError
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.roots import Root


def contents(root: Path, excluded: Exclusion = NOTHING) -> Iterator[Finding]:
    """Yield the findings about the videos at or below a path, without what is excluded."""
    start = Root(root, excluded=excluded)
    yield from _manifests(start)
    yield from _older(start)


def _manifests(root: Root) -> Iterator[Finding]:
    versions: Counter[str] = Counter()
    wrong: list[Path] = []
    characters: set[str] = set()
    for path in find_manifests(root.path, root):
        try:
            document = read_manifest(path).document
            versions[document.format] += 1
            asked = document.generation
            characters.update(asked.prompt or "", asked.negative_prompt or "", *document.texts.values())
        except (AttnwatchError, OSError):
            wrong.append(path)
    if wrong:
        found = f"{len(wrong):,} manifest{'s' if len(wrong) > 1 else ''} cannot be read: {listed(wrong)}"
        yield Finding("warning", found, f"`attnwatch check {root.path}` lists what is wrong")
    newer = [version for version in versions if re.fullmatch(r"attnwatch/1\.0*[1-9]\d*", version)]
    if newer:
        found = f"manifests of {', '.join(sorted(newer))}: this version of attnwatch knows attnwatch/1"
        yield Finding(
            "warning", found, "they are rendered without their new fields; a newer version of attnwatch may know those"
        )
    if versions.total() or not wrong:
        yield Finding("ok", f"{versions.total():,} readable manifest{'' if versions.total() == 1 else 's'}")
    yield from _glyphs("".join(characters))


def _glyphs(characters: str) -> Iterator[Finding]:
    """Check that the installed fonts have the characters of labels on figures and contact sheets."""
    if characters.isascii():  # every font has those
        return
    from attnwatch.render.text.missing import missing_glyphs  # noqa: PLC0415 - imports matplotlib, which takes half a second

    missing = missing_glyphs(characters)
    if missing is None:
        yield Finding("ok", "the installed fonts have all characters of prompts and words")
    else:
        yield Finding("warning", missing.found, missing.remedy)


def _older(root: Root) -> Iterator[Finding]:
    """Count the videos of older batches by layout, and read their headers to find those that cannot be read."""
    layouts: Counter[int] = Counter()
    wrong: dict[str, Path] = {}
    unreadable = 0
    for tensors in (path for folder in walk(root.path, start=root) for path in older_videos(folder)):
        layouts[layout_of(tensors)] += 1
        try:
            with open_attention(read_video(tensors)):
                pass
        except (AttnwatchError, OSError) as error:
            unreadable += 1
            wrong.setdefault(str(error), tensors)
    for layout, count in sorted(layouts.items()):
        found = f"{count:,} video{'' if count == 1 else 's'} of older batches without manifests (layout {layout})"
        yield Finding("ok", found)
    if unreadable:
        yield Finding("warning", f"{unreadable:,} of them cannot be read", "the first reasons:")
    for reason in list(wrong)[:MOST_LISTED]:
        yield Finding("warning", reason)
