"""Which video a process makes next, of a batch that it makes together with processes that come and go."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from generator.batch.documents import COMPLETE_FILE, attempts, write_failure
from generator.batch.folders import PROCESS, at_work, refuse_beside
from generator.batch.inventory import defect, is_begun, refuse_links
from generator.batch.leases import FOLDER, Lease, LeaseLost, Leases, State
from generator.batch.plan import BATCH_FILE, Plan, PlannedVideo
from generator.errors import PipelineError
from generator.outputs.files import confirmed, remove_leftovers

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""Attempts after which a video that failed is left to `--resume`; each is of another process."""
MOST_DEATHS = 10
"""Processes that may die while they make a video before it is taken for the cause."""
_FOUNDING, _ENDING = "founding", "ending"
"""Names of leases; those of the videos contain their number."""


@dataclass
class Claim:
    """A video that this process makes; ``number`` counts the videos of the batch from 1."""

    video: PlannedVideo
    number: int
    lease: Lease
    is_made: bool = False


class Claims:
    """The videos of a batch, as one of its processes sees them."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        self._leases = Leases(folder / FOLDER)
        self._settled: set[str] = set()
        self._tried: set[str] = set()

    def join(self) -> None:
        """Make sure that no generator without `--claim` works in the folder.

        Raises:
            ResumeError: if one does.

        """
        refuse_beside(self._folder, self._leases, PROCESS)

    def has_ended(self) -> bool:
        """Return whether there is nothing to make, and nobody at work."""
        newest = self._leases.newest()
        return not self._at_work() and not any(
            self._is_free(video, newest) and self._is_worth_another_attempt(video) for video in self._plan.queue
        )

    @contextmanager
    def next(self) -> Iterator[Claim | None]:
        """Hold the next video in the context; None if there is none that this process could make now.

        Videos that have failed come last, and each process tries them once.

        Raises:
            ResumeError: if a generator without `--claim` works in the folder, or a folder of the batch is a link.
            OutputError: if a lease cannot be written.

        """
        claim = self._next()
        try:
            yield claim
        finally:
            if claim is not None:
                self._release(claim)

    def found(self, write: Callable[[], None]) -> bool:
        """Call ``write`` unless another process does or did; return whether that was done here."""
        with suppress(LeaseLost), self._leases.taken(_FOUNDING) as lease:
            if lease is None or (self._folder / BATCH_FILE).exists():
                return False
            with confirmed(lease.confirm):
                write()
            lease.end(State.DONE)
            return True
        return False

    def is_founded(self) -> bool:
        """Return whether a process says that it has written the batch file, which others may see a while later."""
        return self._leases.state(_FOUNDING, self._leases.newest().get(_FOUNDING, 0)) is State.DONE

    def end(self, write: Callable[[], int]) -> int | None:
        """Call ``write`` unless somebody is at work; return its result, or None.

        Afterwards, what only processes at work need is removed.
        """
        if self._at_work():
            return None
        try:
            with self._leases.taken(_ENDING) as lease:
                if lease is None or self._at_work():
                    return None
                with confirmed(lease.confirm):
                    result = write()
                lease.confirm()
                remove_leftovers(self._folder)
        except LeaseLost:
            return None
        self._leases.clear()
        return result

    def _at_work(self) -> list[str]:
        return self._leases.held(but={_FOUNDING, _ENDING, *self._settled})

    def _next(self) -> Claim | None:
        newest = self._leases.newest()
        failed = []
        for number, video in enumerate(self._plan.queue, 1):
            if video.video_id in self._settled or not self._is_free(video, newest):
                continue
            if (self._folder / video.failure).exists():
                failed.append((number, video))
            elif (claim := self._take(video, number, newest)) is not None:
                return claim
        for number, video in failed:
            if self._is_worth_another_attempt(video) and (claim := self._take(video, number, newest)) is not None:
                return claim
        return None

    def _is_worth_another_attempt(self, video: PlannedVideo) -> bool:
        return video.video_id not in self._tried and len(attempts(self._folder, video)) < MOST_ATTEMPTS

    def _is_free(self, video: PlannedVideo, newest: Mapping[str, int]) -> bool:
        """Return whether a video is neither complete nor made by another process; remember those that are complete."""
        state = self._leases.state(video.video_id, newest.get(video.video_id, 0))
        if state is State.FREE:
            refuse_links(self._folder, video)
            if not is_begun(self._folder, video) or defect(self._folder, video, verify=self._plan.verify) is not None:
                return True
        if state is not State.HELD:
            self._settled.add(video.video_id)
        return False

    def _take(self, video: PlannedVideo, number: int, newest: Mapping[str, int]) -> Claim | None:
        """Take a video unless another process was faster.

        What could have changed is looked at again once the lease is there; whoever ends the batch does it likewise.
        """
        name = video.video_id
        lease = self._leases.take(name, newest.get(name, 0) + 1)
        if lease is None:
            return None
        claim = Claim(video, number, lease)
        try:
            self._refuse_beside_a_leader()
            if not self._leases.held(_ENDING) and self._is_to_be_made(claim):
                self._clean(claim)
                return claim
        except LeaseLost:
            log.warning("%s is made by another process, because this one did not answer for so long", video.video_id)
        except BaseException:
            lease.end(State.FREE)
            raise
        self._release(claim)
        return None

    def _refuse_beside_a_leader(self) -> None:
        if self._leases.held(PROCESS):
            raise at_work(self._folder, "a generator without --claim")

    def _is_to_be_made(self, claim: Claim) -> bool:
        video = claim.video
        if is_begun(self._folder, video):
            reason = defect(self._folder, video, verify=self._plan.verify)
            if reason is None:
                self._settled.add(video.video_id)
                claim.is_made = True
                return False
            log.warning("%s is made again: %s", video.video_id, reason)
        deaths = self._leases.deaths(video.video_id)
        if deaths >= MOST_DEATHS:
            problem = (
                f"{deaths} processes died while they made it, without a message. Look for the cause, such as memory"
            )
            log.error("%s is given up: %s", video.video_id, problem)
            write_failure(self._folder, video, PipelineError(problem), 0.0)
            claim.is_made = True  # nobody takes it before the batch has ended
            self._settled.add(video.video_id)
            return False
        return True

    def _clean(self, claim: Claim) -> None:
        """Remove what says that the video, or the batch, is complete, and what a dead process has left of it.

        Raises:
            LeaseLost: if another process has taken over in the meantime.

        """
        video = claim.video
        claim.lease.confirm()
        (self._folder / COMPLETE_FILE).unlink(missing_ok=True)
        (self._folder / video.manifest).unlink(missing_ok=True)
        place = (self._folder / video.manifest).parent
        for stem in (video.stem, video.tensors_stem):
            remove_leftovers(place, f"-{stem}.")

    def _release(self, claim: Claim) -> None:
        video = claim.video
        if claim.is_made:
            self._settled.add(video.video_id)
        elif (self._folder / video.failure).exists():
            self._tried.add(video.video_id)
        claim.lease.end(State.DONE if claim.is_made else State.FREE)
