"""Outputs of an earlier rendering that stay, because they show a source video that has been removed since."""

from attnwatch.contract.documents import OutputRecord, ReceiptDocument
from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.settings import Visualization


def kept_kinds(manifest: Manifest, before: ReceiptDocument | None, settings: Visualization) -> frozenset[OutputKind]:
    """Return the kinds of outputs that are not rendered again, while the source video is missing.

    Args:
        manifest: manifest of the video.
        before: receipt of the last rendering; None if there is none.
        settings: what is asked for now.

    """
    if before is None or manifest.video.exists():
        return frozenset()
    was_there = before.inputs.get(manifest.document.video) is not None
    showing = {output.kind for output in before.outputs if was_there or note_of(output) in before.notes}
    return frozenset(
        kind
        for kind in OutputKind
        if kind.is_requested(settings) and (kind.needs_source or (kind.shows_source and kind in showing))
    )


def note_of(output: OutputRecord) -> str:
    """Return the note in the receipt about an output that stays."""
    return f"{output.file} is from an earlier rendering"
