"""Imports all modules of the program in an image, as proof that nothing is missing, and compiles what every run needs.

Arguments are names of modules that are imported in every run; those of an extra that is not installed are left out.
Bytecode of all others would be 13 MB, to save half a second of a few commands. It does not depend on the times of
files, which some builders change.
"""

import importlib
import os
import pkgutil
import py_compile
import sys
import tempfile
from importlib.metadata import packages_distributions
from types import ModuleType

import attnwatch

LATER = tuple(f"matplotlib.backends.backend_{kind}" for kind in ("pdf", "svg"))  # imported when a figure is saved
INSTALLED = {*packages_distributions(), *sys.stdlib_module_names}  # anything else is an extra that this image lacks


def main(first: list[str]) -> None:
    """Fail with the error of the first module that cannot be imported."""
    for name in first:
        _import(name)
    sources = {source for module in list(sys.modules.values()) if (source := _source(module))}
    for source in sorted(sources):
        py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)

    modules = pkgutil.walk_packages(attnwatch.__path__, "attnwatch.", onerror=lambda _: None)
    names = [found.name for found in modules if not found.name.endswith("__main__")]
    for name in (*names, *LATER):
        _import(name)


def _source(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return file if file and file.endswith(".py") and module.__name__ != "__main__" else None


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in INSTALLED:
            raise


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MPLCONFIGDIR"] = folder  # matplotlib's own would be a folder of this user in the image
        main(sys.argv[1:])
