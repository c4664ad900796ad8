"""Complete batches in this process, with a tiny random model in place of the embedded one."""

import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
import zstandard
from rich.console import Console
from safetensors import safe_open
from safetensors.numpy import load as load_tensors
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnwatch.cli.check import check
from generator.batch.interrupt import Stopped
from generator.batch.leases import FOLDER, Leases
from generator.batch.make_video import make_video
from generator.batch.plan import plan_batch
from generator.batch.resumption import plan_resumption
from generator.batch.run import run
from generator.capture import cost, once
from generator.config import load_settings
from generator.errors import (
    CaptureError,
    ModelError,
    OutputError,
    PipelineError,
    ResumeError,
    SettingsError,
    TokenError,
    VideoError,
)
from generator.models import load as models
from generator.models import sources
from generator.outputs.files import fingerprint
from generator.settings import AttentionSettings, Settings, VideoSettings
from generator.tiny.networks import build_tokenizer as whole_words_tokenizer

TEMPLATE = "a romantic (kiss) between [(two men)|two women]"
SMALL = {"width": 64, "height": 48, "frames": 5, "steps": 3}


@pytest.fixture(autouse=True)
def _loaded(model, monkeypatch):
    monkeypatch.setattr(models, "load", lambda settings, given: model)


@pytest.fixture
def console():
    return Console(stderr=True, force_terminal=False)


@pytest.fixture
def make(tmp_path, console):
    """Run a batch and return its exit code and its folder."""

    def run_batch(template=TEMPLATE, attention=None, **settings):
        sampling = {**SMALL, **settings}
        plan = plan_batch(
            Settings(
                template=template,
                video=VideoSettings(**sampling),
                attention_analysis=attention or AttentionSettings(),
                output=str(tmp_path),
                batch_name="demo",
                visualization={"colormap": "hot"},
            )
        )
        code = run(plan, console)
        (folder,) = tmp_path.glob("demo_*")
        return code, folder

    run_batch.output = tmp_path
    return run_batch


def read(path):
    return json.loads(path.read_text())


def read_tensors(path):
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in list(file.keys())}, file.metadata()


def resume(folder, console, **flags):
    return run(plan_resumption(folder, load_settings(flags, {}, None)), console)


def visible(folder):
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.startswith("."))


def test_the_layout_of_a_batch(make):
    code, folder = make(videos_per_variation=2)
    assert code == 0
    per_prompt = ["attention_maps/vid001.safetensors", "attention_maps/vid002.safetensors", "prompt.txt"]
    per_prompt += ["video_001.complete.json", "video_001.mp4", "video_002.complete.json", "video_002.mp4"]
    assert visible(folder) == [
        "batch.complete.json",
        "batch.json",
        *(f"videos/prompt_{number:03}/{name}" for number in (1, 2) for name in per_prompt),
    ]
    assert (folder / "videos/prompt_002/prompt.txt").read_text() == "a romantic kiss between two women\n"


@pytest.fixture
def from_file(tmp_path, console):
    """Run a batch from a file of prompts, which is removed afterwards; return its folder."""

    def run_batch(text, name, **video):
        file = tmp_path / name
        file.write_text(text)
        output = tmp_path / "outputs"
        flags = {**SMALL, **video, "prompts": str(file), "output": str(output)}
        assert run(plan_batch(load_settings(flags, {}, None)), console) == 0
        file.unlink()
        (folder,) = output.iterdir()
        return folder

    return run_batch


def test_prompts_of_a_file_have_their_own_negative_prompts_seeds_and_names(from_file):
    text = "prompt,negative,seed,name\na [red|blue] (dog),sad,7,dog\na (cat),,,\n"
    folder = from_file(text, "prompts.csv", negative_prompt="old", seed=3)
    ids = ["dog_001", "dog_002", "prompt_003"]
    found = [read(folder / f"videos/{prompt}/video_001.complete.json") for prompt in ids]
    assert [manifest["video_id"] for manifest in found] == [f"{prompt}_vid001" for prompt in ids]
    described = [manifest["generation"] for manifest in found]
    assert [each["prompt_id"] for each in described] == ids
    assert [each["negative_prompt"] for each in described] == ["sad", "sad", "old"]
    assert [each["seed"] for each in described] == [7, 7, 3]
    assert [each["template"] for each in described] == ["a [red|blue] (dog)"] * 2 + ["a (cat)"]
    assert [each["variation"] for each in described] == [1, 2, 3]
    plan = read(folder / "batch.json")
    assert plan["template"] == "a [red|blue] (dog)\na (cat)"
    assert [each.get("negative_prompt") for each in plan["variations"]] == ["sad", "sad", None]
    assert [each["number"] for each in plan["variations"]] == [1, 2, 1]


