"""Decides whether existing outputs stay valid after their inputs were deleted, and removes outdated outputs."""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from attnwatch.contract.documents import OutputRecord, ReceiptDocument, ReceiptHead
from attnwatch.contract.fingerprint import Fingerprint, is_valid
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import MEASURES_SUFFIX
from attnwatch.contract.output_names import claimed_by_others
from attnwatch.contract.receipts import Place
from attnwatch.contract.stamps import Stamp, stamp_of
from attnwatch.system.folders import Folder, Identity


def is_made_of(receipt: ReceiptHead, inputs: Mapping[str, int | None], place: Place) -> bool:
    """Whether a receipt matches these inputs and a renderer whose pictures are valid, such as a later one.

    Inputs that were deleted after the rendering are ignored as long as all outputs exist. The version of the renderer
    is ignored then too, because a newer one could not make all outputs again.
    """
    if receipt.inputs == inputs:
        return is_valid(receipt.renderer)
    if receipt.status == "failed" or receipt.inputs.keys() != inputs.keys():
        return False
    return all(size in (None, receipt.inputs[name]) for name, size in inputs.items()) and _is_whole(place)


def as_rendered(fingerprint: Fingerprint, receipt: ReceiptDocument | None, place: Place) -> Fingerprint:
    """Return the fingerprint to compare with a receipt.

    It has the inputs and the renderer of the receipt if they differ only by deleted inputs, or by a renderer whose
    pictures stay valid.
    """
    if receipt is None or not is_made_of(receipt, fingerprint.inputs, place):
        return fingerprint
    return replace(fingerprint.as_of(receipt.renderer), inputs=receipt.inputs, renderer=receipt.renderer)


def removed_tensors(
    receipt: ReceiptDocument | None, manifest: Manifest, stamps: Mapping[str, Stamp | None]
) -> list[str]:
    """Return the tensor files deleted after the rendering; without them, the video cannot be rendered again."""
    if receipt is None or receipt.status == "failed" or receipt.manifest_sha256 != manifest.sha256:
        return []
    return [name for name in manifest.document.attention if stamps[name] is None and receipt.inputs.get(name)]


def own_output(receipt: ReceiptDocument, place: Place, manifest: Manifest) -> str | None:
    """Return the name of an input that is, under another name, an output of the last rendering; None if none is.

    Its rendering would replace it, and so ask for the next one, for ever.
    """
    outputs = set(filter(None, (Identity.at(place.directory / output.file) for output in receipt.outputs)))
    inputs = zip(manifest.names, (manifest.video, *manifest.attention), strict=True)
    return next((name for name, path in inputs if Identity.at(path) in outputs), None) if outputs else None


def remove_outdated(
    place: Place, made: Iterable[OutputRecord], *, keep: Collection[str], measured: bool
) -> tuple[OutputRecord, ...]:
    """Remove outputs and measures that the last receipt names and that this rendering did not make again.

    Args:
        place: place of the receipt.
        made: outputs of this rendering.
        keep: kinds of outputs to keep, because the source video that they need was deleted.
        measured: whether this rendering made measures.

    Returns:
        The outputs that were kept.

    """
    before, files, kept = place.read(), {output.file for output in made}, []
    outdated = [output for output in before.outputs if output.file not in files] if before else []
    claimed = claimed_by_others(place, (output.file for output in outdated))
    with place.open() as folder:
        if before is not None and before.measures is not None and not measured:
            _remove(f"{place.video_id}{MEASURES_SUFFIX}", folder)
        for output in outdated:
            if output.file in claimed:
                continue
            if output.kind not in keep:
                _remove(output.file, folder)
            elif stamp_of(place.directory / output.file) is not None:
                kept.append(output)
    return tuple(kept)


def _remove(name: str, folder: Folder) -> None:
    with contextlib.suppress(IsADirectoryError):  # no output, whatever the receipt says
        folder.unlink(name)


def _is_whole(place: Place) -> bool:
    """Whether all outputs that a receipt names exist."""
    receipt = place.read()
    outputs = receipt.outputs if receipt is not None else ()
    return all(stamp_of(place.directory / output.file) is not None for output in outputs)
