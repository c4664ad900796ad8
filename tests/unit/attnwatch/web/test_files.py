import os
import shutil

import pytest

from attnwatch.web.files import NoSuchRangeError, part_asked
from tests.support import write_json, write_receipt

SECRET = b"nobody may read this"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.mp4"
    path.write_bytes(SECRET)
    return path


@pytest.mark.parametrize("way", ["link", "linked folder", "hard stop"])
def test_a_video_that_leads_out_of_its_folder_is_not_sent(batch, opened, secret, way):
    manifest = batch.add_full(1)
    page = opened()
    path = f"/files/{page.videos[0]['id']}/video"
    video = manifest.with_name("video_001.mp4")
    if way == "link":
        video.unlink()
        video.symlink_to(secret)
    elif way == "linked folder":
        shutil.copytree(manifest.parent, secret.parent / "other")
        (secret.parent / "other" / "video_001.mp4").write_bytes(SECRET)
        shutil.rmtree(manifest.parent)
        manifest.parent.symlink_to(secret.parent / "other")
    else:
        video.unlink()
        os.mkfifo(video)
    found = page.ask(path)
    assert found.status_code == 404
    assert SECRET not in found.content


def test_an_output_that_leads_out_is_not_sent_and_none_that_the_receipt_does_not_name(batch, opened, secret):
    place = write_receipt(batch.add_full(1))
    page = opened()
    video = page.videos[0]["id"]
    output = place.directory / "prompt_001_vid001_kiss_overlay.mp4"
    output.write_bytes(b"overlay")
    assert page.ask(f"/files/{video}/outputs/0").content == b"overlay"
    for number in ("1", "-1", "00", "0" * 5_000, "9" * 5_000, "x", "%2e%2e", "0/../../secret.mp4"):
        assert page.ask(f"/files/{video}/outputs/{number}").status_code == 404
    output.unlink()
    output.symlink_to(secret)
    assert page.ask(f"/files/{video}/outputs/0").status_code == 404


def test_a_receipt_cannot_name_a_file_elsewhere(batch, opened, secret):
    place = write_receipt(batch.add_full(1))
    receipt = place.read().model_dump(mode="json")
    receipt["outputs"][0]["file"] = "../../../../../secret.mp4"
    write_json(place.path, receipt)
    page = opened()
    assert page.ask(f"/files/{page.videos[0]['id']}/outputs/0").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/files/../video",
        "/files/0000000000000000/video",
        "/files/%2e%2e%2f%2e%2e/video",
        "/api/videos/..%2f..%2fsecret",
        "/api/batches/..%2f..%2fsecret",
    ],
)
def test_no_address_leads_out_of_what_is_listed(batch, opened, secret, path):
    batch.add_full(1)
    assert opened().ask(path).status_code == 404


@pytest.mark.parametrize("name", ['"><script>alert(1)<script>.mp4', "ק🎬\u202egpj.mp4", "a\nb.mp4", "a.html", "a.svg"])
def test_a_file_of_any_name_is_sent_as_what_it_is_or_to_be_saved(batch, opened, name):
    manifest = batch.add_full(1, video="video_001.mp4")
    manifest.with_name("video_001.mp4").rename(manifest.with_name(name))
    batch.add_full(1, video=name, files={})
    manifest.with_name("video_001.mp4").unlink(missing_ok=True)
    page = opened()
    found = page.ask(f"/files/{page.videos[0]['id']}/video")
    shown = name.endswith(".mp4")
    assert found.headers["content-type"] == ("video/mp4" if shown else "application/octet-stream")
    said = found.headers["content-disposition"]
    assert said.startswith("inline; " if shown else "attachment; ")
    assert said.isascii()
    assert not set('<>"\n') & set(said)


def test_a_player_that_asks_for_all_of_a_long_video_gets_a_part_and_keeps_no_connection(batch, opened):
    manifest = batch.add_full(1, files={})
    data = os.urandom(2**20 + 5)
    manifest.with_name("video_001.mp4").write_bytes(data)
    page = opened()
    path = f"/files/{page.videos[0]['id']}/video"
    part = page.ask(path, range="bytes=0-", sec_fetch_dest="video", sec_fetch_site="same-origin")
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 0-{2**20 - 1}/{len(data)}")
    rest = page.ask(path, range=f"bytes={2**20}-", accept_encoding="identity;q=1, *;q=0")
    assert part.content + rest.content == data
    assert page.ask(path, range="bytes=0-").content == data  # a program that goes on with a download


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=4-99", (4, 10)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        (f"bytes=0-{'9' * 19}", (0, 10)),
        (f"bytes=0-{'9' * 5000}", None),
    ],
)
def test_the_part_that_a_header_asks_for(header, part):
    assert part_asked(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_part_behind_the_end_is_none(header):
    with pytest.raises(NoSuchRangeError):
        part_asked(header, 10)