def test_a_negative_prompt_of_one_prompt_changes_its_video(from_file):
    folder = from_file("prompt,negative\na (dog),sad\na (dog),\na (dog),sad\n", "prompts.csv")
    first, second, third = ((folder / f"videos/prompt_00{n}/video_001.mp4").read_bytes() for n in (1, 2, 3))
    assert first == third != second


def test_words_are_tracked_in_each_prompts_own_negative_prompt(from_file):
    text = "prompt,negative\na (dog),dark dark\na (dog),old\n"
    folder = from_file(text, "prompts.csv", track_negative=["dark", "old"])
    first, second = (read(folder / f"videos/prompt_00{number}/video_001.complete.json") for number in (1, 2))
    assert [(word["slug"], word["span"]) for word in first["negative_tokens"]] == [("dark", [0, 4]), ("dark_2", [5, 9])]
    assert [(word["slug"], word["span"]) for word in second["negative_tokens"]] == [("old", [0, 3])]
    tensors, _ = read_tensors(folder / "videos/prompt_001/attention_maps/vid001.safetensors")
    assert {name for name in tensors if "aggregated" not in name} == {"dog", "uncond/dark", "uncond/dark_2"}
    plan = read(folder / "batch.json")["variations"]
    assert [each["negative_tokens"] for each in plan] == [first["negative_tokens"], second["negative_tokens"]]


def test_a_word_that_is_in_no_negative_prompt_is_refused_before_anything_is_written(from_file, tmp_path):
    with pytest.raises(TokenError, match="track_negative: found no 'new' in the negative prompt 'dark' and 1 other\\."):
        from_file("prompt,negative\na (dog),dark\na (dog),old\n", "prompts.csv", track_negative=["new"])
    assert not (tmp_path / "outputs").exists()


def test_maps_by_position_in_the_unconditional_branch_alone_are_warned_of(make, caplog):
    _, folder = make(template="a (kiss)", attention=AttentionSettings(branch="uncond"))
    assert "no word of the negative prompt is tracked" in caplog.text
    assert read(folder / "videos/prompt_001/video_001.complete.json")["tokens"] == []


def test_a_video_whose_word_is_not_in_what_the_pipeline_encodes_fails_before_its_first_step(make, model, monkeypatch):
    encode = model.pipe.encode_prompt
    changing = lambda prompt, *others, **more: encode(prompt.replace("dog", "cat"), *others, **more)  # noqa: E731
    monkeypatch.setattr(model.pipe, "encode_prompt", changing)
    code, folder = make(template="a [(kiss)|(dog)]")
    assert code == 1
    assert (folder / "videos/prompt_001/video_001.complete.json").exists()
    (attempt,) = read(folder / "videos/prompt_002/video_001.failed.json")["attempts"]
    assert attempt["error"].startswith("CaptureError: tracked word 'dog': the pipeline encodes another text")


@pytest.mark.parametrize("video", [{}, {"sample": 2, "sample_seed": 1}])
def test_a_batch_from_a_file_is_resumed_without_the_file(from_file, console, video):
    folder = from_file('{"prompt": "a [red|blue|old] (dog)", "seed": 7}\n{"prompt": "a (cat)"}\n', "p.jsonl", **video)
    before = {path: path.read_bytes() for path in folder.rglob("video_001.mp4")}
    for manifest in folder.rglob("*.complete.json"):
        manifest.unlink()
    assert resume(folder, console) == 0
    assert {path: path.read_bytes() for path in folder.rglob("video_001.mp4")} == before


def test_a_file_that_is_given_again_on_resumption_must_hold_the_same_prompts(from_file, console, tmp_path):
    folder = from_file("a (dog)\na (cat)\n", "prompts.txt")
    (tmp_path / "moved.txt").write_text("a (dog)\n# a comment\na (cat)\n")
    assert resume(folder, console, prompts=str(tmp_path / "moved.txt")) == 0
    (tmp_path / "other.txt").write_text("a (dog)\na (fox)\n")
    with pytest.raises(ResumeError, match=r"other\.txt holds other prompts than those that batch_\w+ was started"):
        resume(folder, console, prompts=str(tmp_path / "other.txt"))


