"""The generator as a process: command line, signals, kills and resumption."""

import functools
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from tests.forking import run_program
from tests.integration.generator_support import (
    LIMIT,
    assert_whole,
    batch_below,
    contents,
    generate,
    generated,
    generating,
    manifests,
    read,
    started,
    wait_for,
)

TEMPLATE = "a (red) [circle|square|star] moving left"
DEMO = Path(__file__).parents[2] / "configs" / "attention_visualization_demo.yaml"
BATCH = ["--template", TEMPLATE, "--videos-per-variation", "2", "--batch-name", "demo", "--config", DEMO]
# 12 steps of each of six small videos take seconds: time to send a signal between two of them.
SLOW = [*BATCH, "--width", "64", "--height", "48", "--frames", "5", "--steps", "12"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A batch that was made in one go."""
    output = tmp_path_factory.mktemp("uninterrupted")
    result = generate(*SLOW, "--output", output)
    assert result.returncode == 0, result.stderr
    return batch_below(output), result


def test_the_demo_command_makes_six_videos_and_a_line_for_each(uninterrupted):
    folder, result = uninterrupted
    assert len(manifests(folder)) == 6
    assert_whole(folder)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 12
    assert " INFO: loaded tiny in " in lines[0]
    assert " INFO: attention: up to " in lines[2]
    assert ' INFO: video 1/6 prompt_001_vid001 seed 42 "a red circle moving left" ' in lines[4]
    assert lines[-2].endswith(f" INFO: {folder} is complete, 6 of 6 videos")
    assert all(line.endswith(f" INFO: attention videos: attnwatch {folder.parent}/") for line in (lines[3], lines[-1]))


@pytest.mark.parametrize(
    ("number", "code", "start"), [(signal.SIGINT, 130, started), (signal.SIGTERM, 143, generating)]
)
def test_one_signal_stops_between_two_steps_and_keeps_what_is_complete(tmp_path, number, code, start):
    with start(*SLOW, "--output", tmp_path) as process:
        wait_for(lambda: manifests(tmp_path), process)
        process.send_signal(number)
        assert process.wait(timeout=LIMIT) == code
        log = process.stderr.read()
    folder = batch_below(tmp_path)
    assert log.splitlines()[-1].endswith(f" INFO: attention videos: attnwatch {tmp_path}/")
    ended = read(folder / "batch.complete.json")
    assert ended["status"] == "interrupted"
    assert ended["counts"] == {"expected": 6, "complete": len(manifests(folder)), "failed": 0}
    assert 1 <= len(manifests(folder)) < 6
    assert f"--resume {folder}" in log
    assert "Traceback" not in log
    assert_whole(folder)


def test_a_second_signal_ends_at_once(tmp_path):
    with generating(*BATCH, "--steps", "2000", "--output", tmp_path) as process:
        wait_for(lambda: "generating" in process.stderr.readline(), process)
        # Stopped, both signals wait until it runs again: no step can end between them.
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=LIMIT) in {130, 143}
    assert not (batch_below(tmp_path) / "batch.complete.json").exists()


def test_a_killed_batch_resumes_to_the_same_videos(tmp_path, uninterrupted):
    with generating(*SLOW, "--output", tmp_path) as process:
        wait_for(lambda: len(manifests(tmp_path)) >= 2, process)
        process.kill()
        assert process.wait(timeout=LIMIT) == -signal.SIGKILL
    folder = batch_below(tmp_path)
    assert not (folder / "batch.complete.json").exists()
    assert_whole(folder)
    kept = {path: path.stat().st_mtime_ns for path in manifests(folder)}
    assert len(kept) < 6
    leave_what_a_kill_can_leave(folder)

    code, log = generated("--resume", folder)
    assert code == 0, log
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 6, "complete": 6, "failed": 0}
    assert contents(folder) == contents(uninterrupted[0])
    assert_whole(folder)
    assert list(folder.rglob(".*")) == []


def leave_what_a_kill_can_leave(folder):
    """Leave half a temporary file, and a video whose manifest was never written."""
    place = folder / "videos" / "prompt_003"
    place.mkdir(exist_ok=True)
    (place / ".generator-1-video_002.mp4.tmp").write_bytes(b"half")
    (place / "video_002.mp4").write_bytes(b"not whole")


def test_a_resumed_batch_refuses_another_template(uninterrupted):
    result = generate("--resume", uninterrupted[0], "--template", "a (dog)")
    assert result.returncode == 2
    assert "was started with template" in result.stderr
    assert "a (dog)" in result.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB; skips where mounting is not allowed."""
    output = tmp_path / "small"
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(output)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield output
    subprocess.run(["umount", str(output)], check=True)


def test_a_full_disk_is_an_error_and_leaves_nothing_torn(small_disk):
    code, log = generated(*BATCH, "--steps", "2", "--output", small_disk)
    assert code == 1
    assert "No space left on device" in log
    assert "Traceback" not in log
    assert_whole(small_disk)


def run_without_optimising(*arguments):
    """Run a generator whose compiler traces networks as always, but has torch call the operators that it found."""
    torch.compile = functools.partial(torch.compile, backend="eager")
    return run_program(*arguments)


@pytest.mark.parametrize(
    "run",
    [
        run_without_optimising,
        pytest.param(
            run_program,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(
                    shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on a CPU: install g++"
                ),
            ],
        ),
    ],
)
def test_compiled_networks_make_the_same_videos_with_and_without_capture(tmp_path, run):
    small = ["--width", "64", "--height", "48", "--frames", "5", "--steps", "2", "--videos-per-variation", "2"]
    batch = ["--template", "a (red) circle moving left", *small, "--compile", "blocks"]
    for name, stored in {
        "with": ["--self-check"],
        "without": ["--no-store-attention", "--no-store-aggregated-attention"],
    }.items():
        place = tmp_path / name
        compiled = str(tmp_path / "compiled")
        code, log = generated(*batch, *stored, "--output", place, run=run, TORCHINDUCTOR_CACHE_DIR=compiled)
        assert code == 0, log
    recorded, plain = (
        [read(path) for path in sorted(manifests(batch_below(tmp_path / name)))] for name in ("with", "without")
    )
    assert [manifest["generation"]["compile"] for manifest in (*recorded, *plain)] == ["blocks"] * 4
    assert [_digest(manifest) for manifest in recorded] == [_digest(manifest) for manifest in plain]
    assert all(manifest["generation"]["capture"]["self_check"]["max_abs_error"] < 1e-6 for manifest in recorded)


def _digest(manifest):
    return manifest["files"][manifest["video"]]["sha256"]
