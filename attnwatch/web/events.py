"""Tells open pages what has changed, as server-sent events; a page that comes back says what it knows."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from attnwatch.web.index.catalogue import Catalogue, Changes

_NUMBER = re.compile(r"[0-9]{1,18}")
_PULSE = 15.0  # seconds after which a comment shows that the connection lives
_GATHERED = 0.2  # seconds for which changes are gathered
_MOST = 200  # videos in one event


class Bell:
    """Wakes those who wait for changes, in the event loop; rung from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self._closed = False

    def ring(self) -> None:
        """Wake all who wait."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._wake()

    @property
    def is_closed(self) -> bool:
        """Whether all streams end."""
        return self._closed

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or for some time."""
        rung = self._rung
        try:
            await asyncio.wait_for(rung.wait(), seconds)
        except TimeoutError:
            return

    def _wake(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()


def stream(request: Request, catalogue: Catalogue, bell: Bell) -> Response:
    """Return the stream of changes after what the page knows: `after`, or what it received last before it came back.

    With `batch`, videos of that batch only.
    """
    asked = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    after = int(asked) if _NUMBER.fullmatch(asked) else -1
    only = request.query_params.get("batch")
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=headers)
    return StreamingResponse(_events(catalogue, bell, after, only), media_type="text/event-stream", headers=headers)


async def _events(catalogue: Catalogue, bell: Bell, after: int, only: str | None) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    while not bell.is_closed:
        changes = catalogue.changes(after)
        if changes is None:
            after = catalogue.revision
            yield _event(after, "reset", None)
        elif changes.revision == after:
            revision = after
            await bell.wait(_PULSE)
            if catalogue.revision == revision and not bell.is_closed:
                yield ": still here\n\n"
            elif not bell.is_closed:  # otherwise at once: browsers take it for an end then, and not for a broken answer
                await asyncio.sleep(_GATHERED)
        else:
            for text in _described(catalogue, changes, only):
                yield text
            after = changes.revision


def _described(catalogue: Catalogue, changes: Changes, only: str | None) -> Iterator[str]:
    """Yield the events of some changes; only the last one has their revision, so that none is skipped."""
    known = {summary.id: summary for summary in catalogue.summaries(changes.batches)}
    for batch in changes.batches.keys() - known.keys():
        if batch:
            yield _event(None, "gone", {"batch": batch, "videos": []})
    for batch, videos in changes.videos.items():
        if only is None or batch == only:
            yield from _videos(catalogue, batch, list(videos))
    if "" in changes.batches:
        watcher = catalogue.watcher
        yield _event(None, "watcher", None if watcher is None else watcher.model_dump(mode="json"))
    yield _event(changes.revision, "batches", [summary.model_dump(mode="json") for summary in known.values()])


def _videos(catalogue: Catalogue, batch: str, videos: list[str]) -> Iterator[str]:
    rows, gone = list[bytes](), list[str]()
    for video in videos:
        entry = catalogue.entry(video)
        if entry is None:
            gone.append(video)
        else:
            rows.append(entry.row)
    for start in range(0, len(rows), _MOST):
        some = b",".join(rows[start : start + _MOST]).decode()
        yield f'event: videos\ndata: {{"batch":{json.dumps(batch)},"videos":[{some}]}}\n\n'
    if gone:
        yield _event(None, "gone", {"batch": None, "videos": gone})


def _event(revision: int | None, name: str, data: object) -> str:
    number = "" if revision is None else f"id: {revision}\n"
    return f"{number}event: {name}\ndata: {json.dumps(data)}\n\n"
