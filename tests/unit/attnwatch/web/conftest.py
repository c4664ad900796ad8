"""A finished batch and a page about it, which answers requests in this process."""

import asyncio

import httpx
import pytest

pytest.importorskip("starlette")

from attnwatch.report.found_outputs import Surveyed
from attnwatch.web.access import Access, names_of_loopback
from attnwatch.web.app import build
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.tree import Tree
from tests.support import Batch


class Client:
    """Asks a page about a tree as it is now; there is no server and no thread."""

    def __init__(self, root, **access):
        self.surveyed = Surveyed.of(root)
        self.catalogue = Catalogue(root)
        self.tree = Tree(self.catalogue, self.surveyed)
        allowed = Access(**{"names": names_of_loopback(), **access})
        self.app, self.page = build(self.catalogue, self.surveyed, allowed)
        self.walk()

    def walk(self):
        for _ in self.tree.walk():
            pass

    def poll(self):
        for _ in self.tree.poll():
            pass

    def ask(self, path, method="GET", **headers):
        async def answer():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8642") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, path, headers=named)

        return asyncio.run(answer())

    def json(self, path):
        found = self.ask(path)
        assert found.status_code == 200, found.text
        return found.json()

    @property
    def batches(self):
        return self.json("/api/batches")["batches"]

    @property
    def batch(self):
        (only,) = self.batches
        return self.json(f"/api/batches/{only['id']}")

    @property
    def videos(self):
        return self.batch["videos"]

    def detail(self, n=0):
        return self.json(f"/api/videos/{self.videos[n]['id']}")


@pytest.fixture
def outputs(tmp_path):
    return tmp_path / "outputs"


@pytest.fixture
def batch(outputs):
    return Batch.make(outputs)


@pytest.fixture
def opened(outputs):
    """Return a page about the folder of batches."""
    outputs.mkdir(exist_ok=True)
    return lambda **access: Client(outputs, **access)
