"""Collection at the end of a batch, with the watcher as a process."""

import json
import signal

import numpy as np
import pytest
from PIL import Image

from tests.support import Batch, attnwatch, blob_maps, decode, read_receipt, wait_until, watching, write_json

KINDS = ("attention", "overlay", "static")


@pytest.fixture
def batch(tmp_path):
    """Return a batch of two prompts with two videos each; the second prompt's attention is twice as strong."""
    batch = Batch.make(tmp_path / "outputs")
    for prompt in (1, 2):
        for video in (1, 2):
            generation = {"prompt": f"prompt number {prompt}"}
            tensors = {"kiss": blob_maps(peak=0.2 * prompt)}
            batch.add(video, prompt=prompt, tensors=tensors, generation=generation)
    return batch


def end(batch, status="complete"):
    counts = {"expected": 4, "complete": 4, "failed": 0}
    finished = "2026-01-02T03:04:05+00:00"
    document = {"format": "attnwatch/1", "status": status, "finished": finished, "counts": counts}
    return write_json(batch.folder / "batch.complete.json", document)


def collected(batch):
    return {path.name for path in (batch.folder / "attention_videos").glob("*.mp4")}


def names(prompts=(1, 2), videos=(1, 2)):
    return {
        f"prompt_{prompt:03d}_vid{video:03d}_kiss_{kind}.mp4"
        for prompt in prompts
        for video in videos
        for kind in KINDS
    }


def brightest_level(path):
    return max(int(frame.to_ndarray(format="gray").max()) for frame in decode(path))


def output(batch, prompt, kind="attention"):
    return batch.folder / "attention_videos" / f"prompt_{prompt:03d}_vid001_kiss_{kind}.mp4"


def test_nothing_is_collected_by_default(batch):
    end(batch)
    assert attnwatch(batch.folder, "--once").returncode == 0
    assert not (batch.folder / "attention_videos").exists()


def test_a_batch_that_ended_is_collected_with_a_contact_sheet(batch):
    end(batch)
    run = attnwatch(batch.folder, "--once", "--set", "auto_generate_videos=true")
    assert run.returncode == 0, run.stderr
    assert collected(batch) == names()
    sheet = np.asarray(Image.open(batch.folder / "attention_videos" / "contact_sheet_kiss.png").convert("RGB"))
    assert sheet.shape[1] > 1000
    assert "contact_sheet_kiss.png" in run.stderr


def test_identical_outputs_are_linked_instead_of_rendered_again(batch):
    end(batch)
    attnwatch(batch.folder, "--once")
    attnwatch(batch.folder, "--once", "--set", "auto_generate_videos=true")
    assert collected(batch) == names()
    for path in (batch.folder / "attention_videos").glob("*.mp4"):
        beside = next(batch.folder.glob(f"videos/*/attention_videos/{path.name}"))
        assert path.samefile(beside)


def test_a_backlog_is_rendered_once_and_linked(batch):
    end(batch)
    run = attnwatch(batch.folder, "--once", "--workers", "2", "--set", "auto_generate_videos=true")
    assert run.returncode == 0, run.stderr
    assert collected(batch) == names()
    assert all(path.stat().st_nlink == 2 for path in (batch.folder / "attention_videos").glob("*.mp4"))


def test_outputs_no_longer_requested_are_removed_from_the_collection(batch):
    end(batch)
    settings = ("--once", "--set", "auto_generate_videos=true")
    attnwatch(batch.folder, *settings)
    attnwatch(batch.folder, *settings, "--set", "generate_overlay=false")
    assert collected(batch) == {name for name in names() if "overlay" not in name}


def test_the_scale_of_an_unfinished_batch_covers_the_videos_so_far(batch):
    settings = ("--set", "normalization=batch", "--set", "colormap=gray")
    attnwatch("collect", batch.folder, *settings)
    before = json.loads((batch.folder / "attention_videos/prompt_001_vid001.rendered.json").read_text())
    batch.add(3, prompt=2, tensors={"kiss": blob_maps(peak=0.9)})
    run = attnwatch("collect", batch.folder, *settings)
    assert run.returncode == 0, run.stderr
    after = json.loads((batch.folder / "attention_videos/prompt_001_vid001.rendered.json").read_text())
    assert after["outputs"][0]["scale"][1] > 2 * before["outputs"][0]["scale"][1]


