"""Calls `attnwatch export`."""

import pytest

from tests.exported import document, exr, files
from tests.legacy_support import LAYOUTS, OldBatch
from tests.support import Batch, called, write_receipt


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Batch.make(tmp_path / "outputs")


def test_a_batch_that_was_never_rendered_is_exported_by_its_name(batch, capsys):
    first, _ = batch.add_full(1, words=("kiss", "dog")), batch.add_full(2)
    code, out, err = called(capsys, "export", "demo", "--grid")
    assert (code, err) == (0, "")
    beside = first.parent / "attention_videos" / "export"
    folders = [beside / f"prompt_001_vid00{number}_exr_grid" for number in (1, 2)]
    assert out.splitlines() == [
        f"prompt_001_vid001: 2 words, 3 latent frames of 8 x 6 pixels in {folders[0]}",
        f"prompt_001_vid002: 1 word, 3 latent frames of 8 x 6 pixels in {folders[1]}",
        "2 videos exported",
    ]
    assert [document(folder)["seed"] for folder in folders] == [42, 43]


def test_options_choose_words_format_folder_number_and_settings(batch, capsys):
    video = batch.add_full(words=("kiss", "dog")).with_name("video_001.mp4")
    options = ("--words=dog", "-f", "png16", "-o", "comp", "--first-number=1001", "--set", "vmax=0.5", "-j", "1")
    code, out, _ = called(capsys, "export", video, *options)
    assert (code, out) == (
        0,
        "prompt_001_vid001: 1 word, 9 frames of 64 x 48 pixels in comp/prompt_001_vid001_png16\n1 video exported\n",
    )
    folder = batch.folder.parents[1] / "comp" / "prompt_001_vid001_png16"
    assert [files(folder)[0].name, len(files(folder))] == ["prompt_001_vid001_dog.1001.png", 9]
    assert document(folder)["words"][0]["high"] == 0.5


def test_what_was_done_differently_is_told_below_the_video(batch, capsys):
    batch.add(source=False)
    out = called(capsys, "export", "demo", "--grid")[1]
    assert "\n       the video video_001.mp4 is absent: size and times are as its manifest says\n" in out


def test_a_video_that_cannot_be_exported_does_not_keep_the_others_from_it(batch, capsys):
    batch.add_full(1)
    batch.add_full(2, words=("dog",))
    code, out, _ = called(capsys, "export", "demo", "--grid", "--words", "dog")
    assert code == 1
    assert "prompt_001_vid001: not exported: found no word 'dog'; expected one of: kiss\n" in out
    assert "prompt_001_vid002: 1 word, 3 latent frames" in out
    assert out.endswith("1 video exported, 1 not\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: found no video; expected at least one; for example: attnwatch export video_001.mp4"),
        (["nowhere.mp4"], "error: found nothing at nowhere.mp4"),
        (["outputs"], "error: found no finished video at outputs; expected"),
        (["outputs", "--format", "tiff"], "tiff"),
        (["outputs", "--first-number", "-1"], "--first-number"),
        (["outputs", "--set", "vmax=a"], "vmax"),
        (["outputs", "--set", "threshold=0.2"], "error: --set: found 'threshold', which has no effect on exports;"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_exported(batch, capsys, arguments, said):
    code, out, err = called(capsys, "export", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_older_batches_are_exported_where_they_are_and_their_exports_are_not_taken_for_videos(tmp_path, capsys, layout):
    old = OldBatch(tmp_path / "old", layout)
    old.add(words=("kiss", "dog"))
    for kind in (["--grid"], ["--format=prores4444", "--words=kiss"]):
        code, out, err = called(capsys, "export", old.video(), *kind)
        assert (code, err) == (0, ""), out
    folder = old.outputs() / "export" / f"{old.video_id()}_exr_grid"
    assert exr(files(folder)[0]).shape == (3, 6, 8)
    before = called(capsys, "status", old.folder)[1]
    assert (
        called(capsys, "export", old.video(), "--format=prores4444", "--words=kiss", "-o", old.folder / "comp")[0] == 0
    )
    assert called(capsys, "status", old.folder)[1] == before
    assert "1 finished video" in before


def test_receipts_and_outputs_stay_as_they_are(batch, capsys):
    manifest = batch.add_full()
    place = write_receipt(manifest)
    before = place.path.read_bytes()
    assert called(capsys, "export", manifest, "--grid")[0] == 0
    assert place.path.read_bytes() == before
    assert called(capsys, "export", manifest, "--grid", "--format", "prores4444")[0] == 1