def test_many_prompts_are_tokenised_once_each_and_said_to_take_time(make, model, monkeypatch, caplog):
    texts = []

    def tokenise(text):
        texts.append(text)
        return type(model).tokenise(model, text)

    monkeypatch.setattr(model, "tokenise", tokenise)
    monkeypatch.setattr("generator.batch.progress.MANY", 3)
    caplog.set_level("INFO", "generator")
    make("a (red) (dog) [one|two|three]", steps=1)
    before_the_first_video = texts[:3]
    assert sorted(before_the_first_video) == ["a red dog one", "a red dog three", "a red dog two"]
    assert "locating the words of 3 prompts" in caplog.messages


@pytest.mark.parametrize(("template", "times"), [("a (dog)", 2), ("a dog", 0)])
def test_how_attention_videos_come_about_is_said_at_the_beginning_and_at_the_end(make, caplog, template, times):
    caplog.set_level("INFO", "generator")
    make(template, steps=1)
    assert caplog.messages.count(f"attention videos: attnwatch {make.output}/") == times
    if times:
        assert caplog.messages[-1].startswith("attention videos")


def test_syntax_of_other_tools_is_warned_of(make, caplog):
    make("a {red|blue} (dog)", steps=1)
    assert any("{red|blue} (write [red|blue])" in message for message in caplog.messages)


def test_weights_that_are_added_to_the_model_are_in_the_manifest_and_in_the_plan(make, tmp_path):
    lora = tmp_path / "lora.safetensors"
    lora.write_bytes(b"")
    added = {"lora": [f"{lora}:0.5", "user/name"], "embeddings": ["user/other:<toy>"]}
    plan = plan_batch(load_settings({**SMALL, **added, "template": "a (dog)", "output": str(tmp_path)}, {}, None))
    assert run(plan, Console(stderr=True, force_terminal=False)) == 0
    (folder,) = tmp_path.glob("batch_*")
    digest = sources.digest(lora)
    assert read(folder / "batch.json")["model_files"] == {str(lora): digest}
    found = read(folder / "videos/prompt_001/video_001.complete.json")["generation"]
    assert found["lora"] == [
        {"source": str(lora), "weight": 0.5, "digest": digest},
        {"source": "user/name", "weight": 1.0},
    ]
    assert found["embeddings"] == [{"source": "user/other", "token": "<toy>"}]


def test_a_manifest_describes_the_video_completely(make, model):
    _, folder = make()
    place = folder / "videos/prompt_001"
    manifest = read(place / "video_001.complete.json")
    assert manifest["format"] == "attnwatch/1"
    assert (manifest["video"], manifest["video_id"]) == ("video_001.mp4", "prompt_001_vid001")
    assert manifest["attention"] == ["attention_maps/vid001.safetensors"]
    assert manifest["files"] == {
        name: fingerprint(place / name) for name in ("video_001.mp4", "attention_maps/vid001.safetensors")
    }
    assert manifest["tokens"] == [
        {"slug": "kiss", "text": "kiss", "span": [11, 15], "positions": [2], "ids": [45], "slot": None},
        {"slug": "two_men", "text": "two men", "span": [24, 31], "positions": [4, 5], "ids": [23, 30], "slot": 1},
    ]
    assert manifest["grid"] == {
        "frames": 2,
        "height": 3,
        "width": 4,
        "temporal_stride": 4,
        "causal_first_frame": True,
    }
    assert [step["index"] for step in manifest["denoising"]] == [0, 1, 2]
    assert manifest["denoising"][0] == {
        "index": 0,
        "timestep": 999.0,
        "sigma": pytest.approx(1.0, abs=1e-5),
        "model": "transformer",
        "branch": "cond",
    }
    generation = manifest["generation"]
    assert {key: generation[key] for key in ("prompt", "template", "prompt_id", "variation", "choices", "seed")} == {
        "prompt": "a romantic kiss between two men",
        "template": TEMPLATE,
        "prompt_id": "prompt_001",
        "variation": 1,
        "choices": ["two men"],
        "seed": 42,
    }
    assert {key: generation[key] for key in SMALL} == SMALL
    assert (generation["model"], generation["model_revision"]) == ("tiny", model.revision)
    assert generation["capture"]["calls"] == generation["capture"]["expected_calls"] == 12
    assert manifest["visualization"] == {"colormap": "hot"}


