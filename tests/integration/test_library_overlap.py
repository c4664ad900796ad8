"""Captures that overlap in time, in threads or nested: each is as if it were alone, and all is restored afterwards."""

import asyncio
import threading
from contextlib import ExitStack
from itertools import permutations

import numpy as np
import pytest

from generator.errors import CaptureError, UsageError
from generator.library import capture
from tests.integration.library_support import attributes, build, call, differences

KEPT = {"storage_dtype": "float32", "store_per_block": True, "store_per_head": True}
STEPS = 2


@pytest.fixture(scope="module")
def pipes():
    """Two pipelines of a family that calls diffusers' attention function, and one that calls torch's."""
    return [build(family) for family in ("wan", "wan", "cogvideox")]


def family_of(pipe):
    return {"WanPipeline": "wan", "CogVideoXPipeline": "cogvideox"}[type(pipe).__name__]


def video(pipe, **given):
    return call(pipe, family_of(pipe), STEPS, **given)


@pytest.fixture(scope="module")
def alone(pipes):
    """Videos and maps of captures that do not overlap, by pipeline."""
    made = {}
    for pipe in pipes:
        with capture(pipe, ["kiss"], **KEPT) as maps:
            frames = video(pipe)
        made[pipe] = frames, maps["kiss"]
    return made


@pytest.fixture(autouse=True)
def _everything_is_restored(pipes, alone):
    before = attributes(pipes)
    yield
    assert differences(before, attributes(pipes)) == []


def in_threads(*tasks):
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_pipelines_are_captured_in_threads_beside_one_that_is_not(pipes, alone):
    wrong = []

    def captured(pipe):
        for _ in range(2):
            with capture(pipe, ["kiss"], **KEPT) as maps:
                frames = video(pipe)
            if not np.array_equal(frames, alone[pipe][0]) or not np.array_equal(maps["kiss"], alone[pipe][1]):
                wrong.append(pipe)

    def plain():
        videos = [video(pipes[1]) for _ in range(3)]
        wrong.extend(frames for frames in videos if not np.array_equal(frames, alone[pipes[1]][0]))

    in_threads(lambda: captured(pipes[0]), lambda: captured(pipes[2]), plain)
    assert wrong == []


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
def test_captures_of_several_pipelines_end_in_any_order(pipes, alone, order):
    stacks = [ExitStack() for _ in pipes]
    maps = [stack.enter_context(capture(pipe, ["kiss"], **KEPT)) for stack, pipe in zip(stacks, pipes, strict=True)]
    for number in order:
        video(pipes[number])
        stacks[number].close()
        assert np.array_equal(maps[number]["kiss"], alone[pipes[number]][1])


def test_a_second_capture_of_a_pipeline_is_refused_and_the_first_goes_on(pipes, alone):
    with capture(pipes[0], ["kiss"], **KEPT) as maps:
        with pytest.raises(UsageError, match="a `capture` of this WanPipeline that has not ended"):
            capture(pipes[0], ["romantic"]).__enter__()
        video(pipes[0])
    assert np.array_equal(maps["kiss"], alone[pipes[0]][1])


def test_calls_of_tasks_and_of_other_threads_belong_to_the_capture_of_their_pipeline(pipes, alone):
    async def captured(pipe):
        with capture(pipe, ["kiss"], **KEPT) as maps:
            await asyncio.to_thread(video, pipe)
        return maps["kiss"]

    async def all_captured():
        return await asyncio.gather(*map(captured, pipes))

    for pipe, found in zip(pipes, asyncio.run(all_captured()), strict=True):
        assert np.array_equal(found, alone[pipe][1])


def test_a_generator_that_is_abandoned_ends_its_capture(pipes, alone):
    def videos(pipe):
        with capture(pipe, ["kiss"], **KEPT) as maps:
            while True:
                video(pipe)
                yield maps["kiss"]

    abandoned = videos(pipes[0])
    next(abandoned)
    with capture(pipes[1], ["kiss"], **KEPT) as maps:
        del abandoned
        video(pipes[1])
    assert np.array_equal(maps["kiss"], alone[pipes[1]][1])


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_exception_in_a_nested_capture_ends_that_one_only(pipes, alone, error):
    def stop(*_):
        raise error

    with capture(pipes[0], ["kiss"], **KEPT) as outer:
        with pytest.raises(error), capture(pipes[1], ["kiss"]):
            video(pipes[1], callback_on_step_end=stop)
        video(pipes[0])
    assert np.array_equal(outer["kiss"], alone[pipes[0]][1])


class Sharing:
    """A pipeline that shares all its parts with another one; at its first denoising step, that one calls it."""

    def __init__(self, pipe):
        self.pipe = type(pipe)(**pipe.components)
        self.pipe.set_progress_bar_config(disable=True)
        self.errors = []

    def __call__(self, _pipe, step, _time, tensors):
        if step == 0:
            scheduler = self.pipe.scheduler
            self.pipe.scheduler = type(scheduler).from_config(scheduler.config)  # it holds the state of a call
            try:
                video(self.pipe, prompt="a dog")
            except UsageError as error:
                self.errors.append(error)
        return tensors


def test_a_pipeline_that_shares_the_networks_is_not_recorded(pipes, alone):
    other = Sharing(pipes[0])
    with capture(pipes[0], ["kiss"], **KEPT) as maps:
        frames = video(pipes[0], callback_on_step_end=other)
    assert np.array_equal(frames, alone[pipes[0]][0])
    assert np.array_equal(maps["kiss"], alone[pipes[0]][1])


def test_recording_two_pipelines_with_the_same_networks_at_once_is_refused(pipes, alone):
    other = Sharing(pipes[0])
    with capture(pipes[0], ["kiss"], **KEPT) as maps, capture(other.pipe, ["dog"], **KEPT) as dogs:
        video(pipes[0], callback_on_step_end=other)
        assert "transformer: found a recorded call" in str(other.errors[0])
        assert np.array_equal(maps["kiss"], alone[pipes[0]][1])
        with pytest.raises(CaptureError, match="failed, or has not ended"):
            dogs["dog"]
        video(other.pipe, prompt="a dog")  # one after the other, it may be recorded
    assert dogs["dog"].shape == maps["kiss"].shape


def test_maps_of_an_earlier_call_are_not_taken_for_those_of_a_failed_one(pipes):
    with capture(pipes[0], ["kiss"]) as maps:
        video(pipes[0])
        with pytest.raises(UsageError):
            video(pipes[0], prompt="a dog")
        with pytest.raises(CaptureError, match="the last call of the pipeline failed"):
            maps["kiss"]
