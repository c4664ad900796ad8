"""What a run has settled already, so that looking again costs a few stats and little memory.

A target is settled while nothing that its decision was made from has changed: manifest, receipt, the ending of its
batch, and every file that the manifest names. Of all that, one number is kept.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from attnwatch.batches.targets import Target
from attnwatch.batches.videos import home_of
from attnwatch.contract.names import BATCH_COMPLETE_FILE
from attnwatch.contract.receipts import Fingerprint
from attnwatch.contract.stamps import Stamp, stamp_of

Stamps = Mapping[str, Stamp | None]

_SPARE, _FEW = 1.2, 100  # how much more may be remembered than is there


class _Settled(NamedTuple):
    receipt: str
    inputs: str
    signature: int


class Memory:
    """Remembers settled targets, which target each receipt belongs to, and what this run rendered."""

    def __init__(self) -> None:
        self._settled: dict[str, _Settled] = {}
        self._owners: dict[int, str] = {}  # manifest, and the batch behind a NUL
        self._rendered: dict[str, int] = {}

    @property
    def videos(self) -> int:
        """Number of videos with a rendering that is settled."""
        return len({key.removesuffix("\0") for key, known in self._settled.items() if known.receipt})

    def settle(
        self, target: Target, receipt: Path | None, origins: Sequence[Stamp | None], stamps: Stamps, found: Stamp | None
    ) -> None:
        """Remember that nothing is to be done for a target.

        Everything must have been looked at before it was read: a change in between is then seen the next time.

        Args:
            target: what was decided.
            receipt: path of its receipt; None for a rendering that nobody wants.
            origins: `origins` of the target, before its manifest was read.
            stamps: of the files that the manifest names.
            found: stamp of the receipt, before it was read.

        """
        # Names repeat from prompt to prompt: one string for all of them.
        inputs = sys.intern("\0".join(stamps))
        signature = hash((*origins, found, *stamps.values()))
        self._settled[_key(target)] = _Settled("" if receipt is None else str(receipt), inputs, signature)

    def is_settled(self, target: Target) -> bool:
        """Tell whether a target is settled, and nothing has changed since."""
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
        """Forget what was settled, because it is to be decided anew."""
        self._settled.clear()

    def prune(self, found: int) -> bool:
        """Forget videos that are not there any more, if far more are remembered than were found; tell whether."""
        if len(self._rendered) <= _SPARE * found + _FEW and len(self._settled) <= _SPARE * found + _FEW:
            return False
        for known in (self._settled, self._rendered):
            for key in [key for key in known if stamp_of(key.removesuffix("\0")) is None]:
                del known[key]
        owners = self._owners.items()
        self._owners = {receipt: path for receipt, path in owners if stamp_of(path.partition("\0")[0]) is not None}
        return True

    def owner(self, receipt: Path) -> Target | None:
        """Return the target that a receipt belongs to, if it is known."""
        manifest, _, batch = self._owners.get(hash(str(receipt)), "").partition("\0")
        return Target(Path(manifest), Path(batch) if batch else None) if manifest else None

    def own(self, receipt: Path, target: Target) -> None:
        """Remember which target a receipt belongs to."""
        manifest = str(target.manifest)  # the very string that the other tables have as their key
        self._owners[hash(str(receipt))] = manifest if target.batch is None else f"{manifest}\0{target.batch}"

    def note_rendered(self, target: Target, fingerprint: Fingerprint, stamps: Stamps) -> None:
        """Remember what was rendered in this run, or was found rendered."""
        self._rendered[_key(target)] = _identity(fingerprint, stamps)

    def was_rendered(self, target: Target, fingerprint: Fingerprint, stamps: Stamps) -> bool:
        """Tell whether these very pictures of these very files were rendered in this run, or found rendered."""
        return self._rendered.get(_key(target)) == _identity(fingerprint, stamps)


def origins(target: Target) -> tuple[Stamp | None, ...]:
    """Return the stamps of a target's manifest and of the ending of its batch."""
    ending = stamp_of(f"{target.batch}/{BATCH_COMPLETE_FILE}") if target.batch is not None else None
    return stamp_of(target.manifest), ending


def _key(target: Target) -> str:
    return str(target.manifest) if target.batch is None else f"{target.manifest}\0"


def _identity(fingerprint: Fingerprint, stamps: Stamps) -> int:
    return hash((fingerprint.manifest_sha256, fingerprint.settings_sha256, *stamps.items()))
