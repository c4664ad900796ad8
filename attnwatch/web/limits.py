"""One connection of a browser: how long it may keep the server waiting, and how many there may be."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 256
"""Connections at a time; each takes a descriptor, and another one for the file that is sent."""

_REQUEST_TIME = 15.0  # seconds for a request to arrive
_STALL_TIME = 120.0  # seconds for which nothing that is sent is taken; players go on later with a new request


class Connection(H11Protocol):
    """A connection that is closed if its client keeps it waiting."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MOST:
            self.transport.abort()
            return
        self._expect(_REQUEST_TIME)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        cycle = self.cycle
        super().data_received(data)
        if self.cycle is not cycle:  # the request is complete
            self._expect(None)
        elif self._timer is None and (cycle is None or cycle.response_complete):
            self._expect(_REQUEST_TIME)  # the next one has begun

    def pause_writing(self) -> None:
        """Wait for a client that takes less than it is sent."""
        super().pause_writing()
        self._expect(_STALL_TIME)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._expect(None)

    def _expect(self, seconds: float | None) -> None:
        """Close the connection after some seconds; None: no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self.transport is not None:
            self.transport.abort()
