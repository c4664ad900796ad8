"""The addresses of the page, and what each of them answers. No path ever comes from the browser."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from attnwatch.batches.videos import read_video
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MAX_MEASURES_BYTES
from attnwatch.contract.names import MEASURES_SUFFIX, printable
from attnwatch.contract.reading import read_bytes
from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError
from attnwatch.report.found_outputs import Surveyed
from attnwatch.web.access import Access, Guard
from attnwatch.web.details import detail_of
from attnwatch.web.documents import BatchesDocument
from attnwatch.web.events import Bell, stream
from attnwatch.web.files import send
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.entries import Entry
from attnwatch.web.index.live import Live
from attnwatch.web.maps.asked import Asked
from attnwatch.web.maps.container import container
from attnwatch.web.maps.kept import Kept
from attnwatch.web.maps.scales import BatchScales
from attnwatch.web.maps.tables import tables
from attnwatch.web.package import static_files
from attnwatch.web.responses import BINARY, answer, has_tag, tag_of, type_of, unchanged

Endpoint = Callable[[Request], Awaitable[Response]]

_KEPT_BYTES = 32 * 2**20  # of maps, for other pages and for those that are loaded again
_AT_ONCE = 2  # requests whose answers are computed from maps: others wait, without a thread


class Page:
    """Answers the requests of the page about one tree.

    Args:
        catalogue: what is in the tree.
        surveyed: where lookups start.

    Attributes:
        bell: wakes open pages; there once the server has started.

    """

    def __init__(self, catalogue: Catalogue, surveyed: Surveyed) -> None:
        self._catalogue = catalogue
        self._surveyed = surveyed
        self._root = surveyed.root
        self._static = static_files()
        self._containers = Kept[str, bytes](_KEPT_BYTES, len)
        self._scales = BatchScales()
        self._at_once = anyio.CapacityLimiter(_AT_ONCE)
        self.bell: Bell | None = None

    @property
    def routes(self) -> list[Route]:
        """All addresses."""
        endpoints: dict[str, Endpoint] = {
            "/": self.index,
            "/static/{name:path}": self.static,
            "/api/batches": self.batches,
            "/api/batches/{batch}": self.batch,
            "/api/batches/{batch}/scales/{word}": self.scale,
            "/api/videos/{video}": self.video,
            "/api/videos/{video}/measures": self.measures,
            "/api/videos/{video}/maps/{word}": self.maps,
            "/api/tables": self.tables,
            "/api/events": self.events,
            "/files/{video}/video": self.video_file,
            "/files/{video}/outputs/{n}": self.output_file,
        }
        return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]

    async def index(self, request: Request) -> Response:
        """Answer with the page."""
        return await self._of_package(request, "index.html")

    async def static(self, request: Request) -> Response:
        """Answer with a file of the page."""
        return await self._of_package(request, request.path_params["name"])

    async def _of_package(self, request: Request, name: str) -> Response:
        found = self._static.get(name)
        if found is None:
            raise HTTPException(404)
        return await answer(request, await anyio.to_thread.run_sync(found.read_bytes), type_of(name))

    async def batches(self, request: Request) -> Response:
        """Answer with all batches."""
        found = BatchesDocument(
            revision=self._catalogue.revision,
            root=printable(self._root.path.name),
            watcher=self._catalogue.watcher,
            batches=tuple(await anyio.to_thread.run_sync(self._catalogue.summaries)),
        )
        return await answer(request, found)

    async def batch(self, request: Request) -> Response:
        """Answer with a batch and its videos."""
        document = await anyio.to_thread.run_sync(self._catalogue.document, request.path_params["batch"])
        if document is None:
            raise HTTPException(404)
        return await answer(request, document)

    async def video(self, request: Request) -> Response:
        """Answer with everything about one video."""
        return await answer(request, await self._read(detail_of, self._entry(request), self._surveyed))

    async def measures(self, request: Request) -> Response:
        """Answer with the measures of a video, as they are on disk."""
        place = self._place(request)
        path = place.directory / f"{place.video_id}{MEASURES_SUFFIX}"
        return await answer(request, await self._read(partial(read_bytes, root=place.root), path, MAX_MEASURES_BYTES))

    async def maps(self, request: Request) -> Response:
        """Answer with the maps of a word of a video."""
        entry, word, query = self._entry(request), request.path_params["word"], request.query_params
        asked = await self._read(Asked.of, query.get("steps"), query.get("layers"), query.get("heads"))
        manifest = await self._read(self._manifest, entry)
        tag = tag_of(manifest.sha256, await self._read(manifest.stamps), word, asked)
        if has_tag(request, tag):
            return unchanged(tag)
        packed = partial(container, manifest, word, asked)
        found = await self._read(self._containers.get, tag, packed, limiter=self._at_once)
        return await answer(request, found, BINARY, tag)

    async def scale(self, request: Request) -> Response:
        """Answer with the colour scale of a word over a whole batch."""
        made = [entry for entry in self._catalogue.entries(request.path_params["batch"]) if entry.is_made]
        if not made:
            raise HTTPException(404)
        word, query = request.path_params["word"], request.query_params
        asked = await self._read(Asked.of, query.get("steps"), query.get("layers"), query.get("heads"))
        found = await self._read(self._scale, made, word, asked, query.get("clip"), limiter=self._at_once)
        return await answer(request, found)

    def _scale(self, made: list[Entry], word: str, asked: Asked, clip: str | None) -> BaseModel:
        manifests = (manifest for entry in made if (manifest := self._readable(entry)) is not None)
        return self._scales.scale(manifests, word, asked, clip)

    def _readable(self, entry: Entry) -> Manifest | None:
        try:
            return self._manifest(entry)
        except (AttnwatchError, OSError):
            return None

    async def tables(self, request: Request) -> Response:
        """Answer with what maps are drawn with."""
        return await answer(request, await anyio.to_thread.run_sync(tables))

    async def events(self, request: Request) -> Response:
        """Answer with changes, as they come."""
        if self.bell is None:
            raise HTTPException(503)
        return stream(request, self._catalogue, self.bell)

    async def video_file(self, request: Request) -> Response:
        """Answer with the video itself."""
        manifest = await self._read(self._manifest, self._entry(request))
        file = await self._read(manifest.open_file, manifest.video)
        return send(request, file, manifest.video.name)

    async def output_file(self, request: Request) -> Response:
        """Answer with a file that was rendered."""
        place, number = self._place(request), request.path_params["n"]
        receipt = await self._read(place.read)
        outputs = {str(n): output.file for n, output in enumerate(receipt.outputs)} if receipt is not None else {}
        if number not in outputs:
            raise HTTPException(404)
        name = outputs[number]
        return send(request, await self._read(_output, place, name), name)

    def _entry(self, request: Request) -> Entry:
        entry = self._catalogue.entry(request.path_params["video"])
        if entry is None:
            raise HTTPException(404)
        return entry

    def _place(self, request: Request) -> Place:
        entry = self._entry(request)
        if entry.outputs is None:
            raise HTTPException(404)
        return self._surveyed.place(entry.path, entry.video_id, entry.outputs)

    def _manifest(self, entry: Entry) -> Manifest:
        return read_video(entry.path, self._root)

    async def _read(
        self, function: Callable[..., Any], *arguments: object, limiter: anyio.CapacityLimiter | None = None
    ) -> Any:  # noqa: ANN401 - what it returns
        """Call what reads files, in a thread of its own; what cannot be read is not found."""
        try:
            return await anyio.to_thread.run_sync(function, *arguments, limiter=limiter)
        except (AttnwatchError, OSError) as error:
            raise HTTPException(404, describe(error, self._root.path)) from error


def _output(place: Place, name: str) -> Any:  # noqa: ANN401 - an open file
    with place.open() as folder:
        return folder.open_file(name)


def build(catalogue: Catalogue, surveyed: Surveyed, access: Access) -> tuple[Starlette, Page]:
    """Return the application, and the page in it.

    Args:
        catalogue: takes what is in the tree.
        surveyed: where lookups start.
        access: who may look.

    """
    page = Page(catalogue, surveyed)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        page.bell = bell = Bell()
        silence = catalogue.listen(bell.ring)
        try:
            with Live(catalogue, surveyed):
                yield
        finally:
            silence()

    async def refuse(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return PlainTextResponse(f"{getattr(error, 'detail', 'the server failed')}\n", status)

    app = Starlette(
        routes=page.routes,
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={HTTPException: refuse},
        lifespan=lifespan,
    )
    return app, page
