"""Serves the page until a signal ends it."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from signal import SIGINT, SIGTERM, Signals
from signal import signal as set_handler
from types import FrameType

import uvicorn

from attnwatch.errors import ConfigError
from attnwatch.report.found_outputs import Surveyed
from attnwatch.web.access import Access, is_loopback, names_of_loopback
from attnwatch.web.app import Page, build
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.limits import Connection

_TOKEN_BYTES = 24
_LARGEST_REQUEST = 16 * 1024  # bytes of its line and its headers
_LAST_WORDS = 0.1  # seconds in which streams end
_PATIENCE = 3  # seconds that answers may take when the server ends
_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not chosen


@dataclass(frozen=True)
class Address:
    """Where the page is served.

    Attributes:
        host: name or address of this machine to listen at.
        port: port; 0 for any that is free.
        names: further names under which it is reached, such as that of a proxy.
        token: what has to be known to see it; None to make one up, if others can reach it.

    """

    host: str
    port: int
    names: tuple[str, ...] = ()
    token: str | None = None

    @property
    def is_private(self) -> bool:
        """Whether only users of this machine can reach it."""
        return is_loopback(self.host) and not self.names

    def listen(self) -> socket.socket:
        """Return the socket that listens here.

        Raises:
            ConfigError: the port is in use, or the address is none of this machine.

        """
        try:
            family, *_, place = socket.getaddrinfo(
                self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            return socket.create_server(place[:2], family=family, backlog=128)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            found = f"found {self.host or 'any address'}, port {self.port} ({reason})"
            remedy = "stop what uses it, or choose another with --port; --host takes an address of this machine"
            if isinstance(error, PermissionError):
                remedy = "choose one above 1023 with --port: those below are root's"
            raise ConfigError(f"{found}; expected an address and a free port; {remedy}") from None

    def access(self, port: int) -> Access:
        """Return who may look, given the port that it listens at."""
        token = self.token if self.is_private else self.token or secrets.token_urlsafe(_TOKEN_BYTES)
        names = {*names_of_loopback(), self.host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
        if self.is_private:
            names = {*names_of_loopback(), self.host.lower()}
        return Access(frozenset({*names, *map(str.lower, self.names)}), self.host in _ANY, token, f"attnwatch-{port}")

    def url(self, port: int, access: Access) -> str:
        """Return the address to open."""
        host = socket.gethostname() if self.host in _ANY else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/" + ("" if access.token is None else f"?token={access.token}")


class Server(uvicorn.Server):
    """Uvicorn, whose end is ours: open streams are told first, and a signal is remembered, not raised again."""

    def __init__(self, config: uvicorn.Config, page: Page) -> None:
        super().__init__(config)
        self._page = page
        self.signal: Signals | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all streams, then everything else: a paused player would keep its connection for ever."""
        if self._page.bell is not None:
            self._page.bell.close()
            await asyncio.sleep(_LAST_WORDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End the server with the first signal, at once with the second."""
        before = {number: set_handler(number, self._note) for number in (SIGINT, SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                set_handler(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = Signals(number)
        self.force_exit = self.should_exit
        self.should_exit = True


def server_of(surveyed: Surveyed, access: Access) -> Server:
    """Return a server of the page about a tree.

    Args:
        surveyed: where lookups start.
        access: who may look.

    """
    app, page = build(Catalogue(surveyed.root.path), surveyed, access)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_PATIENCE,
        h11_max_incomplete_event_size=_LARGEST_REQUEST,
    )
    return Server(config, page)


def serve(server: Server, sockets: Sequence[socket.socket]) -> Signals | None:
    """Serve until a signal ends it, and return that."""
    server.run(sockets=list(sockets))
    return server.signal
