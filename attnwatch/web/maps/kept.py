"""What was computed for one request, kept for the next ones: a bounded amount, and what was used last."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Kept(Generic[_Key, _Value]):
    """Values by key, for several threads.

    Args:
        most: sum of the sizes of all values.
        size: returns that of one value; None: each counts as 1.

    """

    def __init__(self, most: int, size: Callable[[_Value], int] | None = None) -> None:
        self._most = most
        self._size = size or (lambda _: 1)
        self._total = 0
        self._values: OrderedDict[_Key, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: object) -> bool:
        """Return whether a value is there."""
        return key in self._values

    def get(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        """Return a value, which is made if it is not there; two threads that want it at once may both make it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values and self._size(value) <= self._most:
                self._values[key] = value
                self._total += self._size(value)
                while self._total > self._most:
                    self._total -= self._size(self._values.popitem(last=False)[1])
        return value