def test_the_tensors_have_the_names_shapes_and_metadata_of_the_format(make):
    _, folder = make()
    path = folder / "videos/prompt_001/attention_maps/vid001.safetensors"
    tensors, metadata = read_tensors(path)
    assert {name: (tensor.shape, tensor.dtype.name) for name, tensor in tensors.items()} == {
        "kiss": ((3, 1, 1, 2, 3, 4), "float16"),
        "kiss.aggregated": ((2, 3, 4), "float32"),
        "two_men": ((3, 1, 1, 2, 3, 4), "float16"),
        "two_men.aggregated": ((2, 3, 4), "float32"),
    }
    mean = tensors["kiss"].astype(np.float64).mean((0, 1, 2))
    assert np.abs(tensors["kiss.aggregated"] - mean).max() < 1e-5
    assert mean.min() > 0
    assert metadata["format"] == "attnwatch/1"
    assert metadata["axes"] == "step,layer,head,frame,height,width"
    assert json.loads(metadata["steps"]) == [0, 1, 2]
    assert json.loads(metadata["grid"])["width"] == 4
    assert [word["slug"] for word in json.loads(metadata["tokens"])] == ["kiss", "two_men"]
    assert metadata["prompt"] == "a romantic kiss between two men"


@pytest.mark.parametrize(
    ("attention", "shapes"),
    [
        ({"store_attention": False}, {"kiss.aggregated": (2, 3, 4)}),
        ({"store_aggregated_attention": False}, {"kiss": (3, 1, 1, 2, 3, 4)}),
        ({"store_per_block": True, "store_per_head": True}, {"kiss": (3, 4, 4, 2, 3, 4), "kiss.aggregated": (2, 3, 4)}),
        ({"storage_interval": 2}, {"kiss": (2, 1, 1, 2, 3, 4), "kiss.aggregated": (2, 3, 4)}),
    ],
)
def test_the_stored_maps_follow_the_settings(make, attention, shapes):
    _, folder = make(template="a (kiss)", attention=AttentionSettings(**attention, storage_dtype="float32"))
    place = folder / "videos/prompt_001"
    tensors, metadata = read_tensors(place / "attention_maps/vid001.safetensors")
    assert {name: tensor.shape for name, tensor in tensors.items()} == shapes
    assert {tensor.dtype.name for tensor in tensors.values()} == {"float32"}
    stored = json.loads(metadata["steps"])
    assert [step["index"] for step in read(place / "video_001.complete.json")["denoising"]] == stored


def test_the_size_is_logged_before_the_first_video_and_is_exact(make, caplog):
    caplog.set_level("INFO", "generator")
    _, folder = make()
    lines = [message for message in caplog.messages if message.startswith(("attention: ", "video "))]
    kept = "2 words, 3 steps, the mean of layers, the mean of heads"
    assert lines[0] == f"attention: up to 480 B per video ({kept}), 720 B in total"
    tensors, _ = read_tensors(folder / "videos/prompt_001/attention_maps/vid001.safetensors")
    assert sum(tensor.nbytes for tensor in tensors.values()) == 480


def test_slow_capture_is_announced_before_the_first_video_with_its_cost(make, caplog, monkeypatch):
    monkeypatch.setattr(once, "_said", set())
    monkeypatch.setattr(cost, "WORTH_SAYING", 0.0)
    caplog.set_level("INFO", "generator")
    with sdpa_kernel(SDPBackend.MATH):
        _, folder = make()
    lines = [record.getMessage() for record in caplog.records]
    slow = [number for number, line in enumerate(lines) if "s of each denoising step" in line]
    assert len(slow) == 1
    assert slow[0] < next(number for number, line in enumerate(lines) if "generating" in line)
    assert (
        read(folder / "videos/prompt_001/video_001.complete.json")["generation"]["capture"]["log_sum"] == "whole rows"
    )


def test_too_little_disk_space_is_reported_before_the_first_video(make, caplog, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=719))
    make()
    assert "has 719 B free, less than the attention alone will take" in caplog.text


def test_too_much_attention_is_refused_before_anything_is_written(make, tmp_path):
    with pytest.raises(SettingsError, match="one video would take 480 B, more than max_attention_bytes"):
        make(attention=AttentionSettings(max_attention_bytes=479))
    assert list(tmp_path.iterdir()) == []


