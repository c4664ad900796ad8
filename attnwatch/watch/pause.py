"""Starting nothing for a while, because something has run out."""

import logging
import time
from pathlib import Path

from attnwatch.system.shortage import lack_of_space

_log = logging.getLogger(__name__)

_FIRST, _LONGEST = 2.0, 30.0  # seconds between looks whether it is over


class Pause:
    """Begins when something runs out, and ends by itself when it is there again.

    After a while one rendering is let through, to find out. No video's attempts are counted meanwhile.

    Args:
        folder: on the disk that is full; None where something else has run out.

    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.reason: str | None = None
        """Why nothing is started; None while there is no pause."""
        self._began = 0.0
        self._until = 0.0
        self._wait = 0.0

    def begin(self, reason: str) -> None:
        """Start nothing for a while, or for a longer while if that was not enough."""
        now = time.monotonic()
        if self.reason is None:
            self._began, self._wait = now, _FIRST
            _log.warning("⏸ pausing, nothing is lost: %s; %s goes on by itself when that is over", reason, self._what)
        elif now >= self._until:  # else one that was started before it
            self._wait = min(_LONGEST, 2 * self._wait)
        self.reason, self._until = reason, now + self._wait

    def end(self) -> None:
        """Go on, because something was rendered."""
        if self.reason is not None:
            _log.info("▶ going on after a pause of %.0f s: %s", time.monotonic() - self._began, self._what)
        self.reason = None

    def lets_start(self, running: int) -> bool:
        """Tell whether a rendering may be started now, while so many are running: alone, once it is time to try."""
        return self.reason is None or (running == 0 and time.monotonic() >= self._until)

    def look(self, running: int, min_free_space: int) -> None:
        """Stay as it is for another while, if it is time to try and there is too little space to."""
        if self.folder is None or not self.lets_start(running) or self.reason is None:
            return
        if lack_of_space(self.folder, min_free_space) is not None:
            self._until = time.monotonic() + self._wait

    def next_look(self, running: int) -> float | None:
        """Return the monotonic time of the next look, None while there is no pause, or something to wait for."""
        return None if self.reason is None or running else self._until

    @property
    def _what(self) -> str:
        return "everything" if self.folder is None else f"what goes to the disk of {self.folder}"
