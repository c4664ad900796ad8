"""Receipts of attnwatch 0.1.0, committed as files, stay valid: over an untouched archive, nothing is rendered again."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attnwatch.batches.discover import find_videos
from attnwatch.batches.videos import read_video
from attnwatch.errors import ManifestError
from tests.support import Batch, attnwatch, environment, read_receipt, watching

ARCHIVES = Path(__file__).parent / "receipts_0.1.0"
OPTIONS = {
    "default": [],
    "collection": [],
    "tokens": ["--tokens", "kiss"],
    "settings": ["--set", "per_video_quality=fast", "--set", "overlay_alpha=1", "--set", "static_duration=1"],
}
EXIT_CODES = {"default": 1, "collection": 0, "tokens": 0, "settings": 0}
"""The archive `default` holds a refused manifest and a video that was given up."""

REFUSED = "refused_20260102_030405"
WITH_A_NEW_SETTING = """
from attnwatch import settings

class Visualization(settings.Visualization):
    border: int = 0

settings.Visualization = Visualization
settings.SETTING_NAMES += ("border",)

from attnwatch.__main__ import main
main()
"""


def copied(name, folder):
    """Copy an archive, and write the times of the copied files into the receipts, as git keeps no times."""
    archive = shutil.copytree(ARCHIVES / name, folder / name)
    stamps = {}
    for path in find_videos(archive):
        try:
            manifest = read_video(path)
        except ManifestError:
            assert REFUSED in path.parts
        else:
            stamps[manifest.video_id] = manifest.stamps()
    for path in receipts_in(archive):
        receipt = json.loads(path.read_text())
        for file, record in receipt["content"].items():
            stamp = stamps[receipt["video_id"]][file]
            record |= {"modified": stamp.modified, "changed": stamp.changed}
        path.write_text(json.dumps(receipt))
    return archive


def receipts_in(folder):
    return sorted(folder.rglob("*.rendered.json"))


def original(path, archive):
    """Return the folder of a copied file in the committed archive."""
    return ARCHIVES / archive.name / path.parent.relative_to(archive)


def visible_files(folder):
    """Return the bytes, inode and time of every file, except hidden ones and the receipt of the refused manifest.

    That receipt holds a digest of the error message, which names the folder and changes with its wording.
    """
    return {
        path: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not (REFUSED in path.parts and path.name.endswith(".rendered.json"))
    }


def run_with_a_new_setting(*arguments, **variables):
    """Run `attnwatch` as if a later version had added the picture setting `border`, 0 by default."""
    return subprocess.run(
        [sys.executable, "-c", WITH_A_NEW_SETTING, *map(str, arguments)],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def videos_to_render(run):
    """Return the number that a run announced."""
    return int(re.search(r"(\d+) videos? to render", run.stderr)[1])


def test_the_archives_hold_every_kind_of_receipt():
    receipts = [json.loads(path.read_text()) for path in receipts_in(ARCHIVES)]
    kinds = {(receipt["status"], len(receipt["attempts"]), receipt["next_attempt"] is not None) for receipt in receipts}
    assert kinds == {
        ("rendered", 1, False),
        ("skipped", 1, False),
        ("failed", 2, False),
        ("failed", 1, False),
        ("failed", 1, True),
    }
    assert {"batch_sha256" in receipt["settings"] for receipt in receipts} == {True, False}
    assert [receipt["settings"].get("tokens") for receipt in receipts].count(["kiss"]) == 1
    assert sum(path.stat().st_size for path in ARCHIVES.rglob("*") if path.is_file()) < 600_000


@pytest.mark.parametrize("run", [attnwatch, run_with_a_new_setting], ids=["this version", "with a new setting"])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_untouched_archive_of_0_1_0_is_not_rendered_again(name, run, tmp_path):
    archive = copied(name, tmp_path)
    before = visible_files(archive)
    done = run(archive, "--once", *OPTIONS[name])
    assert done.returncode == EXIT_CODES[name], done.stderr
    assert videos_to_render(done) == 0
    assert "✅" not in done.stderr
    assert visible_files(archive) == before


@pytest.mark.parametrize("name", ["tokens", "settings"])
def test_a_copy_with_new_file_times_is_verified_by_content_and_not_rendered_again(name, tmp_path):
    archive = shutil.copytree(ARCHIVES / name, tmp_path / name)
    before = {path: state for path, state in visible_files(archive).items() if path not in receipts_in(archive)}
    done = attnwatch(archive, "--once", *OPTIONS[name])
    assert done.returncode == 0, done.stderr
    assert before.items() <= visible_files(archive).items()
    for path in receipts_in(archive):
        then, now = (json.loads((folder / path.name).read_text()) for folder in (original(path, archive), path.parent))
        assert then["content"] != now["content"]
        assert {**then, "content": now["content"]} == now


@pytest.mark.parametrize(("name", "videos"), [("default", 4), ("collection", 1), ("tokens", 1), ("settings", 1)])
def test_a_setting_that_changes_pictures_makes_these_receipts_stale(name, videos, tmp_path):
    """Without this, the tests above would also pass if settings were not compared at all."""
    archive = copied(name, tmp_path)
    changed = attnwatch(archive, "--dry-run", *OPTIONS[name], "--set", "threshold=0.5")
    assert len(changed.stdout.splitlines()) == videos
    added = run_with_a_new_setting(archive, "--dry-run", *OPTIONS[name], ATTNWATCH_BORDER="3")
    assert added.stdout == changed.stdout


def test_a_refused_manifest_of_0_1_0_stays_refused(tmp_path):
    archive = copied("default", tmp_path)
    attnwatch(archive, "--once")
    (path,) = receipts_in(archive / REFUSED)
    receipt = json.loads(path.read_text())
    assert (receipt["status"], len(receipt["attempts"]), receipt["next_attempt"]) == ("failed", 1, None)


def test_a_failed_video_of_0_1_0_waits_for_its_next_attempt(tmp_path):
    """The receipt's `next_attempt` is long past, so the test sets it an hour ahead."""
    archive = copied("retry", tmp_path)
    (path,) = receipts_in(archive)
    receipt = json.loads(path.read_text())
    path.write_text(json.dumps({**receipt, "next_attempt": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}))
    before = visible_files(archive)
    finished = Batch(next(archive.iterdir())).add(2)
    with watching(archive, "--workers", "2", log=tmp_path / "log") as watcher:
        watcher.wait_for("✅ Generated attention video: prompt_001_vid002_kiss_static.mp4")
    assert read_receipt(finished)["status"] == "rendered"
    assert before.items() <= visible_files(archive).items()
    assert "vid001" not in watcher.log
