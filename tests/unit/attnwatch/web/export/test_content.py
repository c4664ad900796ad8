import base64
import gzip
import json
import re

import pytest

from attnwatch.errors import ConfigError, UnknownNameError
from attnwatch.web.export import content
from attnwatch.web.export.content import Content, Selection
from attnwatch.web.export.writing import write_page
from tests.support import write_receipt


@pytest.fixture
def videos(batch):
    """Write two videos of one prompt and one of another."""
    for prompt, number in ((1, 1), (1, 2), (2, 1)):
        write_receipt(batch.add_full(number, prompt=prompt, words=("kiss", "men")))
    return batch


def exported(made, tmp_path, **selection):
    write_page(Content(made.folder, None, Selection(**selection)), tmp_path / "page")
    return tmp_path / "page"


def held(page):
    """Return what the scripts of a page hand over, by key."""
    found = {}
    for path in sorted((page / "data").iterdir()):
        key, text = re.fullmatch(r'attnwatchData\("([\w-]+)","([\w+/=]*)"\);\n', path.read_text()).groups()
        data = base64.b64decode(text)
        assert path.name == f"{key}.js"
        found[key] = data if key.startswith("film-") else gzip.decompress(data)
    return found


def rows(page):
    data = held(page)
    (batch,) = json.loads(data["batches"])["batches"]
    return json.loads(data[f"batch-{batch['id']}"])["videos"], data


def test_an_export_holds_every_video_with_its_maps(videos, tmp_path):
    found, data = rows(exported(videos, tmp_path))
    assert len(found) == 3
    word = b"kiss".hex()
    for row in found:
        name = row["id"]
        assert {f"maps-{name}-{word}-mean", f"maps-{name}-{word}-each", f"film-{name}"} <= data.keys()
        assert json.loads(data[f"video-{name}"])["maps"]["kiss"]["steps"] == [0, 1]
    original = videos.prompt(1) / "video_001.mp4"
    assert data[f"film-{found[0]['id']}"] == original.read_bytes()


def test_an_export_holds_only_what_was_selected(videos, tmp_path):
    found, data = rows(exported(videos, tmp_path, videos=("prompt_001_*",), words=("men",), steps="mean"))
    assert [row["video_id"] for row in found] == ["prompt_001_vid001", "prompt_001_vid002"]
    assert {tuple(row["words"]) for row in found} == {("men",)}
    assert not [key for key in data if b"kiss".hex() in key or key.endswith("-each")]
    (batch,) = json.loads(data["batches"])["batches"]
    assert (batch["planned"], batch["counts"]["rendered"], [word["slug"] for word in batch["words"]]) == (2, 2, ["men"])


def test_linked_videos_stay_where_they_are(videos, tmp_path):
    found, data = rows(exported(videos, tmp_path, linked=True))
    where = json.loads(data["films"])
    assert not [key for key in data if key.startswith("film-")]
    assert ((tmp_path / "page" / where[found[0]["id"]]).resolve()) == (videos.prompt(1) / "video_001.mp4").resolve()


def test_where_all_steps_are_too_many_for_one_file_each_has_its_own(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "MOST_BYTES", 300)
    found, data = rows(exported(videos, tmp_path))
    word = b"kiss".hex()
    steps = {key.rpartition("-")[2] for key in data if key.startswith(f"maps-{found[0]['id']}-{word}")}
    assert steps == {"mean", "0", "1"}


def test_the_size_that_is_told_is_about_the_one_that_is_written(videos, tmp_path):
    found = Content(videos.folder)
    write_page(found, tmp_path / "page")
    written = sum(path.stat().st_size for path in (tmp_path / "page").rglob("*") if path.is_file())
    assert written == pytest.approx(found.size, rel=0.2)


def test_what_is_selected_has_to_be_there(videos, tmp_path):
    with pytest.raises(UnknownNameError, match=r"kis.*kiss"):
        exported(videos, tmp_path, words=("kis",))
    with pytest.raises(ConfigError, match="no finished video that matches nothing"):
        exported(videos, tmp_path, videos=("nothing",))
    assert not (tmp_path / "page").exists()


def test_nothing_is_written_over(videos, tmp_path):
    (tmp_path / "page").mkdir()
    exported(videos, tmp_path)
    with pytest.raises(ConfigError, match="empty"):
        exported(videos, tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        write_page(Content(videos.folder), tmp_path / "nothing" / "page")


def test_an_export_that_fails_leaves_nothing_behind(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "_film", lambda video: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        exported(videos, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