def test_the_folder_of_several_batches_is_not_collected_as_one(batch):
    write_json(batch.folder / "batch.json", {})
    run = attnwatch("collect", batch.folder.parent)
    assert run.returncode == 2
    assert "several batches" in run.stderr


def test_an_incomplete_video_does_not_delay_the_contact_sheets(batch):
    batch.add(9, prompt=1, attention=["attention_maps/missing.safetensors"])
    run = attnwatch("collect", batch.folder)
    assert run.returncode == 1
    assert (batch.folder / "attention_videos" / "contact_sheet_kiss.png").exists()


def test_the_collection_has_its_own_frame_rate_and_quality(batch):
    end(batch)
    settings = ("auto_generate_videos=true", "per_video_fps=4", "batch_fps=16", "batch_quality=high")
    run = attnwatch(batch.folder, "--once", *(word for setting in settings for word in ("--set", setting)))
    assert run.returncode == 0, run.stderr
    assert len(decode(output(batch, 1))) == 9
    beside = batch.prompt(1) / "attention_videos" / "prompt_001_vid001_kiss_attention.mp4"
    assert len(decode(beside)) == 3
    assert b"subme=8" in output(batch, 1).read_bytes()


def test_one_scale_for_the_whole_batch_makes_prompts_comparable(batch):
    end(batch)
    options = ("--once", "--set", "auto_generate_videos=true", "--set", "colormap=gray")
    brightness = {}
    for normalization in ("video", "batch"):
        run = attnwatch(batch.folder, *options, "--set", f"normalization={normalization}")
        assert run.returncode == 0, run.stderr
        brightness[normalization] = [brightest_level(output(batch, prompt)) for prompt in (1, 2)]
    assert brightness["video"] == pytest.approx([255, 255], abs=25)
    assert brightness["batch"][0] == pytest.approx(brightness["batch"][1] / 2, abs=15)


def test_the_scale_of_the_batch_is_in_every_receipt(batch):
    end(batch)
    attnwatch(batch.folder, "--once", "--set", "auto_generate_videos=true", "--set", "normalization=batch")
    scales = {
        tuple(out["scale"])
        for path in (batch.folder / "attention_videos").glob("*.rendered.json")
        for out in json.loads(path.read_text())["outputs"]
    }
    assert len(scales) == 1


def test_outputs_beside_the_videos_have_their_own_scale_and_a_note_about_the_batch_scale(batch):
    end(batch)
    run = attnwatch("render", batch.folder, "--set", "normalization=batch", "--set", "static_duration=0.2")
    assert run.returncode == 0, run.stderr
    weak, strong = (read_receipt(batch.prompt(prompt) / "video_001.complete.json") for prompt in (1, 2))
    assert weak["outputs"][0]["scale"] != strong["outputs"][0]["scale"]
    (note,) = weak["notes"]
    assert note == (
        "uses this video's own scale: only the collection of the batch, made by auto_generate_videos or "
        "`attnwatch collect` with the same settings, uses the batch's scale"
    )


def test_collect_also_takes_a_batch_that_has_not_ended(batch):
    run = attnwatch("collect", batch.folder)
    assert run.returncode == 0, run.stderr
    assert collected(batch) == names()
    assert not list(batch.folder.glob("videos/*/attention_videos"))
    again = attnwatch("collect", batch.folder)
    assert "Generated" not in again.stderr


def test_a_video_that_cannot_be_rendered_is_left_out_and_fails_the_run(batch):
    (batch.prompt(1) / "video_001.mp4").write_bytes(b"no video")
    run = attnwatch("collect", batch.folder, "--set", "settle_time=0")
    assert run.returncode == 1
    assert collected(batch) == names() - names(prompts=(1,), videos=(1,))


def test_the_watcher_collects_when_the_batch_ends(batch, tmp_path):
    arguments = (batch.folder.parent, "--set", "auto_generate_videos=true", "--set", "rescan_interval=600")
    with watching(*arguments, log=tmp_path / "log") as watcher:
        watcher.wait_for("prompt_002_vid002: 3 outputs")
        assert not collected(batch)
        end(batch, "interrupted")
        wait_until(lambda: collected(batch) == names(), about="the collection")
        watcher.wait_for("Generated contact sheet")
        assert watcher.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("name", ["videos/prompt_001", "videos/prompt_001/video_001.mp4"])
