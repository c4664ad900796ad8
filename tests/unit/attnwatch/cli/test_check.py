import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from attnwatch.cli.check import check
from tests.odd_videos import turn, write_trimmed_video
from tests.support import (
    GRID,
    Batch,
    blob_maps,
    environment,
    file_record,
    write_json,
    write_manifest,
    write_receipt,
    write_source_video,
)

COMPLETE = {
    "format": "attnwatch/1",
    "status": "complete",
    "finished": "2026-01-02T03:04:05+01:00",
    "counts": {"expected": 1, "complete": 1, "failed": 0},
}
BATCH_JSON = {
    "format": "attnwatch/1",
    "batch": "demo_20260102_030405",
    "created": "2026-01-02T03:04:05+01:00",
    "template": "a (kiss)",
    "variations": [{"prompt_id": "prompt_001", "prompt": "a kiss"}],
    "videos": [
        {
            "video_id": "prompt_001_vid001",
            "prompt_id": "prompt_001",
            "seed": 42,
            "manifest": "videos/prompt_001/video_001.complete.json",
        }
    ],
}

GRID_FIELDS = {"frames": 3, "height": 6, "width": 8, "temporal_stride": 4, "causal_first_frame": True}  # 9 frames


# Root reads everything, unless it gives up the capabilities for that.
_WITHOUT_CAPABILITIES = [f"--{which}=-dac_override,-dac_read_search" for which in ("bounding-set", "inh-caps")]
CAN_DROP_RIGHTS = (
    [] if os.geteuid() else ["setpriv", *_WITHOUT_CAPABILITIES] if shutil.which("setpriv") is not None else None
)


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def problems(path):
    """Return all problems at or below a path; each says file, field, found, expected and remedy, or what to do."""
    return [problem for _, found in check(path) for problem in found]


def problem(path):
    (only,) = problems(path)
    return only


def test_a_valid_batch_has_no_problems(batch):
    write_json(batch.folder / "batch.json", BATCH_JSON)
    manifests = [batch.add(1), batch.add_full(2, words=("kiss", "dog"))]
    write_json(batch.folder / "batch.complete.json", COMPLETE)
    documents = dict(check(batch.folder))
    assert set(documents) == {*manifests, batch.folder / "batch.json", batch.folder / "batch.complete.json"}
    assert problems(batch.folder) == []


def test_a_manifest_can_be_checked_alone(batch):
    right, wrong = batch.add(1), batch.add(2, format="attnwatch/2")
    assert problems(right) == []
    assert len(problems(wrong)) == 1


@pytest.mark.parametrize("name", ["batch.json", "batch.complete.json"])
def test_a_document_of_a_batch_can_be_checked_alone(batch, name):
    path = write_json(batch.folder / name, {"format": "attnwatch/1"})
    assert len(problems(path)) >= 3
    assert all(found.startswith(f"{path}: ") for found in problems(path))


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("batch.json", {**BATCH_JSON, "videos": {}}, "videos"),
        ("batch.json", {**BATCH_JSON, "variations": [{"prompt_id": 1, "prompt": "a"}]}, "variations[0].prompt_id"),
        (
            "batch.json",
            {**BATCH_JSON, "videos": [{**BATCH_JSON["videos"][0], "manifest": "../x"}]},
            "videos[0].manifest",
        ),
        ("batch.complete.json", {**COMPLETE, "status": "done"}, "status"),
        ("batch.complete.json", {**COMPLETE, "counts": {"expected": 1, "complete": 1}}, "counts.failed"),
        ("batch.complete.json", {**COMPLETE, "counts": {**COMPLETE["counts"], "failed": -1}}, "counts.failed"),
        ("batch.complete.json", [], "the file itself"),
        ("video_002.failed.json", {"format": "attnwatch/1", "video_id": "a", "attempts": 2}, "attempts"),
    ],
)
def test_a_wrong_document_of_a_batch_is_reported(batch, name, content, field):
    path = write_json(batch.folder / name, content)
    assert f"{path}: {field}: found" in problem(batch.folder)


def test_hidden_files_are_not_checked(batch):
    batch.add()
    shutil.copytree(batch.folder, batch.folder.parent / ".unfinished")
    write_json(batch.folder.parent / ".unfinished" / "batch.json", [])
    write_manifest(batch.folder.parent / ".unfinished" / "v.complete.json", video=5)
    assert problems(batch.folder.parent) == []


def test_a_malformed_manifest_is_reported_field_by_field(batch):
    path = batch.add_full(grid={"frames": 3, "height": 0}, tokens=[{"slug": "kiss"}])
    found = problems(batch.folder)
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in found] == [
        "tokens[0].text",
        "grid.height",
        "grid.width",
    ]


def test_a_refused_path_is_reported(batch):
    batch.add(video="../video_001.mp4")
    assert "video: found '../video_001.mp4'; expected the path of a file inside" in problem(batch.folder)


