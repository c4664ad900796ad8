"""The real `attnwatch`, except that `tests.chaos.stubs` decides what a job renders.

The rendering function is replaced when its module is loaded, in every process, so everything around it (processes,
limits, locks, receipts) is real. `CHAOS_CLOCK` names a file with the number of seconds by which this process and its
jobs see the system clock shifted; the machine's own clock is not changed. `CHAOS_TURNS` names a file for the seconds of
the longest turn of the loop.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tests.chaos import clock, stubs

if TYPE_CHECKING:
    from attnwatch.jobs.engine import Finished

RENDERING = "attnwatch.render.video"


class _Replacing(importlib.abc.MetaPathFinder):
    """Finds the rendering module as usual, and replaces its function once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != RENDERING:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
        load = spec.loader.exec_module

        def load_and_replace(module: ModuleType) -> None:
            load(module)
            _replace(module)

        spec.loader.exec_module = load_and_replace  # type: ignore[method-assign]
        return spec


def _replace(module: ModuleType) -> None:
    module.render_outputs = stubs.instead_of(module.render_outputs)  # type: ignore[attr-defined]


if "CHAOS_CLOCK" in os.environ:
    clock.shift(os.environ["CHAOS_CLOCK"])
if RENDERING in sys.modules:
    _replace(sys.modules[RENDERING])
else:
    sys.meta_path.insert(0, _Replacing())


def _watch_turns(path: Path) -> None:
    """Keep the seconds of the longest turn of the loop, from one wait for events to the next, in a file."""
    from attnwatch.jobs.local import LocalEngine

    wait, last, longest = LocalEngine.wait, [float("inf")], [0.0]

    def wait_and_measure(self: LocalEngine, *arguments: Any) -> "list[Finished]":
        if (turn := time.monotonic() - last[0]) > longest[0]:
            longest[0] = turn
            path.write_text(f"{turn}\n")
        try:
            return wait(self, *arguments)
        finally:
            last[0] = time.monotonic()

    LocalEngine.wait = wait_and_measure  # type: ignore[method-assign]


if __name__ == "__main__":
    from attnwatch.cli.app import main

    if "CHAOS_TURNS" in os.environ:
        _watch_turns(Path(os.environ["CHAOS_TURNS"]))
    main()
