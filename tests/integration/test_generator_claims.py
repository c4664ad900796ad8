"""Processes that come and go make one batch, and processes that begin at one moment keep their batches apart."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import families
from tests.forking import run_program
from tests.integration.generator_support import (
    FORKS,
    LIMIT,
    batch_below,
    contents,
    environment,
    generating,
    manifests,
    read,
)

SMALL = ["--device", "cpu", "--width", "32", "--height", "32", "--frames", "5", "--steps", "1"]
PAIRS = ["--template", "a (kiss) of two [men|women]", "--videos-per-variation", "2", "--images", "paired"]


def run_at_once(_name, folder, number, *arguments):
    """Run the generator; begin the batch when ``number`` processes are about to, which note that in ``folder``."""
    from generator.batch import folders
    from generator.batch.claiming import claims

    def together(function):
        def waiting(*arguments):
            (Path(folder) / str(os.getpid())).touch()
            while len(list(Path(folder).iterdir())) < int(number):
                time.sleep(0.001)
            return function(*arguments)

        return waiting

    folders.new_folder_name = together(folders.new_folder_name)
    claims.Claims.found = together(claims.Claims.found)
    return run_program("generator", *arguments)


@pytest.fixture
def at_once(tmp_path):
    """Run several generators, which begin their batches in one moment; return their exit codes and messages."""

    def run(*commands):
        ready = tmp_path / "ready"
        ready.mkdir(exist_ok=True)
        with ExitStack() as stack:
            processes = [
                stack.enter_context(generating(str(ready), len(commands), *command, run=run_at_once))
                for command in commands
            ]
            logs = [process.stderr.read() for process in processes]
            return [process.wait(LIMIT) for process in processes], logs

    return run


@pytest.mark.slow
def test_generators_that_begin_in_one_second_have_a_folder_each(tmp_path, at_once):
    output = tmp_path / "outputs"
    prompts = ["a dog", "a cat"]
    shared = [*SMALL, "--batch-name", "pet", "--output", output]
    codes, logs = at_once(*([*shared, "--template", prompt] for prompt in prompts))
    assert codes == [0, 0], logs
    batches = [read(folder / "batch.json") for folder in output.iterdir()]
    assert sorted(batch["template"] for batch in batches) == sorted(prompts)
    for folder in output.iterdir():
        assert read(folder / "batch.complete.json")["counts"] == {"expected": 1, "complete": 1, "failed": 0}
        (prompt,) = folder.rglob("prompt.txt")
        assert prompt.read_text().strip() == read(folder / "batch.json")["template"]


def test_of_processes_that_begin_a_batch_in_one_moment_those_with_other_prompts_are_refused(tmp_path, at_once):
    folder = tmp_path / "outputs" / "pet"
    prompts = ["a [dog|wolf]", "a [cat|lynx]", "a [dog|wolf]"]
    codes, logs = at_once(*([*SMALL, "--template", each, "--claim", folder] for each in prompts))
    batch = read(folder / "batch.json")
    assert batch["template"] in prompts
    assert codes == [0 if each == batch["template"] else 2 for each in prompts], logs
    for code, log in zip(codes, logs, strict=True):
        assert ("pet was started with template" in log) == (code == 2)
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 2, "complete": 2, "failed": 0}
    assert [path.read_text().strip() for path in sorted(folder.rglob("prompt.txt"))] == [
        variation["prompt"] for variation in batch["variations"]
    ]
    assert list(folder.rglob(".*")) == []


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A folder with two images as first frames, two as last ones, and a model that makes videos from them."""
    place = tmp_path_factory.mktemp("pairs")
    families.build("wan2.1-flf2v").save_pretrained(place / "model")
    for seed, name in enumerate(("first/a.png", "first/b.png", "last/a.png", "last/b.png")):
        path = place / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return place


def in_folder(cwd, *arguments):
    """Run a generator in a folder; return its exit code and its messages."""
    with started_in(cwd, *arguments) as process:
        log = process.stderr.read()
        return process.wait(LIMIT), log


def started_in(cwd, *arguments):
    given = map(str, arguments)
    return FORKS.start(run_program, "generator", *given, environment=environment(), cwd=cwd, stderr=-1)


@pytest.mark.slow
def test_processes_that_claim_videos_from_images_each_read_them(tmp_path, pairs):
    asked = [*PAIRS, *SMALL, "--model", "model", "--image", "first", "--last-image", "last"]
    code, log = in_folder(pairs, *asked, "--output", tmp_path / "alone")
    assert code == 0, log
    alone = contents(batch_below(tmp_path / "alone"))
    folder = tmp_path / "outputs" / "kiss"
    with started_in(pairs, *asked, "--claim", folder) as one, started_in(pairs, *asked, "--claim", folder) as another:
        logs = [process.stderr.read() for process in (one, another)]
        assert [process.wait(LIMIT) for process in (one, another)] == [0, 0], logs
    assert contents(folder) == alone
    assert sum(log.count(": video ") for log in logs) == 4

    manifests(folder)[-1].unlink()
    code, log = in_folder(tmp_path, "--claim", folder, "--device", "cpu")  # it has the folder alone, and is elsewhere
    assert code == 0, log
    assert contents(folder) == alone

    manifests(folder)[-1].unlink()
    changed = pairs / "last/b.png"
    before = changed.read_bytes()
    changed.write_bytes((pairs / "last/a.png").read_bytes())
    code, log = in_folder(tmp_path, "--claim", folder)
    assert code == 2
    assert f"kiss was started with another image than {changed}: its content has changed. Put the first one back" in log
    (tmp_path / "b.png").write_bytes(before)
    again = ["--last-image", pairs / "last/a.png", "--last-image", "b.png"]  # as machines see them under other paths
    code, log = in_folder(tmp_path, "--claim", folder, *again)
    changed.write_bytes(before)
    assert code == 0, log
    assert contents(folder) == alone
