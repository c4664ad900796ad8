"""The options of one run of the watcher."""

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from attnwatch.batches.targets import (
    Target,
    batch_names,
    home_of_root,
    outputs_at,
    require_own_names,
    retry_command,
)
from attnwatch.contract.names import OUTPUT_DIRECTORY
from attnwatch.contract.stamps import Stamp
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.roots import Root


@dataclass(frozen=True)
class Options:
    """What one run was asked to do.

    Attributes:
        roots: files and folders to watch.
        once: render finished videos, then stop.
        force: render everything once, even if its receipt is valid.
        outdated: render once what an older renderer made, even if its receipt is valid.
        dry_run: write nothing, not even receipts of refused manifests.
        by_name: the user named these videos: render them even if their batch switches per-video rendering off,
            or they were given up.
        collect: the roots are batches: make only their collections.
        tokens: only these words; None for all.
        since: only videos finished at or after this time (seconds since 1970); None for all.
        batch: only videos of batches whose folder name matches this shell pattern; None for all.
        oldest_first: start with the video that was finished first instead of last.
        follow_links: follow links below the roots, to folders and to files.
        excluded: files and folders below the roots to leave out.
        out: folder for all outputs and receipts, in the same structure as below the roots; None: below the roots.
        config: the configuration file; None if there is none.

    """

    roots: tuple[Path, ...]
    once: bool = False
    force: bool = False
    outdated: bool = False
    dry_run: bool = False
    by_name: bool = False
    collect: bool = False
    tokens: tuple[str, ...] | None = None
    since: float | None = None
    batch: str | None = None
    oldest_first: bool = False
    follow_links: bool = False
    excluded: Exclusion = NOTHING
    out: Path | None = None
    config: Path | None = None

    def __post_init__(self) -> None:
        """Refuse roots that would share a folder below `out`."""
        if self.out is not None:
            require_own_names(self.roots)

    @property
    def links(self) -> Links:
        """Which links are followed below the roots."""
        return Links.ALL if self.follow_links else Links.NONE

    def root_of(self, path: Path) -> Root:
        """Return the root that a path is below, as the folder where its lookup starts; else the path's own folder."""
        text = f"{path}/"  # several times as fast as with the methods of paths; a scan calls this for every video
        known = (root for root in self._homes if text.startswith(f"{str(root.path).rstrip('/')}/"))
        return next(known, None) or Root(path.parent, self.links)

    @cached_property
    def _homes(self) -> tuple[Root, ...]:
        return tuple(Root(home_of_root(root), self.links, excluded=self.excluded) for root in self.roots)

    def outputs_root(self, directory: Path) -> Root:
        """Return where the lookup of a folder of outputs starts."""
        return self.root_of(directory) if self.out is None else Root(self.out, self.links)

    def outputs_at(self, directory: Path) -> Path:
        """Return where the outputs go that would go to a folder; see `attnwatch.batches.targets.outputs_at`."""
        return outputs_at(directory, self.roots, self.out)

    def collection_of(self, batch: Path) -> Path:
        """Return the folder that the videos of a batch are collected in."""
        return self.outputs_at(batch / OUTPUT_DIRECTORY)

    def retry_command(self, target: Target) -> str:
        """Return the command that renders a target again, with its outputs in the same place, even one given up."""
        home = home_of_root(target.batch or target.manifest)
        out = None if self.out is None else self.outputs_at(home)
        return retry_command(target, out, self.config, follow_links=self.follow_links)

    @property
    def chooses(self) -> bool:
        """Whether the user has chosen some videos or words: then a run that finds none of them has failed."""
        return self.by_name or (self.since, self.batch, self.tokens) != (None, None, None)

    def why_not(self, target: Target, finished: Stamp | None) -> str | None:
        """Return why a target was not asked for, by its path or by when it was finished; None if it was."""
        if self.since is not None and finished is not None and finished.modified < self.since * 1e9:
            return f"finished before --since {datetime.fromtimestamp(self.since):%Y-%m-%d %H:%M:%S}"
        if self.batch is None or any(fnmatchcase(name, self.batch) for name in batch_names(target.manifest)):
            return None
        return f"in no folder that matches --batch {self.batch!r}"
