"""Why a video is not rendered, in words that the log and `attnwatch status` share."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from attnwatch.batches.videos import home_of, read_video
from attnwatch.contract.documents import ReceiptHead
from attnwatch.contract.fingerprint import is_valid
from attnwatch.contract.manifest import require_whole
from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError, NotReadyError
from attnwatch.system.permissions import unwritable
from attnwatch.system.roots import Root
from attnwatch.system.sizes import file_size

SWITCHED_OFF = (
    "neither auto_generate_per_video nor auto_generate_videos is true; `attnwatch render` renders a video by its name"
)
ONLY_COLLECTED = "auto_generate_per_video is false: rendered when the batch has ended, for its collection"
LONGEST_REASON = 500
"""Characters of a reason that are kept: notes of receipts may be long, and videos many."""


class Reason(NamedTuple):
    """Why a video is not rendered.

    Attributes:
        kind: the same words for all videos that it is true of.
        detail: what it is about this video; None if there is nothing to add.

    """

    kind: str
    detail: str | None = None

    def __str__(self) -> str:
        return self.kind if self.detail is None else f"{self.kind}: {self.detail}"


NEW = Reason("not rendered yet")


def why_skipped(document: Any) -> Reason:  # noqa: ANN401 - JSON of another program
    """Return why a video asks for no outputs beside it, from its manifest."""
    collects = document["visualization"].get("auto_generate_videos") is True
    return Reason(ONLY_COLLECTED if collects else SWITCHED_OFF)


def why_empty(notes: Iterable[str]) -> Reason:
    """Return why there was nothing to render, from the notes of its receipt."""
    return Reason("; ".join(notes) or "nothing to render")


def why_waiting(place: Place, document: object, receipt: ReceiptHead | None, sha256: str, root: Root) -> Reason:
    """Return why a video without a valid receipt is not rendered.

    Args:
        place: of its receipt.
        document: its manifest, as parsed JSON that may be anything; None for a video of an older batch.
        receipt: the receipt that is no longer valid; None if there is none.
        sha256: digest of its manifest.
        root: where lookups of the manifest start.

    """
    if document is not None and _looks_incomplete(document, f"{place.manifest.parent}/"):
        try:
            require_whole(read_video(place.manifest, root), video_may_be_absent=True)
        except NotReadyError as error:
            return Reason("its files are incomplete", describe(error, home_of(place.manifest)).partition("; ")[0])
        except (AttnwatchError, OSError) as error:
            return Reason("its manifest cannot be used", describe(error, home_of(place.manifest)))
    if (obstacle := unwritable(place.directory)) is not None:
        return Reason("its outputs cannot be written", obstacle)
    return NEW if receipt is None else _why_outdated(place, receipt, sha256)


def _why_outdated(place: Place, receipt: ReceiptHead, sha256: str) -> Reason:
    if receipt.manifest_sha256 != sha256:
        return Reason("changed since it was rendered", "its manifest")
    if not is_valid(receipt.renderer):
        return Reason("rendered by another version, whose pictures differ")
    home = home_of(place.manifest)
    changed = (name for name, size in receipt.inputs.items() if file_size(f"{home}/{name}") != size)
    return Reason("changed since it was rendered", next(changed, "one of its outputs"))


def _looks_incomplete(document: Any, folder: str) -> bool:  # noqa: ANN401 - JSON of another program
    """Return whether a manifest must be read with care: a file seems to be missing or short, or it is malformed."""
    try:
        video, files = document["video"], document.get("files") or {}
        for name in (video, *document["attention"]):
            size, listed = file_size(folder + name), files.get(name, {}).get("bytes", 0)
            if (size is None and name != video) or (size is not None and size < listed):
                return True
    except (AttributeError, KeyError, TypeError):
        return True
    return False
