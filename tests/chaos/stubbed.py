"""The real `attnwatch`, except that `tests.chaos.stubs` decides what a job renders.

The rendering function is replaced when its module is loaded, in every process, so everything around it (processes,
limits, locks, receipts) is real. `CHAOS_CLOCK` names a file with the number of seconds by which this process and its
jobs see the system clock shifted; the machine's own clock is not changed.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from tests.chaos import clock, stubs

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

if __name__ == "__main__":
    from attnwatch.cli.app import main

    main()
