"""`attnwatch retry`: what failed becomes due now, with its attempts forgotten."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError, UnknownNameError, did_you_mean
from attnwatch.report.survey import Rendering, survey
from attnwatch.system.locks import exclusive


@dataclass(frozen=True)
class Retried:
    """What came of one video.

    Attributes:
        rendering: as it was found.
        obstacle: why it was left alone; None if it is due now.

    """

    rendering: Rendering
    obstacle: str | None = None


def retry(root: Path, video_ids: Sequence[str] = (), out: Path | None = None) -> Iterator[Retried]:
    """Make the failed videos below a folder due now; a running watcher takes them up by itself.

    Args:
        root: the folder.
        video_ids: only these; all that failed without.
        out: folder that outputs and receipts went to; None for beside the videos.

    Raises:
        UnknownNameError: there is no video of such a name; nothing was changed.

    """
    everything = list(survey(root, out))
    known = {rendering.place.video_id for rendering in everything}
    for video_id in video_ids:
        if video_id not in known:
            hint = did_you_mean(video_id, sorted(known)) if known else "no video is finished here"
            raise UnknownNameError(f"found no video {video_id!r} below {root}; {hint}")
    found = [rendering for rendering in everything if not video_ids or rendering.place.video_id in video_ids]
    for rendering in found:
        if rendering.state == "failed":
            yield Retried(rendering, _make_due(rendering))
        elif video_ids and rendering.batch is None:
            yield Retried(rendering, f"it is {rendering.state}")


def _make_due(rendering: Rendering) -> str | None:
    """Rewrite a receipt under the video's lock; return why that could not be done."""
    place = rendering.place
    try:
        with exclusive(place.directory, place.video_id):
            receipt = place.read()
            if receipt is None or receipt.status != "failed":
                return "it was rendered meanwhile"
            due = datetime.now(UTC).isoformat()
            place.write(receipt.model_copy(update={"attempts": (), "next_attempt": due}))
    except (AttnwatchError, OSError) as error:
        return describe(error)
    return None
