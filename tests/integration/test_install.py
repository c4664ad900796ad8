"""The watcher works without the generator's dependencies."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.integration.generator_support import ROOT
from tests.support import Batch, attnwatch, environment, read_receipt

HEAVY = ("torch", "diffusers", "transformers", "accelerate", "tokenizers", "ftfy", "generator")
DEVELOPMENT = ("hypothesis", "pytest", "mypy", "ruff", "jsonschema")

SITECUSTOMIZE = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY + DEVELOPMENT!r}:
            with open(__file__ + ".asked", "a") as file:
                file.write(name + "\\n")
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture
def without(tmp_path):
    """Return environment variables with which no process can import the generator or its dependencies."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return {"PYTHONPATH": f"{folder}"}


def python(program, variables):
    return subprocess.run(
        [sys.executable, "-c", program], env=environment(**variables), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", HEAVY)
def test_the_environment_of_these_tests_blocks_the_import(without, name):
    done = python(f"import {name}", without)
    assert done.returncode == 1
    assert f"No module named '{name}'" in done.stderr


def test_rendering_and_checking_work_without_the_generator_in_every_process(without, tmp_path):
    manifest = Batch.make(tmp_path / "outputs").add_full()
    done = attnwatch(tmp_path / "outputs", "--once", **without)
    assert done.returncode == 0, done.stderr
    assert [output["kind"] for output in read_receipt(manifest)["outputs"]] == ["attention", "overlay", "static"]
    assert attnwatch("check", tmp_path / "outputs", **without).returncode == 0
    assert json.loads(attnwatch("schema", **without).stdout)
    assert not (tmp_path / "site" / "sitecustomize.py.asked").exists(), "a blocked import was tried"


def test_no_module_of_the_watcher_imports_the_generators_dependencies(without):
    program = """
import pkgutil, importlib, attnwatch
for module in pkgutil.walk_packages(attnwatch.__path__, "attnwatch."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    done = python(program, without)
    assert done.returncode == 0, done.stderr


def test_the_plain_installation_does_not_require_the_generators_dependencies():
    names = {
        re.match(r"[\w.-]+", requirement)[0].lower()
        for requirement in requires("attnwatch")
        if "extra ==" not in requirement
    }
    assert names
    assert not names & {*HEAVY, *DEVELOPMENT}


def test_the_generator_extra_requires_its_dependencies():
    extra = {
        re.match(r"[\w.-]+", requirement)[0].lower()
        for requirement in requires("attnwatch")
        if re.search(r"extra == .generator.", requirement)
    }
    assert {"torch", "diffusers", "transformers", "accelerate"} <= extra


@pytest.mark.slow
def test_the_same_sources_give_the_same_archives(tmp_path):
    """In whatever folder, at whatever time, and whoever owns the files."""
    found = []
    for number in (1, 2):
        copy = tmp_path / f"copy{number}"
        skipped = shutil.ignore_patterns(".*", "*.so", "*.egg-info", "build", "dist", "__pycache__", "outputs")
        shutil.copytree(ROOT, copy, ignore=skipped, copy_function=shutil.copyfile)
        (copy / "pyproject.toml").touch()
        build = (
            "import os, sys; sys.path.insert(0, 'configs/packaging'); os.umask(int(sys.argv[1])); import reproducible; "
            "os.mkdir('dist'); reproducible.build_sdist('dist'); reproducible.build_wheel('dist')"
        )
        command = [sys.executable, "-c", build, "2" if number == 1 else "63"]
        variables = {**environment(), "SOURCE_DATE_EPOCH": "1767225600"}
        subprocess.run(command, cwd=copy, env=variables, capture_output=True, check=True)
        found.append({path.name: path.read_bytes() for path in (copy / "dist").iterdir()})
    assert len(found[0]) == 2
    assert found[0].keys() == found[1].keys()
    assert [name for name, content in found[0].items() if content != found[1][name]] == []
    with tarfile.open(next((tmp_path / "copy1" / "dist").glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"configs/packaging/reproducible.py", "attnwatch/tensors/_loops.c", "tests/support.py"} <= names


def test_types_are_shipped():
    import attnwatch as package

    assert (Path(package.__file__).parent / "py.typed").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="found no make")
@pytest.mark.parametrize("target", ["man", "schema", "settings", "models"])
def test_documents_are_made_in_any_environment_that_is_there_and_else_in_a_new_one(tmp_path, target):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for path in ("pyproject.toml", "requirements/dev.txt", "attnwatch/tensors/_loops.c", ".venv/bin/python"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()

    def commands():
        made = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True)
        return made.stdout

    assert "pip install" in commands()
    (tmp_path / ".venv/.dev").touch()
    os.utime(tmp_path / ".venv/.dev", (0, 0))  # older than what it was made from
    assert "pip install" not in commands()
