"""Attributes are replaced while somebody needs it, and restored in whatever order contexts end."""

import gc
import linecache
import sys
from contextlib import ExitStack
from itertools import count, permutations
from types import SimpleNamespace

import pytest

from generator.capture import replacing
from generator.capture.replacing import original, replaced, shared


class Base:
    def greet(self):
        return "hello"


class Derived(Base):
    pass


def louder(function):
    return lambda *args: f"{function(*args)}!"


GREET = Base.greet


@pytest.fixture(autouse=True)
def _restored():
    yield
    assert Base.greet is GREET
    assert "greet" not in vars(Derived)


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
@pytest.mark.parametrize("owner", [Base, Derived])
def test_contexts_that_overlap_replace_a_function_once_and_the_last_restores_it(owner, order):
    stacks = [ExitStack() for _ in range(3)]
    for stack in stacks:
        stack.enter_context(shared(owner, "greet", louder))
        assert Derived().greet() == "hello!"
        assert original(owner, "greet") is GREET
    for number in order:
        assert Derived().greet() == "hello!"
        stacks[number].close()


def test_what_others_put_in_place_meanwhile_is_replaced_in_turn_and_stays(monkeypatch):
    with shared(Base, "greet", louder):
        monkeypatch.setattr(Base, "greet", lambda self: "salut")
        other = Base.greet
        with shared(Base, "greet", louder):
            assert Base().greet() == "salut!"
            assert original(Base, "greet") is other
        assert Base.greet is other
    assert Base.greet is other
    monkeypatch.undo()
    Base.greet = GREET  # others restore what they found: the replacement


def test_an_abandoned_context_ends(monkeypatch):
    def used():
        with shared(Base, "greet", louder):
            yield

    abandoned = used()
    next(abandoned)
    assert Base().greet() == "hello!"
    del abandoned
    gc.collect()


_ENDING = {"_leave", "_restore", "<genexpr>"}


def interrupt_at(number):
    """Return a function for `sys.settrace` that interrupts at a line, by its number in the order of execution."""
    lines = count(1)

    def trace(frame, event, _argument):
        if frame.f_code.co_filename != replacing.__file__ or frame.f_code.co_name in _ENDING:
            return None
        is_ending = "_leave" in linecache.getline(replacing.__file__, frame.f_lineno)
        if event == "line" and not is_ending and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    return trace


def test_an_interruption_at_any_line_leaves_nothing_behind():
    before = sys.gettrace()
    for number in count(1):
        sys.settrace(interrupt_at(number))
        try:
            with shared(Base, "greet", louder):
                pass
            break
        except KeyboardInterrupt:
            assert Base.greet is GREET
            assert not replacing._shared
        finally:
            sys.settrace(before)
    assert number > 10  # it was interrupted at each line


def test_an_attribute_that_others_change_meanwhile_stays_as_they_left_it():
    thing = SimpleNamespace(forward=1)
    with replaced(thing, "forward", 2):
        thing.forward = 3
    assert thing.forward == 3
    with replaced(thing, "other", 2):
        del thing.other
    assert vars(thing) == {"forward": 3}
