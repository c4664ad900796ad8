"""Replaces attributes for the time of a context.

Contexts may overlap in time, in several threads, and end in any order.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Function = Callable[..., Any]

_lock = threading.RLock()  # reentrant: an abandoned generator may end its context while this thread begins another one
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextmanager
def replaced(owner: object, name: str, replacement: object) -> Iterator[None]:
    """Set an attribute of ``owner`` inside the context; restore or remove it afterwards.

    Only one context at a time may replace an attribute. What others set or removed meanwhile stays as they left it.
    """
    own = vars(owner)
    was_there, before = name in own, own.get(name)
    try:
        setattr(owner, name, replacement)
        yield
    finally:
        _restore(owner, name, replacement, was_there=was_there, before=before)


@contextmanager
def shared(owner: object, name: str, wrap: Callable[[Function], Function]) -> Iterator[Function]:
    """Replace a function of a class or module once for all contexts that overlap; the last one restores it.

    If others replaced the function meanwhile, their function is replaced in turn, and stays.

    Args:
        owner: the class or module
        name: name of the function
        wrap: builds the replacement from the function; the same one for all contexts of an owner and name

    Yields:
        The replacement.

    """
    user = object()
    try:
        yield _join(owner, name, wrap, user).replacement
    finally:
        _leave(owner, name, user)


def original(owner: object, name: str) -> Function:
    """Return a function of a class or module as it is without the replacement of `shared`."""
    with _lock:
        current: Function = getattr(owner, name)
        return next((shared.function for shared in _shared[owner, name] if shared.replacement is current), current)


@dataclass
class _Shared:
    """A shared replacement of ``function``, the attribute that was there before, and the contexts that need it."""

    function: Function
    replacement: Function
    was_there: bool
    before: object
    users: set[object] = field(default_factory=set)


class _AllShared(dict[tuple[object, str], tuple[_Shared, ...]]):
    """Shared replacements by owner and name: one, and more if others replaced it while it was in use."""

    def __missing__(self, key: tuple[object, str]) -> tuple[_Shared, ...]:
        return ()


_shared = _AllShared()


def _join(owner: object, name: str, wrap: Callable[[Function], Function], user: object) -> _Shared:
    with _lock:
        own = vars(owner)
        for there in _shared[owner, name]:
            there.users.add(user)
            if own.get(name) is there.replacement:
                return there
            there.users.discard(user)
        function = getattr(owner, name)
        new = _Shared(function, wrap(function), name in own, own.get(name), {user})
        _shared[owner, name] = (*_shared[owner, name], new)
        setattr(owner, name, new.replacement)
        return new


def _leave(owner: object, name: str, user: object) -> None:
    with _lock:
        for there in _shared[owner, name]:
            there.users.discard(user)
            if not there.users:
                _restore(owner, name, there.replacement, was_there=there.was_there, before=there.before)
        in_use = tuple(there for there in _shared[owner, name] if there.users)
        if in_use:
            _shared[owner, name] = in_use
        else:
            _shared.pop((owner, name), None)


def _restore(owner: object, name: str, replacement: object, *, was_there: bool, before: object) -> None:
    """Restore or remove an attribute unless it is no longer the replacement."""
    if vars(owner).get(name) is not replacement:
        return
    if was_there:
        setattr(owner, name, before)
    else:
        delattr(owner, name)