def test_large_maps_are_written_step_by_step_before_the_video(make, model, monkeypatch):
    monkeypatch.setattr("generator.outputs.store.MOST_IN_ONE_FILE", 0)
    generate, seen = model.generate, []

    def watching(prompt, sampling, seed, on_step, images):
        def look(done, total):
            seen.append(sorted(path.name for path in maps.glob("vid001/*")))
            on_step(done, total)

        (folder,) = Path(make.output).glob("demo_*")
        maps = folder / "videos/prompt_001/attention_maps"
        return generate(prompt, sampling, seed, look)

    monkeypatch.setattr(model, "generate", watching)
    _, folder = make(template="a (kiss)")
    steps = [f"step_{number:03}.safetensors" for number in range(3)]
    assert seen == [steps[:1], steps[:2], steps]
    manifest = read(folder / "videos/prompt_001/video_001.complete.json")
    assert manifest["attention"] == [f"attention_maps/vid001/{name}" for name in [*steps, "aggregated.safetensors"]]
    assert set(manifest["files"]) == {"video_001.mp4", *manifest["attention"]}


def test_a_failed_video_leaves_no_maps(make, model, monkeypatch):
    monkeypatch.setattr("generator.outputs.store.MOST_IN_ONE_FILE", 0)
    monkeypatch.setattr("generator.outputs.video.encode_video", raising(VideoError("no numbers")))
    code, folder = make(template="a (kiss)")
    assert code == 1
    assert list(folder.rglob("*.safetensors")) == []


def test_a_video_that_is_interrupted_is_kept_and_its_attention_is_marked_incomplete(make, model, monkeypatch, caplog):
    generate = model.generate

    def interrupted(prompt, sampling, seed, on_step, images):
        def stop_after_first(done, total):
            on_step(done, total)
            model.pipe._interrupt = done == 1

        return generate(prompt, sampling, seed, stop_after_first)

    monkeypatch.setattr(model, "generate", interrupted)
    code, folder = make("a (kiss)")
    assert code == 0
    capture = read(folder / "videos/prompt_001/video_001.complete.json")["generation"]["capture"]
    assert capture["incomplete"].startswith("found 1 of 3 denoising steps")
    assert capture["steps"] == 1
    assert f"prompt_001_vid001: its attention is incomplete: {capture['incomplete']}" in caplog.messages
    assert [problem for _, problems in check(folder) for problem in problems] == []


@pytest.mark.parametrize(("most", "level"), [(1e-5, "INFO"), (0.0, "WARNING")])
def test_the_result_of_the_self_check_is_logged_and_recorded_in_the_manifest(make, caplog, monkeypatch, most, level):
    monkeypatch.setattr("generator.batch.make_video.MOST_ERROR", most)
    caplog.set_level("INFO", "generator")
    _, folder = make(template="a (kiss)", attention=AttentionSettings(self_check=True))
    found = read(folder / "videos/prompt_001/video_001.complete.json")["generation"]["capture"]["self_check"]
    assert 0 < found["max_abs_error"] < 1e-6
    (logged,) = [record for record in caplog.records if record.message.startswith("self-check: ")]
    assert logged.levelname == level
    assert f"{found['max_abs_error']:.1e} in {found['rows']} rows" in logged.message


def raising(error):
    def function(*inputs):
        raise error

    return function


def test_compressed_tensors_are_one_zstd_frame_with_its_content_size(make):
    _, folder = make(template="a (kiss)", attention=AttentionSettings(compress_attention=True))
    content = (folder / "videos/prompt_001/attention_maps/vid001.safetensors.zst").read_bytes()
    plain = zstandard.decompress(content)
    assert zstandard.get_frame_parameters(content).content_size == len(plain)
    assert set(load_tensors(plain)) == {"kiss", "kiss.aggregated"}


def test_a_video_without_tracked_words_has_no_attention(make):
    _, folder = make(template="a dog")
    manifest = read(folder / "videos/prompt_001/video_001.complete.json")
    assert (manifest["attention"], manifest["tokens"], manifest["denoising"]) == ([], [], [])
    assert not (folder / "videos/prompt_001/attention_maps").exists()


def test_storing_no_attention_to_tracked_words_is_allowed_with_a_warning(make, caplog):
    attention = AttentionSettings(store_attention=False, store_aggregated_attention=False)
    code, folder = make(template="a (dog)", attention=attention)
    assert code == 0
    assert read(folder / "videos/prompt_001/video_001.complete.json")["attention"] == []
    assert "both off: the videos are generated without attention" in caplog.text


