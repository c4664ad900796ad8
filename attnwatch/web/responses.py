"""Answers that a browser may keep: with a tag of their content, compressed where it pays."""

import gzip
import hashlib
from pathlib import PurePath

import anyio.to_thread
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JSON, BINARY = "application/json", "application/octet-stream"

_LEAST = 1024  # bytes that are compressed
_LEVEL = 5
_PIECE = 64 * 1024
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": JSON,
    ".png": "image/png",
    ".woff2": "font/woff2",
}


def type_of(name: str) -> str:
    """Return the media type of a file of the page."""
    return _TYPES.get(PurePath(name).suffix, "text/plain; charset=utf-8")


def tag_of(*parts: object) -> str:
    """Return a tag that is different if any of the parts is."""
    return f'"{hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:20]}"'


def has_tag(request: Request, tag: str) -> bool:
    """Return whether a browser already has what has this tag."""
    asked = request.headers.get("if-none-match", "")
    return asked == "*" or tag in (one.strip().removeprefix("W/") for one in asked.split(","))


def unchanged(tag: str) -> Response:
    """Return the answer for a browser that has what it asks for."""
    return Response(status_code=304, headers={"etag": tag, "cache-control": "no-cache"})


async def answer(request: Request, data: bytes | BaseModel, kind: str = JSON, tag: str | None = None) -> Response:
    """Return an answer with a tag, compressed if the browser takes it.

    Args:
        request: what was asked.
        data: the content.
        kind: its media type.
        tag: changes with the content; None to derive it from that.

    """
    content = data if isinstance(data, bytes) else data.model_dump_json().encode()
    tag = tag or tag_of(content)
    if has_tag(request, tag):
        return unchanged(tag)
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    # Maps are nearly random: they would become smaller by a few percent.
    if kind != BINARY and len(content) >= _LEAST and "gzip" in request.headers.get("accept-encoding", ""):
        packed = await anyio.to_thread.run_sync(lambda: gzip.compress(content, _LEVEL, mtime=0))
        if len(packed) < len(content):
            content, headers["content-encoding"] = packed, "gzip"
    return Pieces(content, media_type=kind, headers=headers)


class Pieces(Response):
    """An answer that is sent in pieces, each when the one before it was taken: slow clients take no memory."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send the answer."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for begin in range(0, len(self.body), _PIECE):
            await send({"type": "http.response.body", "body": self.body[begin : begin + _PIECE], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
