from pathlib import Path

import pytest

from attnwatch.batches.targets import Target
from attnwatch.watch.decision import Settled
from attnwatch.watch.left_out import LeftOut
from attnwatch.watch.options import Options


def target(number, batch=None):
    return Target(Path(f"/o/demo/videos/prompt_001/video_{number}.complete.json"), batch)


def left_out(**options):
    return LeftOut(Options((Path("/o"),), **options))


def test_videos_are_counted_by_reason_the_most_frequent_first():
    known = left_out()
    for number, why in enumerate("abb"):
        known.take(target(number), Settled(why=why))
    assert known.reasons() == ("2 videos: b", "1 video: a")
    known.discard(target(1))
    assert (len(known), known.reasons()) == (2, ("1 video: a", "1 video: b"))


def test_a_video_and_its_collection_count_as_one_video():
    known = left_out()
    for batch in (None, Path("/o/demo")):
        known.take(target(1, batch), Settled(why="a"))
    assert (len(known), known.reasons()) == (1, ("1 video: a",))


def test_very_many_and_very_long_reasons_are_limited():
    known = left_out()
    for number in range(1000):
        known.take(target(number), Settled(why=f"{number} {'x' * 10_000}"))
    assert len(known.reasons()) == 20
    assert max(map(len, known.reasons())) < 600


def test_a_video_that_needs_nothing_and_is_rendered_is_not_left_out():
    known = left_out(batch="demo")
    known.take(target(1), Settled())
    assert (len(known), known.matched, known.nothing()) == (0, True, None)


@pytest.mark.parametrize("choice", [{"batch": "x"}, {"since": 9.0}, {"tokens": ("x",)}, {"by_name": True}])
def test_a_choice_that_has_matched_nothing_is_told(choice):
    known = left_out(**choice)
    assert "found no finished video in /o" in known.nothing()
    known.take(target(1), Settled(why="not this one", chosen=False))
    assert "1 video: not this one" in known.nothing()
    known.take(target(2), Settled(why="nothing asks for it"))
    assert known.nothing() is None


def test_without_a_choice_nothing_is_no_failure():
    assert left_out().nothing() is None


def test_a_video_without_the_words_that_were_asked_for_does_not_match():
    notes = ("none of the tracked words (kiss) was requested",)
    for tokens, matched in ((("cat",), False), (None, True)):
        known = left_out(tokens=tokens)
        known.take_skipped(target(1), notes)
        assert (known.matched, known.reasons()) == (matched, (f"1 video: {notes[0]}",))