def test_the_video_has_the_size_rate_and_frames_that_were_asked_for(make):
    _, folder = make(fps=12.0)
    with av.open(str(folder / "videos/prompt_001/video_001.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate == 12
    assert np.stack(frames).shape == (5, 48, 64, 3)


def test_tracking_words_does_not_change_the_video(make, tmp_path):
    _, folder = make(template="a (kiss)")
    tracked = (folder / "videos/prompt_001/video_001.mp4").read_bytes()
    folder.rename(tmp_path / "other")
    _, folder = make(template="a kiss")
    assert (folder / "videos/prompt_001/video_001.mp4").read_bytes() == tracked


def test_the_batch_files_record_the_plan_and_the_outcome(make):
    _, folder = make(videos_per_variation=2)
    started, ended = read(folder / "batch.json"), read(folder / "batch.complete.json")
    assert started["batch"] == folder.name
    assert [entry["prompt_id"] for entry in started["variations"]] == ["prompt_001", "prompt_002"]
    assert [word["slug"] for word in started["variations"][0]["tokens"]] == ["kiss", "two_men"]
    assert started["videos"][3] == {
        "video_id": "prompt_002_vid002",
        "prompt_id": "prompt_002",
        "seed": 43,
        "manifest": "videos/prompt_002/video_002.complete.json",
    }
    assert all((folder / entry["manifest"]).is_file() for entry in started["videos"])
    assert started["settings"]["video"]["guidance_scale"] == 4.0  # what the model recommends
    assert started["settings"]["model"]["dtype"] == "float32"
    assert ended["status"] == "complete"
    assert ended["counts"] == {"expected": 4, "complete": 4, "failed": 0}


def test_the_order_in_which_files_appear(make, monkeypatch):
    order = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: order.append(to.name) or replace(self, to))
    make(template="a (kiss)")
    assert order[0] == "batch.json"
    assert order[-2:] == ["video_001.complete.json", "batch.complete.json"]
    assert set(order[1:-2]) == {"prompt.txt", "video_001.mp4", "vid001.safetensors"}


def test_each_video_has_one_line_in_the_log(make, caplog):
    caplog.set_level("INFO", "generator")
    make(videos_per_variation=2)
    lines = [message for message in caplog.messages if message.startswith("video ")]
    assert len(lines) == 4
    assert lines[1].startswith('video 2/4 prompt_002_vid001 seed 42 "a romantic kiss between two women" ')


@pytest.fixture
def fail_at(monkeypatch):
    """Make one video fail inside a `with` block."""

    @contextmanager
    def failing_at(video_id, error):
        def failing(batch, folder, video, *how):
            if video.video_id == video_id:
                raise error
            make_video(batch, folder, video, *how)

        with monkeypatch.context() as patch:
            patch.setattr("generator.batch.attempt.make_video", failing)
            yield

    return failing_at


@pytest.mark.parametrize("error", [PipelineError("CUDA out of memory"), CaptureError("layers missed"), MemoryError()])
def test_a_video_that_fails_does_not_end_the_batch(make, fail_at, caplog, error):
    with fail_at("prompt_001_vid001", error):
        code, folder = make()
    assert code == 1
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 1, "failed": 1}
    assert read(folder / "batch.complete.json")["status"] == "interrupted"
    assert "prompt_001_vid001 seed 42" in caplog.text
    assert str(error) in caplog.text


def test_a_failed_video_is_made_when_the_batch_is_resumed(make, fail_at, console):
    with fail_at("prompt_001_vid001", PipelineError("once")):
        _, folder = make()
    kept = (folder / "videos/prompt_002/video_001.complete.json").stat().st_mtime_ns
    assert resume(folder, console) == 0
    assert (folder / "videos/prompt_001/video_001.complete.json").is_file()
    assert (folder / "videos/prompt_002/video_001.complete.json").stat().st_mtime_ns == kept
    assert read(folder / "batch.complete.json")["status"] == "complete"


def test_a_failure_note_lists_all_attempts_and_disappears_once_the_video_is_made(make, fail_at, console):
    with fail_at("prompt_001_vid001", PipelineError("no memory")):
        _, folder = make()
        assert resume(folder, console) == 1
    note = read(folder / "videos/prompt_001/video_001.failed.json")
    assert (note["format"], note["video_id"], note["seed"]) == ("attnwatch/1", "prompt_001_vid001", 42)
    assert [attempt["error"] for attempt in note["attempts"]] == ["PipelineError: no memory"] * 2
    assert "raise error" in note["traceback"]
    assert resume(folder, console) == 0
    assert not list(folder.rglob("*.failed.json"))
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 2, "failed": 0}


