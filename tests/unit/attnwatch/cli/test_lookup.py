"""Paths on the command line; `test_app.py` and `test_commands.py` test the rest."""

import os
import re
from pathlib import Path

import pytest
from cyclopts import Token

from attnwatch.cli.flags import GIVEN
from attnwatch.cli.lookup import folder, root_of, single_video, to_watch, videos
from attnwatch.errors import ConfigError
from tests.legacy_support import OldBatch
from tests.support import BATCH, Batch, closed_folder


@pytest.mark.parametrize("resolve", [root_of, folder])
@pytest.mark.parametrize("path", ["/", "/tmp/..", "link"])
def test_the_whole_file_system_is_refused(resolve, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("/")
    with pytest.raises(ConfigError, match="the whole file system"):
        resolve(Path(path))


def test_a_path_stays_as_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    Path("link").symlink_to("outputs")
    assert root_of(Path("link")) == folder(Path("link")) == tmp_path / "link"


def watched(text, *, waits=False, now=None):
    """Resolve a folder as the command line does."""
    given = GIVEN.converter(Path, [Token(value=text)])
    return to_watch(given, ["status", "completion"], waits=waits, now=now)


@pytest.mark.parametrize("text", ["later/", "./later", "a/later", "/nowhere/later", "outputs", "outputs/"])
def test_a_folder_given_with_a_slash_and_the_usual_one_are_waited_for(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert watched(text) == Path.cwd() / text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("stauts", "did you mean `attnwatch status`? `attnwatch stauts/` waits"),
        ("completions", "did you mean `attnwatch completion`? "),
        ("version", "did you mean `attnwatch --version`? "),
        ("help", "did you mean `attnwatch --help`? "),
        ("renders", "expected a folder or a command; `attnwatch renders/` waits for a folder that does not exist yet"),
    ],
)
def test_a_single_word_that_does_not_exist_is_an_error_unless_asked_to_wait(text, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        watched(text)
    assert hint in str(caught.value)
    assert watched(text, waits=True) == tmp_path / text
    Path(text).mkdir()
    assert watched(text) == tmp_path / text


def test_a_folder_of_a_similar_name_is_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("renderings").mkdir()
    Path("renderings.yaml").touch()
    with pytest.raises(ConfigError, match=r"did you mean `attnwatch renderings/`\?"):
        watched("rendering")
    for text in ("rendering", f"{tmp_path}/renderigs/"):
        with pytest.raises(ConfigError, match=r"with --once; did you mean .*renderings/\?$"):
            watched(text, now="--once")


@pytest.mark.parametrize("text", ["later/", "outputs", "later"])
def test_nothing_is_waited_for_where_a_flag_says_not_to_wait(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"found nothing at .*, with --once; check the path"):
        watched(text, waits=True, now="--once")


def test_a_picture_that_was_rendered_is_not_taken_for_a_video_without_its_manifest(tmp_path):
    rendered = tmp_path / "attention_videos" / "prompt_001_vid001_kiss_overlay.mp4"
    rendered.parent.mkdir()
    rendered.touch()
    with pytest.raises(ConfigError, match=r"overlay\.mp4, which was rendered; expected the video that it shows"):
        root_of(rendered)


def test_a_video_stands_for_its_manifest(tmp_path):
    video, manifest = tmp_path / "v.mp4", tmp_path / "v.complete.json"
    video.touch()
    with pytest.raises(ConfigError, match=r"found no manifest for .*expected v\.complete.json beside it"):
        watched(str(video), now="--once")
    manifest.touch()
    assert watched(str(video), now="--once") == watched(str(video)) == manifest


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batch = Batch.make(Path("outputs"))
    for prompt in (1, 2):
        for number in (1, 2):
            batch.add(number, prompt=prompt)
    return batch


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"outputs/{BATCH}/videos/prompt_001/video_001.mp4", ["prompt_001/video_001"]),
        (f"outputs/{BATCH}/videos/prompt_001/video_001.complete.json", ["prompt_001/video_001"]),
        (f"outputs/{BATCH}/videos/prompt_002", ["prompt_002/video_001", "prompt_002/video_002"]),
        ("demo/*_vid002", ["prompt_001/video_002", "prompt_002/video_002"]),
        ("demo/prompt_002_vid001", ["prompt_002/video_001"]),
        (f"outputs/{BATCH}/*1_*1", ["prompt_001/video_001"]),
    ],
    ids=["video", "manifest", "folder", "pattern in a batch", "name in a batch", "pattern in a folder"],
)
def test_videos_are_named_by_path_by_batch_or_by_a_pattern_of_their_names(path, found, outputs):
    expected = [outputs.folder.absolute() / "videos" / f"{name}.complete.json" for name in found]
    assert videos(Path(path)) == expected


def test_a_batch_is_all_of_its_videos(outputs):
    assert videos(Path("demo")) == videos(outputs.folder) == sorted(outputs.folder.absolute().rglob("*.complete.json"))


def test_the_newest_batch_of_a_name_in_a_folder_is_meant_before_a_video_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for stamp in ("20250601_120000", "20250602_120000"):
        Batch.make(tmp_path / "elsewhere", name=f"demo_{stamp}").add(1)
    assert [path.parts[-4] for path in videos(Path("elsewhere/demo"))] == ["demo_20250602_120000"]
    assert single_video(Path("elsewhere/demo")) == videos(Path("elsewhere/demo"))[0]


def test_videos_of_older_batches_are_named_in_the_same_way(tmp_path):
    old = OldBatch(tmp_path / "old")
    tensors = [old.add(number) for number in (1, 2)]
    assert videos(old.folder) == tensors
    assert videos(old.video(2)) == tensors[1:]
    assert videos(old.folder / "*_vid001") == tensors[:1]


def test_a_name_with_characters_of_patterns_is_a_name_first(outputs):
    named = outputs.add(3, video_id="a[1]")
    outputs.add(4, video_id="a1")
    assert videos(Path("demo/a[1]")) == [named.absolute()]


@pytest.mark.parametrize(
    "path", ["demo/nothing", f"outputs/{BATCH}/x*", "empty", "nowhere", "nowhere/*", 300 * "a", f"{300 * 'a'}/b"]
)
def test_what_stands_for_no_video_is_refused(path, outputs):
    Path("empty").mkdir()
    with pytest.raises(ConfigError, match=r"found (no finished video|nothing) at .*; expected "):
        videos(Path(path))


@pytest.mark.parametrize("path", ["demo", "demo/prompt_001_*"])
def test_where_one_video_is_wanted_several_are_refused_with_the_name_of_one(path, outputs):
    with pytest.raises(ConfigError, match=rf"found \d videos in {re.escape(path)}, such as .*; expected one") as caught:
        single_video(Path(path))
    _, _, named = str(caught.value).partition("name it, as in ")
    assert single_video(Path(named)) == videos(Path("demo"))[0]


def test_where_no_video_is_found_because_a_folder_is_closed_this_is_said():
    with closed_folder() as folder, pytest.raises(ConfigError, match=rf"; user .* cannot read {folder}$"):
        videos(folder)


def test_where_videos_have_no_manifests_this_is_said(tmp_path):
    film = tmp_path / "film.mp4"
    film.touch()
    os.utime(film, (1, 1))
    with pytest.raises(ConfigError, match=r"; 1 video has no manifest, and so no attention to render: .*film.mp4$"):
        videos(tmp_path)
    with pytest.raises(ConfigError, match=r"film\.complete\.json beside it, .*; this cannot be had"):
        videos(film)
