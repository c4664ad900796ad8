"""What an earlier rendering has made, and whether it stays: deleting an input does not mean what was made of it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from attnwatch.contract.documents import OutputRecord, ReceiptDocument, ReceiptHead
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.receipts import RENDERER_VERSION, Fingerprint, Place
from attnwatch.contract.stamps import Stamp, stamp_of


def is_made_of(receipt: ReceiptHead, inputs: Mapping[str, int | None], place: Place) -> bool:
    """Tell whether a receipt speaks of these inputs, or of more, some of which were removed after the rendering.

    Those do not count as long as all that was made of them is there. It stays though there is a newer renderer, which
    could not make all of it.
    """
    if receipt.inputs == inputs:
        return receipt.renderer == RENDERER_VERSION
    if receipt.status == "failed" or receipt.inputs.keys() != inputs.keys():
        return False
    return all(size in (None, receipt.inputs[name]) for name, size in inputs.items()) and _is_whole(place)


def as_rendered(fingerprint: Fingerprint, receipt: ReceiptDocument | None, place: Place) -> Fingerprint:
    """Return a fingerprint with inputs and renderer of a receipt, if nothing lacks now but what was removed."""
    if receipt is None or not is_made_of(receipt, fingerprint.inputs, place):
        return fingerprint
    return replace(fingerprint, inputs=receipt.inputs, renderer=receipt.renderer)


def removed_tensors(
    receipt: ReceiptDocument | None, manifest: Manifest, stamps: Mapping[str, Stamp | None]
) -> list[str]:
    """Return the tensors of a rendered video that were removed since: without them nothing else can be rendered."""
    if receipt is None or receipt.status == "failed" or receipt.manifest_sha256 != manifest.sha256:
        return []
    return [name for name in manifest.document.attention if stamps[name] is None and receipt.inputs.get(name)]


def remove_outdated(
    place: Place, made: Iterable[OutputRecord], *, keep: Collection[str]
) -> tuple[OutputRecord, ...]:
    """Remove outputs that the last receipt names and this rendering no longer makes.

    Args:
        place: of the receipt.
        made: outputs of this rendering.
        keep: kinds of outputs that stay, because the video that they were made from was deleted.

    Returns: the outputs that were kept.

    """
    before, files, kept = place.read(), {output.file for output in made}, []
    for output in before.outputs if before else ():
        if output.file in files or Path(output.file).name != output.file:
            continue
        if output.kind not in keep:
            (place.directory / output.file).unlink(missing_ok=True)
        elif stamp_of(place.directory / output.file) is not None:
            kept.append(output)
    return tuple(kept)


def _is_whole(place: Place) -> bool:
    """Tell whether all outputs that a receipt names are there."""
    receipt = place.read()
    outputs = receipt.outputs if receipt is not None else ()
    return all(stamp_of(place.directory / output.file) is not None for output in outputs)