def test_naming_part_of_a_batch_makes_no_collection(batch, tmp_path, name):
    end(batch)
    for where in ((), ("--out", tmp_path / "out")):
        run = attnwatch("render", batch.folder / name, *where, "--set", "auto_generate_videos=true")
        assert run.returncode == 0, run.stderr
    assert not (batch.folder / "attention_videos").exists()
    assert (tmp_path / "out/attention_videos/prompt_001_vid001.rendered.json").exists()


def removed(batch):
    """Remove the videos and their tensors; return the content of every output."""
    for path in (*batch.folder.rglob("video_*.mp4"), *batch.folder.rglob("*.safetensors")):
        path.unlink()
    return {path: path.read_bytes() for path in batch.folder.rglob("attention_videos/*")}


def test_outputs_and_collection_stay_when_videos_and_tensors_are_removed(batch):
    end(batch)
    settings = ("--once", "--set", "auto_generate_videos=true", "--set", "normalization=batch")
    attnwatch(batch.folder, *settings)
    before = removed(batch)
    again = attnwatch(batch.folder, *settings)
    assert again.returncode == 0, again.stderr
    assert "0 videos to render, 4 up to date" in again.stderr
    assert json.loads(attnwatch("status", batch.folder, "--json").stdout)["videos"]["rendered"] == 4
    forced = attnwatch(batch.folder, *settings, "--force")
    assert forced.returncode == 1
    assert "the existing outputs are kept" in forced.stderr
    assert {path: path.read_bytes() for path in batch.folder.rglob("attention_videos/*")} == before


def test_the_overlay_of_a_removed_video_is_linked_into_the_collection(batch):
    attnwatch(batch.folder, "--once")
    for path in batch.folder.rglob("video_*.mp4"):
        path.unlink()
    run = attnwatch("collect", batch.folder, "--set", "settle_time=0")
    assert run.returncode == 0, run.stderr
    assert collected(batch) == names()


def test_a_resumed_batch_is_collected_again(batch):
    settings = ("--once", "--set", "auto_generate_videos=true", "--set", "normalization=batch")
    end(batch, "interrupted")
    attnwatch(batch.folder, *settings)
    sheet = batch.folder / "attention_videos" / "contact_sheet_kiss.png"
    before = sheet.stat().st_mtime_ns
    batch.add(1, prompt=3, tensors={"kiss": blob_maps(peak=0.9)})
    end(batch, "complete")
    run = attnwatch(batch.folder, *settings)
    assert run.returncode == 0, run.stderr
    assert collected(batch) == names() | names(prompts=(3,), videos=(1,))
    assert sheet.stat().st_mtime_ns > before


def test_deleting_contact_sheets_json_redraws_the_sheets(batch):
    end(batch)
    settings = ("--once", "--set", "auto_generate_videos=true")
    attnwatch(batch.folder, *settings)
    (batch.folder / "attention_videos" / "contact_sheets.json").unlink()
    run = attnwatch(batch.folder, *settings)
    assert "Generated contact sheet" in run.stderr
    assert "Generated attention video" not in run.stderr


def test_a_hybrid_batch_logs_each_file_once_and_collect_ends_with_a_summary(batch):
    end(batch)
    hybrid = ("--set", "auto_generate_videos=true", "--set", "static_duration=0.2")
    run = attnwatch(batch.folder, "--once", *hybrid)
    assert run.returncode == 0, run.stderr
    named = [line.rpartition(": ")[2] for line in run.stderr.splitlines() if "✅ Generated attention video: " in line]
    assert sorted(named) == sorted(names())
    assert run.stderr.count(f" linked in the collection of {batch.folder.name}") == 4
    again = attnwatch("collect", batch.folder, *hybrid)
    summary = "0 rendered, 0 linked, 4 up to date, 0 failed; 1 contact sheet: contact_sheet_kiss.png"
    assert again.stderr.splitlines()[-1].endswith(f"collected in {batch.folder}/attention_videos: {summary}")
