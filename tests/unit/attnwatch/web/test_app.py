import pytest

from attnwatch.web.export.content import Content
from attnwatch.web.export.writing import write_page
from tests.legacy_support import LAYOUTS, OldBatch
from tests.support import write_json, write_receipt


def test_batches_are_listed_with_the_number_of_their_videos_in_each_state(batch, opened):
    write_receipt(batch.add_full(1))
    write_receipt(batch.add_full(2), "crashed")
    batch.add_full(3)
    (found,) = opened().batches
    assert (found["name"], found["path"], found["model"]) == (batch.folder.name, batch.folder.name, "tiny")
    states = {state: number for state, number in found["counts"].items() if number}
    assert states == {"finished": 3, "rendered": 1, "failed": 1, "waiting": 1}
    assert found["words"] == [{"slug": "kiss", "text": "kiss"}]


def test_a_video_is_listed_with_what_it_was_made_from(batch, opened):
    batch.add_full(1, generation={"prompt": "a kiss", "choices": ["here"], "seed": 7, "frames": 9, "fps": 16.0})
    (video,) = opened().videos
    assert (video["video_id"], video["prompt"], video["choices"], video["seed"]) == (
        "prompt_001_vid001",
        "a kiss",
        ["here"],
        7,
    )
    assert (video["state"], video["reason"], video["playable"]) == ("waiting", "not rendered yet", True)
    assert video["seconds"] == pytest.approx(9 / 16)


def test_videos_that_are_planned_and_not_made_are_pending_or_have_failed_with_a_reason(batch, opened):
    batch.add_full(1)
    plan = [
        {
            "video_id": f"prompt_001_vid{n:03d}",
            "prompt_id": "prompt_001",
            "seed": 41 + n,
            "manifest": f"videos/prompt_001/video_{n:03d}.complete.json",
        }
        for n in (1, 2, 3)
    ]
    variation = {"prompt_id": "prompt_001", "prompt": "a kiss", "tokens": [{"slug": "kiss", "text": "kiss"}]}
    write_json(
        batch.folder / "batch.json",
        {
            "format": "attnwatch/1",
            "batch": batch.folder.name,
            "created": "2026-01-02T03:04:05+00:00",
            "template": "a (kiss)",
            "variations": [{**variation, "choices": []}],
            "videos": plan,
        },
    )
    failed = {"at": "2026-01-02T03:05:00+00:00", "seconds": 1.5, "error": "CUDA out of memory"}
    write_json(
        batch.prompt() / "video_003.failed.json",
        {"format": "attnwatch/1", "video_id": "prompt_001_vid003", "attempts": [failed]},
    )
    page = opened()
    assert [(video["state"], video["reason"]) for video in page.videos] == [
        ("waiting", "not rendered yet"),
        ("pending", None),
        ("failed", "CUDA out of memory"),
    ]
    assert page.batch["planned"] == 3
    assert page.batch["counts"]["unmade"] == 1
    made = page.videos[1]["id"]
    batch.add_full(2)
    page.poll()
    assert [video["id"] for video in page.videos if video["state"] == "waiting"][1] == made  # the cell stays the same


def test_the_details_of_a_video_say_when_which_map_is_shown(batch, opened):
    batch.add_full(1)
    detail = opened().detail()
    assert detail["tokens"] == [{"slug": "kiss", "text": "kiss", "span": [2, 6], "negative": False}]
    assert detail["maps"]["kiss"]["grid"] == [3, 6, 8]
    timeline = detail["timeline"]
    assert len(timeline["seconds"]) == len(timeline["lower"]) == 9
    assert (timeline["lower"][0], timeline["share"][0], timeline["lower"][-1]) == (0, 0, 2)


def test_a_player_gets_the_part_of_a_video_that_it_asks_for(batch, opened):
    video = batch.add_full(1).with_name("video_001.mp4").read_bytes()
    page = opened()
    path = f"/files/{page.videos[0]['id']}/video"
    whole = page.ask(path)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, video, "video/mp4")
    part = page.ask(path, range="bytes=10-19")
    assert (part.status_code, part.content) == (206, video[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(video)}"
    assert page.ask(path, range="bytes=-5").content == video[-5:]
    assert page.ask(path, range=f"bytes={len(video)}-").status_code == 416
    assert page.ask(path, if_none_match=whole.headers["etag"]).status_code == 304
    assert page.ask(path, range="bytes=10-19", if_range='"another"').content == video
    head = page.ask(path, method="HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(video)))


def test_documents_are_compressed_and_kept_by_the_browser(batch, opened):
    for number in range(1, 5):
        batch.add_full(number)
    page = opened()
    path = f"/api/batches/{page.batches[0]['id']}"
    found = page.ask(path, accept_encoding="gzip")
    assert found.headers["content-encoding"] == "gzip"
    assert page.ask(path, if_none_match=found.headers["etag"]).status_code == 304
    batch.add_full(5)
    page.poll()
    assert page.ask(path, if_none_match=found.headers["etag"]).status_code == 200


def test_maps_scales_and_tables_are_answered_from_what_is_stored(batch, opened):
    batch.add_full(1)
    page = opened()
    path = f"/api/videos/{page.videos[0]['id']}/maps/kiss"
    mean, each = page.ask(path), page.ask(f"{path}?steps=each")
    assert len(each.content) > 1.5 * len(mean.content)
    assert page.ask(path, if_none_match=mean.headers["etag"]).status_code == 304
    assert page.ask(f"{path}?steps=each", if_none_match=mean.headers["etag"]).status_code == 200
    for wrong in ("?steps=17", "?layers=9", "?heads=..", "/../x"):
        assert page.ask(f"{path}{wrong}").status_code == 404, wrong
    scales = f"/api/batches/{page.batches[0]['id']}/scales/kiss"
    assert page.json(scales)["high"] < page.json(f"{scales}?steps=1")["high"]
    assert next(iter(page.json("/api/tables")["colormaps"])) == "viridis"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_videos_of_older_batches_are_listed_played_and_exported(outputs, opened, tmp_path, layout):
    old = OldBatch(outputs / "old", layout)
    old.add()
    page = opened()
    (video,) = page.videos
    assert (video["state"], video["playable"], bool(video["words"])) == ("waiting", True, True)
    detail = page.detail()
    assert set(detail["maps"]) == set(video["words"])
    assert page.ask(f"/files/{video['id']}/video").headers["content-type"] == "video/mp4"
    write_page(Content(outputs), tmp_path / "page")
    assert len([*(tmp_path / "page" / "data").glob("film-*.js")]) == 1