def test_every_wrong_setting_is_a_problem_of_its_own(batch):
    batch.add(visualization={"overlay_alpha": 7, "fps": 0})
    found = problems(batch.folder)
    assert len(found) == 2
    assert "visualization.overlay_alpha: found 7; expected a number from 0 to 1" in found[0]
    assert "visualization.fps: found 0; expected a number from 0.1 to 240, or null" in found[1]


def test_a_missing_tensor_file_is_reported(batch):
    path = batch.add()
    (path.parent / "attention_maps" / "vid001.safetensors").unlink()
    found = problems(batch.folder)
    assert any("vid001.safetensors is not there yet" in line for line in found)


def test_a_file_that_is_missing_is_reported_once(batch):
    path = batch.add()
    (path.parent / "attention_maps" / "vid001.safetensors").unlink()
    assert "vid001.safetensors is not there yet" in problem(batch.folder)


@pytest.mark.skipif(CAN_DROP_RIGHTS is None, reason="needs setpriv, or a user other than root")
@pytest.mark.parametrize("name", ["attention_maps/vid001.safetensors", "video_001.mp4"])
def test_a_file_that_may_not_be_read_is_reported_once_with_what_to_do(batch, name):
    file = batch.add().parent / name
    file.chmod(0)
    run = [*CAN_DROP_RIGHTS, sys.executable, "-m", "attnwatch", "check", str(batch.folder)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60, env=environment())
    (line,) = [line.strip() for line in done.stdout.splitlines() if "Permission denied" in line]
    assert line == (
        f"{file}: found a file that cannot be read (Permission denied); expected one that this user can read; "
        "allow it (chmod u+r, or setfacl)"
    )
    assert "No such file" not in done.stdout
    assert done.returncode == 1


def test_a_file_that_is_shorter_than_listed_is_reported(batch):
    path = batch.add_full()
    video = path.parent / "video_001.mp4"
    size = video.stat().st_size
    record = {"bytes": size + 1, "sha256": "0" * 64}
    batch.add(files={"video_001.mp4": record})
    assert f"has only {size:,} of {size + 1:,} bytes" in problem(batch.folder)


def test_a_changed_file_is_reported(batch):
    path = batch.add()
    record = file_record(path.parent / "video_001.mp4") | {"sha256": "0" * 64}
    batch.add(files={"video_001.mp4": record})
    assert "files['video_001.mp4']: found SHA-256" in problem(batch.folder)


def test_an_absent_video_is_not_a_problem(batch):
    batch.add(source=False)
    assert problems(batch.folder) == []


def test_a_truncated_video_is_reported(batch):
    path = batch.add(frames=30)
    video = path.parent / "video_001.mp4"
    data = bytearray(video.read_bytes())
    middle = data.index(b"mdat") + 200
    data[middle:] = b"\0" * (len(data) - middle)
    video.write_bytes(data)
    assert str(video) in problem(batch.folder)


def test_a_file_that_is_not_a_video_is_reported(batch):
    path = batch.add()
    (path.parent / "video_001.mp4").write_bytes(b"no video at all")
    assert "data that FFmpeg cannot read" in problem(batch.folder)


def test_wrong_tensors_are_reported(batch):
    batch.add(tensors={"kiss": blob_maps().astype(np.float64)})
    assert "tensor 'kiss': found element type F64; expected F16 or F32" in problem(batch.folder)


@pytest.mark.parametrize("others", [{}, {"kiss.aggregated": blob_maps()[0, 0, 0]}], ids=["alone", "aggregated"])
def test_a_value_that_is_not_a_probability_is_found_in_the_last_step(batch, others):
    maps = blob_maps(steps=3, layers=2, heads=2)
    maps[-1, -1, -1, -1, -1, -1] = np.nan
    batch.add(tensors={"kiss": maps, **others})
    assert "NaN or infinite values" in problem(batch.folder)


def test_nan_is_accepted_if_the_batch_asks_to_mask_it(batch):
    maps = blob_maps()
    maps[-1, -1, -1, -1, -1, -1] = np.nan
    batch.add(tensors={"kiss": maps}, visualization={"nonfinite": "mask"})
    assert problems(batch.folder) == []


def test_a_video_that_does_not_fit_into_the_memory_limit_is_found(batch, monkeypatch):
    batch.add()
    monkeypatch.setenv("ATTNWATCH_MEMORY_LIMIT", "50MB")
    assert "found more to hold than memory_limit" in problem(batch.folder)


def test_a_video_that_cannot_be_encoded_is_found(batch):
    manifest = batch.add(visualization={"fps": 0.1})
    write_source_video(manifest.with_name("video_001.mp4"), frames=2)
    assert problems(batch.folder) == []
    batch.add(2, source=False, generation={"width": 20_000, "height": 20_000, "frames": 1})
    (found,) = problems(batch.folder)
    assert "20000 x 20000 pixels" in found


