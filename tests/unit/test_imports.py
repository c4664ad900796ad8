"""The import contracts in pyproject.toml hold, and each of them rejects a wrong import."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of both packages to break."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in ("attnwatch", "generator"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "*.so", "weights"))
    return tree


def lint(tree):
    command = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    wide = {**os.environ, "COLUMNS": "300"}  # else long names are broken at the end of a line
    return subprocess.run(command, cwd=tree, env=wide, capture_output=True, text=True, timeout=60, check=False)


def lint_with(tree, module, imported):
    """Check the tree while a module imports another one."""
    path = tree.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    source = path.read_text(encoding="utf-8")
    path.write_text(f"{source}\nimport {imported}\n", encoding="utf-8")
    try:
        return lint(tree)
    finally:
        path.write_text(source, encoding="utf-8")


def upward_imports():
    """Yield, for each contract on layers, an import from its lowest layer to its highest."""
    for contract in CONTRACTS:
        if contract["type"] == "layers":
            (container,) = contract["containers"]
            highest, lowest = (contract["layers"][end].split(" | ")[0] for end in (0, -1))
            yield f"{container}.{lowest}", f"{container}.{highest}", contract["name"]


def test_all_imports_keep_the_contracts(tree):
    done = lint(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("attnwatch.report.survey", "attnwatch.batches.legacy.layouts", "older batches are behind one door"),
        ("attnwatch.library", "attnwatch.batches.legacy", "older batches are behind one door"),
        ("attnwatch.contract.receipts", "attnwatch.watch.daemon", "attnwatch: the folders, top down"),
        ("attnwatch.batches.legacy.layouts", "attnwatch.batches.legacy.pairing", "inside attnwatch.batches.legacy"),
        ("attnwatch.tensors.file", "attnwatch.tensors.reader", "inside attnwatch.tensors"),
        ("generator.outputs.store", "attnwatch.errors", "the two programs know each other only through files"),
        ("attnwatch.cli.app", "generator.errors", "the two programs know each other only through files"),
        ("attnwatch.library", "torch", "the watcher needs no torch"),
        *upward_imports(),
    ],
)
def test_a_wrong_import_breaks_its_contract(tree, module, imported, contract):
    done = lint_with(tree, module, imported)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
    assert f"{module} -> {imported}" in done.stdout
