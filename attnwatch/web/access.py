"""Who is answered, and what the browser is told to allow."""

import contextlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

_METHODS = ("GET", "HEAD")
_MOST_FIELDS = 100  # of a query in which a token is looked for
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OWN = frozenset({"same-origin", "none"})
"""What browsers say about requests of the page itself, and of its user."""


@dataclass(frozen=True)
class Access:
    """Who may look at the page.

    Attributes:
        names: names and addresses under which it is reached, in lower case.
        any_address: whether every address of this machine is meant, so that any address may be in `Host`.
        token: what has to be known; None if only users of this machine can reach it.
        cookie: name of the cookie that keeps the token.

    """

    names: frozenset[str]
    any_address: bool = False
    token: str | None = None
    cookie: str = "attnwatch"

    def refusal(self, method: str, headers: Headers, query: str) -> Response | None:
        """Return why a request is refused; None if it is not."""
        if method not in _METHODS:
            return _refused(
                405, "found another method than GET: this page is read only", {"allow": ", ".join(_METHODS)}
            )
        if not self._is_own(headers.get("host", "")):
            return _refused(
                421,
                "found another name of this server than it was started with; expected its own; open the address that "
                "`attnwatch view` has printed, or name this one with --allow-host",
            )
        if headers.get("sec-fetch-site", "none") not in _OWN and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "found a request of another page; expected one of this page")
        if self.token is not None and not self._knows_token(headers, query):
            return _refused(401, "found no valid token; open the whole address that `attnwatch view` has printed")
        return None

    def gives_cookie(self, query: str) -> str | None:
        """Return the header that makes a browser remember the token of an address; None if it has none."""
        if self.token is None or not _same(_token_in(query), self.token):
            return None
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def _is_own(self, host: str) -> bool:
        name = host_name(host)
        if name is None:
            return False
        return name in self.names or (self.any_address and _is_address(name))

    def _knows_token(self, headers: Headers, query: str) -> bool:
        token = self.token or ""
        return _same(_token_in(query), token) or any(
            _same(value, token) for value in _cookies(headers.getlist("cookie"), self.cookie)
        )


def host_name(host: str) -> str | None:
    """Return the name or address in a Host header, without its port; None if there is none."""
    name, port = host.strip().lower(), ""
    if name.startswith("["):
        name, bracket, rest = name[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif ":" in name:
        name, _, port = name.partition(":")
    return name.removesuffix(".") if name and (not port or (port.isascii() and port.isdigit())) else None


def is_loopback(host: str) -> bool:
    """Return whether a name or address is one that only this machine itself can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_of_loopback() -> frozenset[str]:
    """Return the names under which a server on this machine is reached from itself."""
    return _LOOPBACK


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _token_in(query: str) -> str:
    """Return the token in a query; what is no query has none."""
    with contextlib.suppress(ValueError):
        return dict(parse_qsl(query, max_num_fields=_MOST_FIELDS)).get("token", "")
    return ""


def _cookies(headers: list[str], name: str) -> list[str]:
    pairs = (one.strip().partition("=") for header in headers for one in header.split(";"))
    return [value for key, _, value in pairs if key == name]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _refused(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{reason}\n", status, headers=headers)


class Guard:
    """Answers requests that are refused, and adds what browsers have to know to every other answer.

    Args:
        app: answers the others.
        access: who may look.

    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        cookie = self._access.gives_cookie(query)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if cookie is not None:
                    headers.append("set-cookie", cookie)
            await send(message)

        refusal = self._access.refusal(scope["method"], Headers(scope=scope), query)
        await (refusal or self._app)(scope, receive, send_with_headers)