def test_a_video_that_is_not_tried_again_still_counts_as_failed(make, fail_at, console, model, monkeypatch):
    with fail_at("prompt_002_vid001", PipelineError("no memory")):
        _, folder = make()

    def stopped(*inputs):
        os.kill(os.getpid(), signal.SIGINT)
        raise Stopped

    monkeypatch.setattr(model, "generate", stopped)
    assert resume(folder, console) == 130
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 1, "failed": 1}


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory\nTried"),
            "PipelineError: OutOfMemoryError: CUDA out of memory. Resume with --resume and --offload",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "can't allocate memory. Resume with --resume and --offload model",
        ),
        (KeyError("timestep"), "PipelineError: KeyError: 'timestep'"),
        (AssertionError(), "PipelineError: AssertionError: AssertionError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_exception_of_the_pipeline_fails_only_its_video(make, model, monkeypatch, error, noted):
    generate, calls = model.generate, []

    def failing_at_first(*inputs):
        calls.append(inputs)
        if len(calls) == 1:
            raise error
        return generate(*inputs)

    monkeypatch.setattr(model, "generate", failing_at_first)
    code, folder = make()
    assert code == 1
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 1, "failed": 1}
    (attempt,) = read(folder / "videos/prompt_001/video_001.failed.json")["attempts"]
    assert noted in attempt["error"]


def test_after_a_failure_the_pipeline_frees_its_model_hooks(make, model, monkeypatch):
    happened = []
    generate, free = model.generate, model.pipe.maybe_free_model_hooks

    def generating(*inputs):
        happened.append("generate")
        if len(happened) == 1:
            raise RuntimeError("out of memory")
        monkeypatch.setattr(model.pipe, "maybe_free_model_hooks", free)  # a pipeline calls it after each video
        return generate(*inputs)

    monkeypatch.setattr(model, "generate", generating)
    monkeypatch.setattr(model.pipe, "maybe_free_model_hooks", lambda: happened.append("free"))
    make()
    assert happened == ["generate", "free", "generate"]


def test_frames_that_are_not_numbers_fail_their_video(make, model, monkeypatch):
    monkeypatch.setattr(model, "generate", lambda *inputs: np.full((5, 48, 64, 3), np.nan))
    code, folder = make(template="a dog")
    assert code == 1
    (attempt,) = read(folder / "videos/prompt_001/video_001.failed.json")["attempts"]
    assert attempt["error"].startswith("VideoError: the pipeline returned frames that are not numbers")


def test_the_words_that_do_not_fit_into_the_text_encoder_are_named(make, caplog):
    code, _ = make(template="a (kiss) " + "dog " * 509 + "cat bird [fish|lion]")
    assert code == 0
    assert (
        "prompt_001 has 515 tokens and the text encoder takes 512. It never sees the end: cat bird fish" in caplog.text
    )
    assert "never sees the end: cat bird lion" in caplog.text


def test_at_most_five_prompts_that_are_too_long_are_named(make, caplog):
    make(template="dog " * 512 + "[a|b|c|d|e|f|g]", steps=1)
    assert caplog.text.count("never sees the end") == 5
    assert "... and 2 more prompts are too long" in caplog.text


def test_all_words_that_the_model_does_not_know_are_named_in_one_warning(make, model, monkeypatch, caplog):
    monkeypatch.setattr(model.pipe, "tokenizer", whole_words_tokenizer())
    code, _ = make(template="a (red) kiss between [two|three] men, a red [two|kiss] star", steps=1)
    assert code == 0
    (warning,) = [record.getMessage() for record in caplog.records if "does not know" in record.getMessage()]
    assert warning.endswith("does not know 5 of the words and cannot tell them apart: kiss, between, two, men, three")


def test_known_words_cause_no_warning(make, model, monkeypatch, caplog):
    monkeypatch.setattr(model.pipe, "tokenizer", whole_words_tokenizer())
    make(template="a (Red) circle, moving left.", steps=1)
    assert "does not know" not in caplog.text


def test_a_tracked_word_that_does_not_fit_is_refused(make, tmp_path):
    with pytest.raises(TokenError, match=r'tracked word "bird" in prompt 1, .* it is cut off'):
        make(template="dog " * 511 + "(bird)")
    assert list(tmp_path.iterdir()) == []


