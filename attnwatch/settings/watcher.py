"""Settings of the watcher, which a batch cannot make."""

import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from attnwatch.settings.base import Accepts, Settings


def _as_list(value: Any) -> Any:  # noqa: ANN401 - any value
    """Take a single pattern for a list of one."""
    return (value,) if isinstance(value, str) else value


# A path from the root of the file system would match nothing, because patterns are about paths below the folder.
Pattern = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^/]")]


_ENGINE = re.compile(
    r"local|dask|dask://local(\?workers=[1-9]\d{0,2})?|dask://(\[[\da-fA-F:.]+\]|[^\s/?#:\[\]]+):\d{1,5}"
)
_ENGINES = Accepts("local, or a Dask cluster such as dask://scheduler:8786, dask://local?workers=4 or dask")
_PAIRS = Accepts("absolute paths here and there, such as /data=/mnt/data or [/a=/mnt/a, /b=/mnt/b]")
_PAIR = re.compile(r"/[^=]*=/.*", re.DOTALL)


def _require_engine(name: str) -> str:
    if not _ENGINE.fullmatch(name):
        raise ValueError(_ENGINES.text)
    return name


def _require_pair(text: str) -> str:
    if not _PAIR.fullmatch(text):
        raise ValueError(_PAIRS.text)
    return text


def _half_the_cores() -> int:
    return max(1, (os.cpu_count() or 1) // 2)


class Watcher(Settings):
    """How the watcher works. A batch cannot set these."""

    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default_factory=_half_the_cores,
        description="number of videos rendered at the same time "
        "(default: half of the CPU cores; on a cluster, as many as it can take)",
    )
    rescan_interval: Annotated[float, Field(ge=0.1)] = Field(
        default=60.0,
        description="seconds between two scans of the whole folder; "
        "shorter where file events are unreliable, longer where scans are slow",
    )
    max_attempts: Annotated[int, Field(ge=1)] = Field(
        default=3, description="maximum number of attempts for a video; at most 2 if its files are invalid"
    )
    retry_backoff: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="seconds before the second attempt; doubled for each further attempt"
    )
    nice: Annotated[int, Field(ge=0, le=19)] = Field(
        default=10, description="niceness of rendering processes, so that generation on the same machine has priority"
    )
    memory_limit: ByteSize | None = Field(
        default=ByteSize(2 * 2**30),
        description="memory limit for rendering one video, such as `4GiB`; null: no limit",
    )
    min_free_space: ByteSize = Field(
        default=ByteSize(100 * 2**20),
        description="free space, such as `1GiB`, below which no rendering to a disk is started",
    )
    settle_time: Annotated[float, Field(ge=0)] = Field(
        default=10.0,
        description="seconds without changes before a video of an older batch is rendered, if `summary.json` exists, "
        "and before a video is rendered whose files are newer than its manifest and not listed in its `files`",
    )
    settle_time_unmarked: Annotated[float, Field(ge=0)] = Field(
        default=120.0,
        description="seconds without changes before a video of an older batch is rendered, without `summary.json`",
    )
    exclude: Annotated[tuple[Pattern, ...], Field(max_length=1000), BeforeValidator(_as_list)] = Field(
        default=(),
        description="folders and videos to leave out, as a list of patterns: of names (`old_*`), or of paths below the "
        "watched folder (`archive/2024_*`, `**/drafts/*`); recycle bins and folders of the system are always left out",
    )
    engine: Annotated[str, AfterValidator(_require_engine), _ENGINES] = Field(
        default="local",
        description="where videos are rendered: `local`, or on a Dask cluster: `dask://HOST:8786`, `dask` (the address "
        "is in `DASK_SCHEDULER_ADDRESS` or Dask's configuration), `dask://local?workers=4` to try it on this machine",
    )
    path_map: Annotated[
        tuple[Annotated[str, AfterValidator(_require_pair)], ...],
        Field(max_length=100),
        BeforeValidator(_as_list),
        _PAIRS,
    ] = Field(
        default=(),
        description="folders that workers of a cluster have under another path, as a list such as `/data=/mnt/data`",
    )
    file_events: bool = Field(
        default=True, description="detect new videos by file events; false: only by scanning, at least every 10 s"
    )
