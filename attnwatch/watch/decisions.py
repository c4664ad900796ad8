"""Caches decisions, so that a rescan costs only a few stat calls per video and little memory.

A target stays settled while nothing that its decision was made from has changed: the manifest, the receipt, the end of
its batch, and every file that the manifest names. Of all these stamps, one hash is kept.
"""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from attnwatch.batches.targets import Target
from attnwatch.batches.videos import home_of
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.names import BATCH_COMPLETE_FILE
from attnwatch.contract.stamps import Stamp, stamp_of
from attnwatch.watch.task import Basis

Stamps = Mapping[str, Stamp | None]

_SPARE, _FEW = 1.2, 100  # pruning starts when the cache holds 1.2 times what a scan found, plus 100


class _Settled(NamedTuple):
    receipt: str
    inputs: str
    signature: int


class Decisions:
    """Remembers settled targets, which target each receipt belongs to, and what this run rendered or failed to."""

    def __init__(self) -> None:
        self._settled: dict[str, _Settled] = {}
        self._owners: dict[int, str] = {}  # hash of the receipt's path -> manifest, with the batch behind a NUL
        self._rendered: dict[str, int] = {}
        self._failed: set[Target] = set()

    def videos(self, but: Collection[Target] = ()) -> int:
        """Return the number of videos that are settled and have a receipt, without those of some targets."""
        left_out = {str(target.manifest) for target in but}
        return len({key.removesuffix("\0") for key, known in self._settled.items() if known.receipt} - left_out)

    def settle(self, target: Target, basis: Basis) -> None:
        """Remember that a target needs nothing as long as its basis is unchanged."""
        # Names repeat from prompt to prompt, so all targets share one string.
        inputs = sys.intern("\0".join(basis.stamps))
        signature = hash((*basis.origins, basis.receipt_stamp, *basis.stamps.values()))
        receipt = "" if basis.receipt is None else str(basis.receipt)
        self._settled[_key(target)] = _Settled(receipt, inputs, signature)

    def is_settled(self, target: Target) -> bool:
        """Return whether a target is settled and none of its files has changed since."""
        known = self._settled.get(_key(target))
        if known is None:
            return False
        folder = home_of(target.manifest)
        inputs = [stamp_of(f"{folder}/{name}") for name in known.inputs.split("\0") if name]
        receipt = stamp_of(known.receipt) if known.receipt else None
        return known.signature == hash((*origins(target), receipt, *inputs))

    def unsettle(self, target: Target) -> None:
        """Forget that a target was settled."""
        self._settled.pop(_key(target), None)

    def forget_settled(self) -> None:
        """Forget all settled targets, so that everything is decided again."""
        self._settled.clear()

    def prune(self, found: int) -> bool:
        """Forget deleted videos if far more are remembered than the last scan `found`; return whether it did."""
        if not far_more(max(len(self._rendered), len(self._settled)), found):
            return False
        for known in (self._settled, self._rendered):
            for key in [key for key in known if stamp_of(key.removesuffix("\0")) is None]:
                del known[key]
        owners = self._owners.items()
        self._owners = {receipt: path for receipt, path in owners if stamp_of(path.partition("\0")[0]) is not None}
        self._failed = {target for target in self._failed if stamp_of(target.manifest) is not None}
        return True

    def owner(self, receipt: Path) -> Target | None:
        """Return the target that a receipt belongs to; None if it is unknown."""
        manifest, _, batch = self._owners.get(hash(str(receipt)), "").partition("\0")
        return Target(Path(manifest), Path(batch) if batch else None) if manifest else None

    def own(self, receipt: Path, target: Target) -> None:
        """Remember which target a receipt belongs to."""
        manifest = str(target.manifest)  # the same string object that is the key in the other tables
        self._owners[hash(str(receipt))] = manifest if target.batch is None else f"{manifest}\0{target.batch}"

    def note_rendered(self, target: Target, fingerprint: Fingerprint, stamps: Stamps) -> None:
        """Remember what this run has rendered, or found rendered.

        Another watcher with other settings may replace the receipt. Without this memory, two watchers on one folder
        would replace each other's pictures for ever.
        """
        self._rendered[_key(target)] = _identity(fingerprint, stamps)

    def was_rendered(self, target: Target, fingerprint: Fingerprint, stamps: Stamps) -> bool:
        """Return whether this run has rendered, or found rendered, these same pictures of these same files."""
        return self._rendered.get(_key(target)) == _identity(fingerprint, stamps)

    def note_failed(self, target: Target) -> None:
        """Remember that a target has failed in this run: even with `force`, its receipt then says when to retry."""
        self._failed.add(target)

    def has_failed(self, target: Target) -> bool:
        """Return whether a target has failed in this run."""
        return target in self._failed


def far_more(remembered: int, found: int) -> bool:
    """Return whether so many more targets are remembered than a scan has found that many must have been deleted."""
    return remembered > _SPARE * found + _FEW


def origins(target: Target) -> tuple[Stamp | None, ...]:
    """Return the stamps of a target's manifest and of the end of its batch."""
    ending = stamp_of(f"{target.batch}/{BATCH_COMPLETE_FILE}") if target.batch is not None else None
    return stamp_of(target.manifest), ending


def _key(target: Target) -> str:
    return str(target.manifest) if target.batch is None else f"{target.manifest}\0"


def _identity(fingerprint: Fingerprint, stamps: Stamps) -> int:
    return hash((fingerprint.manifest_sha256, fingerprint.settings_sha256, *stamps.items()))