def test_a_bug_in_this_program_ends_the_batch(make, fail_at):
    with fail_at("prompt_001_vid001", AssertionError("a mistake")), pytest.raises(AssertionError):
        make()


def test_a_full_disk_ends_the_batch(make, fail_at):
    with fail_at("prompt_002_vid001", OutputError("no space left")), pytest.raises(OutputError):
        make()


@pytest.mark.parametrize(("step", "complete"), [(1, 0), (3, 1)])
def test_a_stop_abandons_a_video_between_steps_and_keeps_one_after_its_last_step(
    *, make, model, monkeypatch, step, complete
):
    generate, handler_before = model.generate, signal.getsignal(signal.SIGINT)

    def stopping(prompt, sampling, seed, on_step, images):
        def signalling(done, total):
            if done == step:
                os.kill(os.getpid(), signal.SIGINT)
            on_step(done, total)

        return generate(prompt, sampling, seed, signalling)

    monkeypatch.setattr(model, "generate", stopping)
    code, folder = make()
    assert code == 130
    assert read(folder / "batch.complete.json")["status"] == "interrupted"
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": complete, "failed": 0}
    assert (folder / "videos/prompt_001/video_001.complete.json").exists() == bool(complete)
    assert signal.getsignal(signal.SIGINT) is handler_before


def test_resuming_a_complete_batch_keeps_its_videos(make, console):
    _, folder = make()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.complete.json") if "video_" in path.name}
    assert resume(folder, console) == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert read(folder / "batch.complete.json")["counts"]["complete"] == 2


def test_a_damaged_video_is_made_again_and_no_other(make, console):
    _, folder = make()
    whole = folder / "videos/prompt_002/video_001.complete.json"
    kept = whole.stat().st_mtime_ns
    video = folder / "videos/prompt_001/video_001.mp4"
    content = video.read_bytes()
    video.write_bytes(content[:500])
    assert resume(folder, console) == 0
    assert video.read_bytes() == content
    assert whole.stat().st_mtime_ns == kept
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 2, "failed": 0}


def test_a_damaged_video_that_fails_again_does_not_count_as_complete(make, fail_at, console):
    _, folder = make()
    (folder / "videos/prompt_001/video_001.mp4").unlink()
    with fail_at("prompt_001_vid001", PipelineError("no memory")):
        assert resume(folder, console) == 1
    assert not (folder / "videos/prompt_001/video_001.complete.json").exists()
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 1, "failed": 1}


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"attempts": null}', "[" * 100_000])
def test_a_damaged_failure_note_is_replaced(make, fail_at, console, damaged):
    with fail_at("prompt_001_vid001", PipelineError("no memory")):
        _, folder = make()
        note = folder / "videos/prompt_001/video_001.failed.json"
        note.write_text(damaged)
        assert resume(folder, console) == 1
    assert [attempt["error"] for attempt in read(note)["attempts"]] == ["PipelineError: no memory"]


def test_a_batch_of_another_version_of_the_model_is_refused(make, console):
    _, folder = make()
    started = read(folder / "batch.json")
    (folder / "batch.json").write_text(json.dumps({**started, "model_revision": "0ld"}))
    with pytest.raises(ResumeError, match="started with version 0ld of tiny; found version"):
        resume(folder, console)


@pytest.mark.parametrize("name", ["process-0", "process-1", "prompt_001_vid001"])
def test_two_generators_do_not_work_in_one_batch(make, console, name):
    """Not even beside a surviving process of a batch whose first process has died, or one that claims videos."""
    _, folder = make()
    leases = Leases(folder / FOLDER, duration=0.5)
    with leases.taken(name), pytest.raises(ResumeError, match=rf"another generator \(process {os.getpid()} on"):
        resume(folder, console)
    assert resume(folder, console) == 0
    assert not (folder / FOLDER).exists()


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"width": 100}, ModelError), ({"template": "a (\x07) b"}, TokenError)],
)
def test_an_impossible_request_is_refused_before_anything_is_written(tmp_path, make, settings, error):
    with pytest.raises(error):
        make(**settings)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_never_reuses_an_existing_folder(make, tmp_path, monkeypatch):
    names = iter(["taken", "taken", "demo_2"])
    monkeypatch.setattr("generator.batch.folders.new_folder_name", lambda settings: next(names))
    mine = tmp_path / "taken" / "mine"
    mine.parent.mkdir()
    mine.touch()
    _, folder = make(template="a dog")
    assert folder.name == "demo_2"
    assert list(mine.parent.iterdir()) == [mine]
