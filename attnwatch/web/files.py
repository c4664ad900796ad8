"""Sends files that are open, whole or in part: players ask for the ranges that they need."""

import os
import re
from collections.abc import AsyncIterator
from io import BufferedReader
from pathlib import PurePath
from urllib.parse import quote

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from attnwatch.contract.stamps import Mark
from attnwatch.web.responses import BINARY, has_tag, tag_of, unchanged

_BLOCK = 64 * 1024
_PART = 2**20  # bytes
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


class NoSuchRangeError(ValueError):
    """A range that the file does not have."""


def part_asked(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte that is asked for and the one after the last; None for the whole file.

    Several ranges at once are not answered as such: no player needs them.

    Raises:
        NoSuchRangeError: the file ends before the range begins.

    """
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= min(end, size):
        raise NoSuchRangeError
    return begin, end


def send(request: Request, file: BufferedReader, name: str) -> Response:
    """Return the answer that sends a file, or the part of it that is asked for, and closes it.

    Args:
        request: what was asked.
        file: the file.
        name: its name: what it is, and what it is called where it is saved.

    """
    mark = Mark.of(file)
    tag = tag_of(mark)
    headers = {"etag": tag, "accept-ranges": "bytes", "cache-control": "no-cache", **_said_about(name)}
    if has_tag(request, tag):
        file.close()
        return unchanged(tag)
    asked = request.headers.get("range") if request.headers.get("if-range", tag) == tag else None
    try:
        part = part_asked(asked, mark.bytes)
    except NoSuchRangeError:
        file.close()
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{mark.bytes}"})
    begin, end = part or (0, mark.bytes)
    if part is not None and end == mark.bytes and _is_player(request.headers):
        end = min(end, begin + _PART)
    headers["content-length"] = str(end - begin)
    if part is not None:
        headers["content-range"] = f"bytes {begin}-{end - 1}/{mark.bytes}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_blocks(file, begin, end), status_code=status, headers=headers)


def _is_player(headers: Headers) -> bool:
    """Return whether a player asks for everything from some byte on.

    A browser has six connections to a server. A player that is paused would keep one for as long as it has not taken
    all of a long video; six of them would leave none. So it gets a part, and asks for the next one when it needs it.
    """
    by_purpose = headers.get("sec-fetch-dest") in ("video", "audio")
    # Chromium and Firefox do not tell their purpose to another machine that is reached without encryption.
    return by_purpose or "identity;q=1" in headers.get("accept-encoding", "") or "video/" in headers.get("accept", "")


def _said_about(name: str) -> dict[str, str]:
    """Return what a browser is told about a file: what it does not play or show, it saves."""
    kind = _TYPES.get(PurePath(name).suffix.lower())
    shown = "inline" if kind else "attachment"
    return {
        "content-type": kind or BINARY,
        "content-disposition": f"{shown}; filename*=utf-8''{quote(os.fsencode(name), safe='')}",
    }


async def _blocks(file: BufferedReader, begin: int, end: int) -> AsyncIterator[bytes]:
    with file:
        while begin < end:
            size = min(_BLOCK, end - begin)
            block = await anyio.to_thread.run_sync(os.pread, file.fileno(), size, begin)
            if not block:  # it was cut meanwhile: the length that was announced cannot be kept
                raise OSError("the file became shorter while it was sent")
            begin += len(block)
            yield block
