"""`attnwatch retry`: resets the attempts of failed videos and makes them due now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError, UnknownNameError, did_you_mean
from attnwatch.report.survey import survey
from attnwatch.report.video_state import Rendering
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.locks import exclusive


@dataclass(frozen=True)
class Retried:
    """Result for one video.

    Attributes:
        rendering: its state before.
        obstacle: why it was not reset; None if it is due now.

    """

    rendering: Rendering
    obstacle: str | None = None


def retry(
    root: Path,
    video_ids: Sequence[str] = (),
    out: Path | None = None,
    links: Links = Links.NONE,
    excluded: Exclusion = NOTHING,
) -> Iterator[Retried]:
    """Make the failed videos below a folder due now; a running watcher notices the changed receipts.

    Args:
        root: the folder.
        video_ids: identifiers of videos; empty for all failed ones.
        out: folder of outputs and receipts; None if they are beside the videos.
        links: which links are followed below the folder.
        excluded: what is left out below the folder.

    Raises:
        UnknownNameError: no video has one of the identifiers; nothing was changed.

    """
    everything = list(survey(root, out, links, excluded=excluded))
    known = {rendering.place.video_id for rendering in everything}
    for video_id in video_ids:
        if video_id not in known:
            hint = did_you_mean(video_id, sorted(known)) if known else "no video is finished there"
            raise UnknownNameError(f"found no video {video_id!r} below {root}; {hint}")
    found = [rendering for rendering in everything if not video_ids or rendering.place.video_id in video_ids]
    for rendering in found:
        if rendering.state == "failed":
            yield Retried(rendering, make_due(rendering.place))
        elif video_ids and rendering.batch is None:
            yield Retried(rendering, f"not failed but {rendering.state}")


def make_due(place: Place) -> str | None:
    """Rewrite a receipt under the video's lock; return why that was impossible, None if it was not."""
    try:
        with place.open() as folder, exclusive(folder, place.video_id):
            stored = place.look()
            if stored.problem is not None:
                raise stored.problem
            receipt = stored.receipt
            if receipt is None or receipt.status != "failed":
                return "rendered in the meantime"
            due = datetime.now(UTC).isoformat()
            place.write(receipt.model_copy(update={"attempts": (), "next_attempt": due}))
    except (AttnwatchError, OSError) as error:
        return describe(error)
    return None
