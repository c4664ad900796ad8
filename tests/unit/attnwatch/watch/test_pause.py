import logging
import shutil

import pytest

from attnwatch.watch.pause import Pause

NO_SPACE_NEEDED, ALL_SPACE = 0, 2**62


@pytest.fixture
def pause(clock):
    """A pause that has just begun, because there were no file descriptors."""
    pause = Pause()
    pause.begin("too many open files")
    return pause


def lets_start(pause, running, needed):
    """Ask as the dispatcher does: the disk is looked at first."""
    pause.look(running, needed)
    return pause.lets_start(running)


def tries_after(pause, clock):
    """Return the seconds until the next rendering is let through."""
    began = clock.now
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)
    return clock.now - began


def test_while_nothing_is_short_anything_may_be_started():
    pause = Pause()
    assert lets_start(pause, 7, ALL_SPACE)
    assert (pause.reason, pause.next_look(0)) == (None, None)


def test_nothing_is_started_right_after_a_shortage(pause):
    assert pause.reason == "too many open files"
    assert not lets_start(pause, 0, NO_SPACE_NEEDED)


def test_after_a_while_one_rendering_is_tried_and_no_second_one_beside_it(pause, clock):
    assert tries_after(pause, clock) == 2
    assert not lets_start(pause, 1, NO_SPACE_NEEDED)
    assert pause.next_look(1) is None  # its end is what is waited for


def test_nothing_is_tried_while_renderings_from_before_are_under_way(pause, clock):
    clock.now += 60
    assert not lets_start(pause, 1, NO_SPACE_NEEDED)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)


def test_a_try_that_gave_no_answer_is_followed_by_another_one(pause, clock):
    tries_after(pause, clock)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)


def test_each_try_that_fails_doubles_the_wait_up_to_half_a_minute(pause, clock):
    waits = []
    for _ in range(6):
        waits.append(tries_after(pause, clock))
        pause.begin("too many open files")
    assert waits == [2, 4, 8, 16, 30, 30]


def test_several_renderings_that_fail_for_the_same_shortage_do_not_lengthen_the_wait(pause, clock):
    for _ in range(4):
        pause.begin("too many open files")
    assert tries_after(pause, clock) == 2


def test_a_rendering_that_succeeds_ends_the_pause(pause, clock):
    tries_after(pause, clock)
    pause.end()
    assert pause.reason is None
    assert lets_start(pause, 7, NO_SPACE_NEEDED)


def test_the_wait_is_short_again_in_the_next_pause(pause, clock):
    for _ in range(3):
        tries_after(pause, clock)
        pause.begin("too many open files")
    pause.end()
    pause.begin("too many open files")
    assert tries_after(pause, clock) == 2


def test_a_full_disk_is_looked_at_before_anything_is_tried(clock, tmp_path):
    pause = Pause(tmp_path)
    pause.begin("no space left on device")
    for _ in range(3):
        clock.now = pause.next_look(0)
        assert not lets_start(pause, 0, ALL_SPACE)
        assert pause.next_look(0) > clock.now
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)


def test_a_disk_that_is_gone_is_tried(clock, tmp_path):
    pause = Pause(tmp_path / "mounted")
    pause.begin("read-only file system")
    shutil.rmtree(tmp_path)
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, ALL_SPACE)


def test_a_machine_that_is_short_of_processes_is_not_asked_for_disk_space(pause, clock):
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, ALL_SPACE)


def test_a_pause_is_told_once_when_it_begins_and_once_when_it_ends(clock, caplog):
    caplog.set_level(logging.INFO)
    pause = Pause()
    for _ in range(3):
        pause.begin("too many open files")
        tries_after(pause, clock)
    pause.end()
    pause.end()
    began, ended = caplog.messages
    assert "too many open files" in began
    assert "after a pause of 14 s" in ended
