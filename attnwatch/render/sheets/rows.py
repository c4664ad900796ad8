"""Which videos the contact sheet of a word shows, in which rows, and what its header says about that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.stamps import stamp_of
from attnwatch.settings import SheetRows

MOST_ROWS = 400
"""Rows of one sheet, all pages together. Of more videos, the first ones of each prompt are shown."""

_MOMENTS = "then the attention at six moments"


@dataclass(frozen=True)
class Row:
    """One row of a sheet.

    Attributes:
        label: lines beside the pictures.
        videos: the video that it shows, or those whose mean it shows.

    """

    label: tuple[str, ...]
    videos: tuple[Manifest, ...]


@dataclass(frozen=True)
class Group:
    """Rows under one heading.

    Attributes:
        title: what distinguishes it from the others; empty if that is not known.
        text: the prompt.
        rows: at least one.

    """

    title: str
    text: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Selection:
    """What a sheet shows.

    Attributes:
        groups: the rows.
        about: what a row is, and how many of how many videos are shown.
        left_out: which videos are not shown because there are too many; None if none are left out for that reason.

    """

    groups: tuple[Group, ...]
    about: str
    left_out: str | None = None


def select(videos: Iterable[Manifest], rows: SheetRows) -> Selection:
    """Choose the rows of a sheet.

    Args:
        videos: those that have the word, in order, at least one.
        rows: `videos`, `means` or `first`.

    """
    prompts = _by_prompt(videos)
    match rows:
        case "videos":
            return _of_videos(prompts)
        case "means":
            about = f"Each row is the mean over the videos of a prompt: a frame of the first one, {_MOMENTS}"
            return _of_prompts(prompts, about, [_mean(found) for found in prompts])
        case "first":
            about = f"Each row is the first video of a prompt: its middle frame, {_MOMENTS}"
            return _of_prompts(prompts, about, [_first(found) for found in prompts])


def rows_of(groups: Iterable[Group]) -> list[Row]:
    """Return the rows of some groups."""
    return [row for group in groups for row in group.rows]


def mean_label(videos: int) -> tuple[str, ...]:
    """Return the label of a row that shows the mean over some videos."""
    return ("mean of", counted(videos, "video"))


def has_tensors(manifest: Manifest) -> bool:
    """Return whether the tensors of a video are still there."""
    return all(stamp_of(path) is not None for path in manifest.attention)


def seed_of(manifest: Manifest) -> str:
    """Return what distinguishes a video from others of its prompt."""
    seed = manifest.document.generation.seed
    return manifest.video_id if seed is None else f"seed {seed}"


def counted(number: int, thing: str) -> str:
    """Return `1 video`, `2,000 videos`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _of_videos(prompts: Sequence[Sequence[Manifest]]) -> Selection:
    total = sum(map(len, prompts))
    each = _most_of_each(prompts)
    shown = [found[:each] for found in prompts[:MOST_ROWS]]
    groups = tuple(
        _group(found, [Row((seed_of(video),), (video,)) for video in part])
        for found, part in zip(prompts, shown, strict=False)
    )
    row = f"Each row is a video: its middle frame, {_MOMENTS}"
    if sum(map(len, shown)) == total:
        return Selection(groups, f"{row}. {counted(total, 'video')} of {counted(len(prompts), 'prompt')}.")
    some = f"{sum(map(len, shown)):,} of {counted(total, 'video')}"
    which = f"the first {counted(each, 'video')} of " + (
        "each prompt" if len(shown) == len(prompts) else f"the first {MOST_ROWS:,} of {len(prompts):,} prompts"
    )
    return Selection(groups, f"{row}. {some}: {which}.", f"shows {some}: {which}")


def _of_prompts(prompts: Sequence[Sequence[Manifest]], about: str, rows: Sequence[Row]) -> Selection:
    """Select one row per prompt."""
    total = sum(map(len, prompts))
    groups = tuple(_group(found, [row]) for found, row in zip(prompts, rows[:MOST_ROWS], strict=False))
    videos = sum(len(row.videos) for group in groups for row in group.rows)
    counts = f"{counted(videos, 'video')} of {counted(len(groups), 'prompt')}"
    if videos < total:
        counts = f"{videos:,} of {counted(total, 'video')}"
    left_out = None
    if len(prompts) > MOST_ROWS:
        left_out = f"shows the first {MOST_ROWS:,} of {len(prompts):,} prompts"
    return Selection(groups, f"{about}. {counts}.", left_out)


def _most_of_each(prompts: Sequence[Sequence[Manifest]]) -> int:
    """Return how many videos of each prompt are shown, so that the sheet has at most `MOST_ROWS`; at least one."""
    sizes = [len(found) for found in prompts]
    if sum(sizes) <= MOST_ROWS:
        return max(sizes)
    return max((n for n in range(1, max(sizes)) if sum(min(size, n) for size in sizes) <= MOST_ROWS), default=1)


def _mean(videos: Sequence[Manifest]) -> Row:
    return Row(mean_label(len(videos)), tuple(videos))


def _first(videos: Sequence[Manifest]) -> Row:
    """Return the first video that has its tensors, else the first one."""
    first = next((video for video in videos if has_tensors(video)), videos[0])
    of = (f"1 of {counted(len(videos), 'video')}",) if len(videos) > 1 else ()
    return Row((seed_of(first), *of), (first,))


def _group(videos: Sequence[Manifest], rows: Sequence[Row]) -> Group:
    made = videos[0].document.generation
    title = " · ".join(choice for choice in made.choices or () if choice)
    about = (made.prompt or videos[0].path.parent.name, *(() if made.image is None else (made.image.name,)))
    return Group(title, " · ".join(about), tuple(rows))


def _by_prompt(videos: Iterable[Manifest]) -> list[list[Manifest]]:
    """Group videos by their prompt, or by their folder if they have none."""
    groups: dict[object, list[Manifest]] = {}
    for video in videos:
        made = video.document.generation
        groups.setdefault(made.prompt_id or made.prompt or video.path.parent, []).append(video)
    return list(groups.values())
