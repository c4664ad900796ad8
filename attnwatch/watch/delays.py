"""Warns of videos that have to wait for long, once for each reason."""

from attnwatch.contract.receipts import Place
from attnwatch.jobs.work import Result
from attnwatch.system.permissions import unwritable
from attnwatch.watch.ledger import Ledger

OFTEN_LOST = 3
"""Times that a job is lost with its worker until a warning says so."""
PATIENCE = 30.0
"""Seconds after which a warning says what is waited for, and a missing video is taken as permanently absent."""


def warn_of_delay(ledger: Ledger, place: Place, result: Result, *, looks: int, waited: float) -> None:
    """Warn if a video cannot be rendered for now, and that is worth a warning.

    Args:
        ledger: takes the warning.
        place: of the video's receipt.
        result: what came of the last try.
        looks: how often it was tried.
        waited: seconds since it was first found to wait for something.

    """
    if result.lost and looks >= OFTEN_LOST:
        tries = f"not rendered by a worker in {looks} tries; starts again"
        ledger.warn(f"{place.video_id}: {tries}: {result.obstacle}", about=f"lost {place.manifest}")
    elif (denied := unwritable(place.directory)) is not None:
        about = f"unwritable in {place.directory.parents[1]}"  # once for the folders of all prompts
        ledger.warn(f"waiting to render {place.video_id}: {denied}", about=about)
    elif waited >= PATIENCE:
        ledger.warn(f"still waiting for {place.video_id}: {result.obstacle}", about=f"waiting for {place.manifest}")
