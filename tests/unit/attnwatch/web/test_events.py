import asyncio
import json
from contextlib import aclosing

from attnwatch.web import events
from attnwatch.web.events import Bell
from tests.support import write_receipt


def told(page, after, until, act=lambda: None, only=None):
    """Return the events that a page receives until one has a name, as name and data, after something happens."""

    async def listen():
        bell, found = Bell(), []
        silence = page.catalogue.listen(bell.ring)
        async with aclosing(events._events(page.catalogue, bell, after, only)) as stream:
            await anext(stream)
            asyncio.get_running_loop().call_later(0.05, act)
            async for text in stream:
                fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
                found.append((fields.get("event"), json.loads(fields.get("data", "null")), fields.get("id")))
                if fields.get("event") == until:
                    break
        silence()
        return found

    return asyncio.run(asyncio.wait_for(listen(), 30))


def test_a_rendered_video_and_its_batch_are_told_and_only_the_last_event_has_the_revision(batch, opened):
    manifest = batch.add_full(1)
    page = opened()

    def act():
        write_receipt(manifest)
        page.poll()

    (first, videos, no_id), (second, batches, number) = told(page, page.catalogue.revision, "batches", act)
    assert (first, second, no_id, int(number)) == ("videos", "batches", None, page.catalogue.revision)
    assert [video["state"] for video in videos["videos"]] == ["rendered"]
    assert batches[0]["counts"]["rendered"] == 1


def test_a_page_hears_only_of_the_videos_of_the_batch_that_it_shows(batch, opened):
    batch.add_full(1)
    page = opened()
    before = page.catalogue.revision

    def act():
        batch.add_full(2)
        page.poll()

    assert [name for name, _, _ in told(page, before, "batches", act, only="0" * 16)] == ["batches"]


def test_a_deleted_video_is_told(batch, opened):
    batch.add_full(1)
    page = opened()
    gone = page.videos[0]["id"]
    before = page.catalogue.revision
    (batch.prompt() / "video_001.complete.json").unlink()
    page.poll()
    (name, data, _) = told(page, before, "gone")[-1]
    assert (name, data["videos"]) in (("gone", [gone]), ("gone", []))


def test_a_page_with_an_unknown_revision_loads_everything(batch, opened):
    batch.add_full(1)
    assert told(opened(), -1, "reset")[0][0] == "reset"


def test_streams_end_at_once_with_the_server(batch, opened, monkeypatch):
    batch.add_full(1)
    page = opened()
    monkeypatch.setattr(events, "_GATHERED", 3600)

    async def listen():
        bell = Bell()
        asyncio.get_running_loop().call_later(0.05, bell.close)
        return [text async for text in events._events(page.catalogue, bell, page.catalogue.revision, None)]

    assert asyncio.run(asyncio.wait_for(listen(), 30)) == ["retry: 2000\n\n"]
