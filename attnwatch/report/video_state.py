"""The state of one video's outputs, from its manifest, its receipt and its lock alone.

Neither the configuration nor tensors are read, so unlike a watcher this does not notice changed settings, or a file
that was replaced by another of the same size.
"""

import hashlib
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.config import Settings
from attnwatch.contract.documents import ReceiptHead
from attnwatch.contract.fields import Identifier
from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.names import default_video_id
from attnwatch.contract.reading import read_bytes
from attnwatch.contract.receipts import Place
from attnwatch.contract.validity import is_made_of
from attnwatch.errors import AttnwatchError, ManifestError
from attnwatch.report.found_outputs import Head, Outputs, Surveyed, is_locked, receipt_at
from attnwatch.report.reasons import NEW, Reason, why_empty, why_skipped, why_waiting
from attnwatch.system.sizes import file_size

State = Literal["rendered", "skipped", "running", "waiting", "failed"]
_IDENTIFIER = TypeAdapter[str](Identifier)


@dataclass(frozen=True)
class Rendering:
    """State of one video's outputs, beside the video or in the collection of its batch.

    Attributes:
        place: where its receipt is, or will be.
        state: `running` while a process on this machine holds its lock; `waiting` without a valid receipt.
        receipt: its receipt; None if there is none, or if it cannot be read.
        problem: why its receipt cannot be read; None if it can, or if there is none.
        reason: why it waits or is skipped; None in other states.
        batch: folder of the batch whose collection the outputs are in; None if they are beside the video.

    """

    place: Place
    state: State
    receipt: ReceiptHead | None
    batch: Path | None = None
    problem: str | None = None
    reason: Reason | None = None


def with_manifest(manifest: Path, receipt: Head | None, outputs: Outputs, tree: Surveyed) -> Rendering:
    """Return the state of a video that has a manifest; `receipt` is the one that names it, if any does."""
    try:
        data = read_bytes(manifest, root=tree.root)
    except (ManifestError, OSError):
        data = b""
    document = _parsed(data) if receipt is None else None
    video_id, wanted = _declared(document) if receipt is None else (receipt.video_id, True)
    place = tree.place(manifest, video_id or default_video_id(manifest), outputs.directory)
    problem = None if receipt is not None else outputs.problems.get(place.path.name)
    state: State = "failed" if problem else "waiting" if wanted else "skipped"
    if receipt is not None and _holds(receipt, place, data):
        state = receipt.status
    if place.video_id in outputs.running:
        state = "running"
    reason = None
    if state == "waiting":
        sha256 = hashlib.sha256(data).hexdigest()
        reason = why_waiting(place, document or _parsed(data), receipt, sha256, tree.root)
    elif state == "skipped":
        reason = why_empty(receipt.notes) if receipt is not None else why_skipped(document)
    return Rendering(place, state, receipt, problem=problem, reason=reason)


def without_manifest(tensors: Path, tree: Surveyed, locked: frozenset[int]) -> Rendering:
    """Return the state of a video of an older batch, which has no manifest, from its receipt."""
    video_id, usual = outputs_of(tensors)
    place = tree.place(tensors, video_id, tree.places(usual))
    found = receipt_at(place)
    receipt, problem = (None, found) if isinstance(found, str) else (found, None)
    state: State = "failed" if problem else "waiting"
    if receipt is not None and _older_holds(receipt, place, tree):
        state = receipt.status
    if is_locked(place, locked):
        state = "running"
    reason = None
    if state == "waiting":
        reason = NEW if receipt is None else Reason("changed since it was rendered")
    elif state == "skipped" and receipt is not None:
        reason = why_empty(receipt.notes)
    return Rendering(place, state, receipt, problem=problem, reason=reason)


def _older_holds(receipt: ReceiptHead, place: Place, tree: Surveyed) -> bool:
    try:
        manifest = read_video(place.manifest, tree.root)
    except (AttnwatchError, OSError):
        return receipt.status == "failed"
    return receipt.manifest_sha256 == manifest.sha256 and is_made_of(receipt, manifest.inputs(), place)


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - JSON of another program
    """Return a manifest as JSON, which may be anything; None if it is none."""
    try:
        return from_json(data.removeprefix(BOM_UTF8))
    except ValueError:
        return None


def identifier_in(data: bytes) -> str | None:
    """Return the identifier in a manifest; None if there is none, or if it is no manifest."""
    return _declared(_parsed(data))[0]


def _declared(document: Any) -> tuple[str | None, bool]:  # noqa: ANN401 - JSON of another program
    """Return the identifier in a manifest, if any, and whether the manifest asks for outputs beside the video."""
    try:
        wanted = document.get("visualization", {}).get("auto_generate_per_video", True)
    except AttributeError:
        return None, True
    try:
        video_id = _IDENTIFIER.validate_python(document.get("video_id"))
    except ValidationError:
        video_id = None
    return video_id, wanted is not False


def _holds(receipt: ReceiptHead, place: Place, data: bytes) -> bool:
    """Whether a receipt matches the current manifest, inputs and renderer."""
    if receipt.manifest_sha256 != hashlib.sha256(data).hexdigest():
        return receipt.status == "failed" and _is_refused(place.manifest)
    folder = f"{place.manifest.parent}/"
    inputs = {name: file_size(folder + name) for name in receipt.inputs}
    return is_made_of(receipt, inputs, place)


def _is_refused(manifest: Path) -> bool:
    """Whether a manifest is refused altogether; its receipt then has the digest of the reason."""
    try:
        Settings().for_batch(read_manifest(manifest).document.visualization, manifest)
    except (AttnwatchError, OSError):
        return True
    return False
