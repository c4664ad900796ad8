from pathlib import Path

import pytest

from attnwatch.batches.legacy.layouts import old_video, old_video_around, old_videos_in
from attnwatch.batches.videos import home_of


@pytest.mark.parametrize(
    ("path", "layout", "prompt", "number", "coordinates"),
    [
        ("b/attention_maps/prompt_000/vid001", 1, "prompt_000", "001", None),
        ("b/attention_maps/prompt_012/vid_3", 1, "prompt_012", "3", None),
        ("b/attention_maps/prompt_000_vid001", 2, "prompt_000", "001", None),
        ("b/attention_maps/prompt_000/p000_b001_s012", 3, "prompt_000", None, (0, 1, 12)),
        ("b/attention_maps/prompt_001_vid_001", 4, "prompt_001", "001", None),
        ("attention_maps/prompt_000_vid001", 2, "prompt_000", "001", None),
    ],
)
def test_the_tensors_of_a_video_are_recognized_by_the_name_of_their_folder(path, layout, prompt, number, coordinates):
    old = old_video(Path(path))
    assert (old.layout, old.prompt, old.number, old.coordinates) == (layout, prompt, number, coordinates)
    assert old.batch == Path(path.partition("attention_maps")[0] or ".")
    assert home_of(Path(path)) == old.batch


@pytest.mark.parametrize(
    "path",
    [
        "b/attention_maps",
        "b/attention_maps/prompt_000",
        "b/attention_maps/vid001",
        "b/attention_maps/prompt_000/other",
        "b/attention_maps/prompt_000/vid001/token_kiss",
        "b/videos/prompt_000/vid001",
        "prompt_000_vid001",
        "",
    ],
)
def test_other_folders_are_not_tensor_folders(path):
    assert old_video(Path(path)) is None


@pytest.mark.parametrize("below", ["", "summary.json", "token_kiss", "token_kiss/step_000.npy"])
def test_everything_inside_a_tensor_folder_belongs_to_its_video(below):
    tensors = Path("/o/b/attention_maps/prompt_000/vid001")
    assert old_video_around(tensors / below).tensors == tensors
    assert old_video_around(Path("/o/b/attention_maps/prompt_000") / below) is None


def test_the_home_of_a_manifest_is_its_folder_even_inside_attention_maps():
    assert home_of(Path("b/attention_maps/prompt_000_vid001.complete.json")) == Path("b/attention_maps")


def test_the_videos_of_a_batch_are_yielded_in_order_of_name(tmp_path):
    names = ["prompt_000/vid002", "prompt_000/vid010", "prompt_001/p001_b000_s000", "prompt_002_vid001"]
    for name in [*reversed(names), "other/vid001", "prompt_001/notes"]:
        (tmp_path / "attention_maps" / name).mkdir(parents=True)
    (tmp_path / "attention_maps/prompt_003_vid001").touch()
    found = [str(old.tensors.relative_to(tmp_path / "attention_maps")) for old in old_videos_in(tmp_path)]
    assert found == names


def test_a_batch_without_tensors_has_no_older_videos(tmp_path):
    assert list(old_videos_in(tmp_path)) == []