def test_outputs_that_two_videos_share_are_found(batch):
    manifests = [batch.add(number, video_id=name) for number, name in ((1, "dog"), (2, "dog_red"))]
    places = [write_receipt(manifest) for manifest in manifests]
    assert problems(batch.folder) == []
    shared = places[0].read().outputs[0].model_copy(update={"file": "dog_red_kiss_overlay.mp4"})
    places[0].write(places[0].read().model_copy(update={"outputs": (shared,)}))
    found = problems(batch.folder)
    assert len(found) == 2
    assert all("dog_red_kiss_overlay.mp4, which the receipt of another video names too" in line for line in found)


def test_an_aggregated_map_is_checked(batch):
    aggregated = np.full(GRID, -1, np.float32)
    batch.add(tensors={"kiss": blob_maps(), "kiss.aggregated": aggregated})
    assert "tensor 'kiss.aggregated': found a negative value" in problem(batch.folder)


def test_a_tracked_word_without_a_tensor_is_reported(batch):
    batch.add(tokens=[{"slug": "flowers", "text": "flowers"}])
    assert "no tensor 'flowers'" in problem(batch.folder)


def test_a_grid_that_does_not_match_the_tensors_is_reported(batch):
    batch.add(grid={"frames": 5, "height": 6, "width": 8})
    assert "grid: found 5 x 6 x 8; expected 3 x 6 x 8" in problem(batch.folder)


@pytest.mark.parametrize(
    ("visualization", "said"),
    [
        ({"overlay_alpha": 7}, "visualization.overlay_alpha: found 7"),
        ({"colormap": "virdis"}, "viridis"),
        ({"glitter": 1}, "unknown setting 'glitter'"),
    ],
)
def test_settings_that_cannot_be_applied_are_reported(batch, visualization, said):
    path = batch.add(visualization=visualization)
    assert str(path) in problem(batch.folder)
    assert said in problem(batch.folder)


def test_two_videos_with_one_identifier_in_one_folder_are_reported(batch):
    batch.add(1, video_id="same")
    batch.add(2, video_id="same")
    batch.add(1, prompt=2, video_id="same")
    assert "video_id: found 'same', which video_001.complete.json has too" in problem(batch.folder)


def test_several_problems_of_one_video_are_reported_together(batch):
    path = batch.add(tensors={"kiss": blob_maps().astype(np.float64)}, visualization={"glitter": 1})
    (path.parent / "video_001.mp4").write_bytes(b"no video at all")
    assert len(problems(batch.folder)) == 3


def test_checking_writes_nothing(batch):
    batch.add(video="../x")
    before = sorted(batch.folder.rglob("*"))
    assert problems(batch.folder)
    assert sorted(batch.folder.rglob("*")) == before


@pytest.mark.parametrize("error", [ValueError("unknown codec: b'zz'"), KeyError("x"), MemoryError(), RecursionError()])
def test_what_no_one_foresaw_in_one_video_does_not_end_the_check(batch, monkeypatch, error):
    first, second = batch.add(1), batch.add(2, format="attnwatch/2")
    monkeypatch.setattr("attnwatch.cli.check.VideoSource", raising(error))
    found = dict(check(batch.folder))
    (problem,) = found[first]
    assert problem.startswith(f"{first}: found data that cannot be read ({type(error).__name__}: ")
    assert len(found[second]) == 1


def raising(error):
    def function(*inputs, **options):
        raise error

    return function


def test_a_video_with_another_number_of_frames_than_its_grid_covers(batch):
    manifest = batch.add(grid=GRID_FIELDS, generation={"frames": 9, "fps": 16.0})
    write_source_video(manifest.with_name("video_001.mp4"), frames=17, fps=32)
    assert problem(manifest) == (
        f"{manifest}: grid: found a grid that covers 9 frames; expected 17, as video_001.mp4 has; keep the video as it "
        "was generated; otherwise maps are placed by time, at 16 generated frames per second"
    )


def test_a_turned_video_is_a_problem_unless_the_batch_asks_to_turn_it(batch):
    plain, asked = batch.add(1), batch.add(2, visualization={"rotation": "apply"})
    for manifest in (plain, asked):
        turn(manifest.with_name(f"{manifest.name.split('.')[0]}.mp4"), (-1, 0, 0, -1))
    assert "turns the picture by 180 degrees" in problem(plain)
    assert problems(asked) == []


def test_hidden_frames_of_a_video_that_was_cut_do_not_count(batch):
    manifest = batch.add(grid=GRID_FIELDS)
    write_trimmed_video(manifest.with_name("video_001.mp4"), frames=20, hidden=11)  # 9 are shown
    assert problems(manifest) == []
