"""Writing videos from scripts so that the watcher finds them."""

import json

import numpy as np
import pytest
from PIL import Image

from attnwatch.cli.check import check
from attnwatch.contract.manifest import read_manifest
from attnwatch.tensors.reader import AttentionReader
from generator.errors import VideoError
from generator.outputs.video import write_video
from tests.support import decode

FRAMES = np.linspace(0, 1, 5 * 32 * 48 * 3, dtype=np.float32).reshape(5, 32, 48, 3)
MAPS = np.random.default_rng(0).random((3, 1, 1, 2, 4, 6)).astype(np.float16)


def convert8(frames):
    return (frames * 255).round().astype(np.uint8)


def read(path):
    return json.loads(path.read_text())


def problems(path):
    return [problem for _, found in check(path) for problem in found]


def test_a_video_with_maps_passes_attnwatch_check(tmp_path):
    path = tmp_path / "outputs/mine/videos/prompt_001/video_001.mp4"
    maps = {"a red rose": MAPS, "Kiss": MAPS.astype(np.float32)}
    manifest = write_video(
        path, FRAMES, fps=8, attention=maps, generation={"prompt": "x"}, visualization={"colormap": "viridis"}
    )
    assert manifest == path.with_name("video_001.complete.json")
    assert problems(tmp_path) == []
    document = read(manifest)
    assert document["attention"] == ["attention_maps/vid001.safetensors"]
    assert document["tokens"] == [{"slug": "a_red_rose", "text": "a red rose"}, {"slug": "Kiss", "text": "Kiss"}]
    assert document["generation"] == {"width": 48, "height": 32, "frames": 5, "fps": 8, "prompt": "x"}
    assert document["visualization"] == {"colormap": "viridis"}
    with AttentionReader(read_manifest(manifest)) as attention:
        assert attention.words["a_red_rose"].shape == MAPS.shape


def test_a_video_without_attention_passes_attnwatch_check(tmp_path):
    manifest = write_video(tmp_path / "clip.mp4", FRAMES, fps=8, video_id="mine")
    assert manifest.name == "clip.complete.json"
    assert read(manifest)["video_id"] == "mine"
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    "convert",
    [convert8, list, lambda frames: [Image.fromarray(frame) for frame in convert8(frames)]],
    ids=["8 bit", "a list", "pictures"],
)
def test_frames_may_have_any_form_that_pipelines_return(tmp_path, convert):
    write_video(tmp_path / "a.mp4", FRAMES, fps=8)
    write_video(tmp_path / "b.mp4", convert(FRAMES), fps=8)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert len(decode(tmp_path / "b.mp4")) == 5


def test_a_video_that_is_being_rewritten_is_incomplete(tmp_path):
    manifest = write_video(tmp_path / "a.mp4", FRAMES, fps=8)
    with pytest.raises(VideoError):
        write_video(tmp_path / "a.mp4", FRAMES * np.nan, fps=8)
    assert not manifest.exists()


@pytest.mark.parametrize("shape", [(1, 5, 32, 48, 3), (5, 3, 32, 48), (5, 31, 48, 3), (32, 48, 3)])
def test_frames_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(
        VideoError, match=r"frames: found an array of shape .*; expected one video \[frame, height, width, 3\]"
    ):
        write_video(tmp_path / "a.mp4", np.zeros(shape), fps=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fps": 0.0}, r"fps: found 0\.0; expected frames per second above 0"),
        ({"fps": float("nan")}, "fps: found nan"),
        ({"fps": 1001}, "at most 1000"),
        ({"video_id": "a/b"}, "video_id: found 'a/b'; expected a name of 1 to 120 bytes without `/`"),
        ({"video_id": ""}, "video_id: found ''"),
        ({"video_id": "x" * 121}, "1 to 120 bytes"),
        ({"generation": {"seed": "1"}}, "generation.seed: found '1'; expected a valid integer"),
        ({"generation": {"choices": "red"}}, "generation.choices: found 'red'; expected a valid list"),
        ({"generation": {"versions": {"torch": 2}}}, "generation.versions.torch: found 2; expected a valid string"),
        ({"generation": {"mine": np.int64(1)}}, "generation.mine: found .*, which JSON cannot hold"),
        ({"generation": {"loss": float("nan")}}, "generation.loss: found nan, which JSON cannot hold"),
        ({"visualization": {"vmin": float("inf")}}, "visualization.vmin: found inf, which JSON cannot hold"),
        ({"attention": {"kiss": MAPS[:, :0]}}, "attention to 'kiss': found float16 of shape .*; expected float16 or"),
        ({"attention": {"kiss": -MAPS}}, "attention to 'kiss': found values from -.* expected probabilities"),
        ({"attention": {"kiss": MAPS * np.nan}}, "attention to 'kiss': found values from nan to nan"),
        ({"attention": {"kiss": MAPS, "dog": MAPS[..., :1]}}, "attention: found the grids .* of 'kiss', .* of 'dog'"),
        ({"attention": dict.fromkeys(map(str, range(1001)), MAPS)}, "attention: found 1,001 words; expected at most"),
    ],
)
def test_values_that_the_watcher_would_refuse_are_refused_before_writing(tmp_path, given, message):
    with pytest.raises(VideoError, match=message):
        write_video(tmp_path / "a.mp4", FRAMES, **({"fps": 8} | given))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("maps", [MAPS[0], MAPS.astype(np.float64)])
def test_maps_of_another_shape_or_type_are_refused(tmp_path, maps):
    with pytest.raises(VideoError, match=r"attention to 'kiss': found float.* expected float16 or float32"):
        write_video(tmp_path / "a.mp4", FRAMES, fps=8, attention={"kiss": maps})
    assert not (tmp_path / "a.complete.json").exists()


def test_maps_of_no_word_are_no_attention(tmp_path):
    manifest = write_video(tmp_path / "a.mp4", FRAMES, fps=8, attention={})
    assert (read(manifest)["attention"], read(manifest)["tokens"]) == ([], [])
    assert problems(tmp_path) == []
