import json
import shutil
from pathlib import Path

import pytest

from tests.support import (
    Batch,
    attnwatch,
    called,
    decode,
    file_record,
    read_receipt,
    wait_until,
    watching,
    write_json,
    write_source_video,
)

ID = "prompt_001_vid001"


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


@pytest.fixture
def manifest(batch):
    return batch.add_full()


def video_of(manifest):
    return manifest.with_name("video_001.mp4")


def acceptance_of(manifest):
    return manifest.parent / "attention_videos" / f"{ID}.accepted.json"


def longer(video):
    """Add metadata at the end: a box that players skip."""
    with video.open("ab") as file:
        file.write(b"\0\0\0\x10free8 bytes.")


def shorter(video):
    write_source_video(video, colour=(9, 9, 9))


def once(manifest, *arguments):
    return attnwatch(manifest.parents[2], "--once", *arguments)


@pytest.mark.parametrize("edit", [longer, shorter])
@pytest.mark.parametrize("rendered_before", [True, False])
def test_an_edited_video_is_rendered_once_it_is_accepted(manifest, capsys, edit, rendered_before):
    if rendered_before:
        assert once(manifest).returncode == 0
    edit(video_of(manifest))
    assert once(manifest).returncode == 1
    assert "attnwatch accept" in read_receipt(manifest)["attempts"][-1]["error"]
    code, out, _ = called(capsys, "accept", video_of(manifest))
    record = file_record(video_of(manifest))
    assert code == 0
    assert out == f"{ID}: accepted video_001.mp4 ({record['bytes']:,} bytes, SHA-256 {record['sha256']})\n"
    assert once(manifest).returncode == 0
    receipt = read_receipt(manifest)
    assert (receipt["status"], receipt["inputs"]["video_001.mp4"]) == ("rendered", record["bytes"])
    assert called(capsys, "check", manifest)[0] == 0


def test_a_file_that_changes_again_is_refused_again(manifest, capsys):
    longer(video_of(manifest))
    called(capsys, "accept", manifest)
    longer(video_of(manifest))
    assert called(capsys, "check", manifest)[0] == 1


def test_the_original_is_right_as_well(manifest, tmp_path, capsys):
    original = Path(shutil.copy2(video_of(manifest), tmp_path / "original.mp4"))
    longer(video_of(manifest))
    called(capsys, "accept", manifest)
    original.replace(video_of(manifest))
    assert once(manifest).returncode == 0


def test_a_video_that_is_generated_again_is_expected_as_its_new_manifest_lists_it(batch, manifest, capsys):
    longer(video_of(manifest))
    edited = video_of(manifest).read_bytes()
    called(capsys, "accept", manifest)
    batch.add_full(generation={"seed": 2})
    video_of(manifest).write_bytes(edited)
    assert called(capsys, "check", manifest)[0] == 1


def test_a_running_watcher_notices(manifest, tmp_path):
    longer(video_of(manifest))
    with watching(manifest.parents[2], "--set", "retry_backoff=0", log=tmp_path / "log"):
        wait_until(lambda: (receipt := read_receipt(manifest)) and receipt["next_attempt"] is None and receipt)
        assert attnwatch("accept", video_of(manifest)).returncode == 0
        wait_until(lambda: (read_receipt(manifest) or {}).get("status") == "rendered")


def test_in_an_archive_it_is_recorded_below_out(manifest, tmp_path, capsys):
    root, out = manifest.parents[3], tmp_path / "out"
    longer(video_of(manifest))
    assert attnwatch(root, "--once", "--out", out).returncode == 1
    before = sorted(root.rglob("*"))
    assert called(capsys, "accept", manifest, "--out", out, "--root", root)[0] == 0
    assert sorted(root.rglob("*")) == before
    assert attnwatch(root, "--once", "--out", out).returncode == 0
    assert [path.name for path in out.rglob("*.accepted.json")] == [acceptance_of(manifest).name]


def test_collections_are_made_too(manifest, capsys):
    batch = manifest.parents[2]
    longer(video_of(manifest))
    assert attnwatch("collect", batch).returncode == 1
    called(capsys, "accept", manifest)
    assert attnwatch("collect", batch).returncode == 0
    assert len(decode(batch / "attention_videos" / f"{ID}_kiss_overlay.mp4")) > 1


def test_what_is_as_listed_needs_no_acceptance(manifest, capsys):
    code, out, _ = called(capsys, "accept", video_of(manifest))
    assert (code, out) == (0, f"{ID}: nothing to accept: all files are as the manifest lists them\n")
    assert not acceptance_of(manifest).exists()


def test_without_a_list_there_is_nothing_to_accept(batch, capsys):
    code, out, _ = called(capsys, "accept", batch.add())
    assert (code, out) == (1, f"{ID}: its manifest lists no sizes and digests, so any file is right\n")


def test_a_folder_is_not_a_video(manifest, capsys):
    assert called(capsys, "accept", manifest.parent)[0] == 2


@pytest.mark.parametrize(
    "content",
    [
        "{",
        {"files": {}},
        {"format": "attnwatch/2"},
        {"video_id": "another"},
        {"manifest_sha256": "0" * 64},
        {"files": {"video_001.mp4": {"bytes": -1, "sha256": ""}}},
        "x" * (5 * 2**20),
    ],
    ids=lambda content: str(content)[:40],
)
def test_a_document_that_is_not_about_these_files_accepts_nothing(manifest, capsys, content):
    longer(video_of(manifest))
    called(capsys, "accept", manifest)
    path = acceptance_of(manifest)
    if isinstance(content, dict):
        write_json(path, {**json.loads(path.read_text()), **content})
    else:
        path.write_text(content)
    assert called(capsys, "check", manifest)[0] == 1
    assert called(capsys, "accept", manifest)[0] == 0
    assert called(capsys, "check", manifest)[0] == 0


def test_a_link_accepts_nothing(manifest, tmp_path, capsys):
    longer(video_of(manifest))
    called(capsys, "accept", manifest)
    acceptance_of(manifest).rename(tmp_path / "elsewhere.json")
    acceptance_of(manifest).symlink_to(tmp_path / "elsewhere.json")
    assert called(capsys, "check", manifest)[0] == 1
