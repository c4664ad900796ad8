import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnwatch.system import font_cache
from attnwatch.system.font_cache import writable_font_folders

VARIABLES = ("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home directory, with a file in it, below which no folder can be made."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").touch()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder that cannot be written; the tests may run as root, who can write everywhere."""
    closed = tmp_path / "closed"
    closed.mkdir()
    access = os.access
    monkeypatch.setattr(font_cache.os, "access", lambda path, mode: Path(path) != closed and access(path, mode))
    return closed


def chosen():
    """Return the value of the variable within the context."""
    with writable_font_folders():
        return os.environ.get("MPLCONFIGDIR")


def test_a_writable_home_directory_is_left_alone(home, monkeypatch):
    before = sorted(home.iterdir())
    assert chosen() is None
    monkeypatch.setenv("MPLCONFIGDIR", f"{home}/fonts")
    assert chosen() == f"{home}/fonts"
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "{closed}"},
        {"HOME": "{closed}/not/there"},
        {"HOME": "{home}/file"},
        {"MPLCONFIGDIR": "{closed}/fonts"},
        {"MPLCONFIGDIR": "{closed}"},
        {"MPLCONFIGDIR": "{closed}", "XDG_CACHE_HOME": "{closed}"},
        {"XDG_CACHE_HOME": "{closed}"},
        {"XDG_CONFIG_HOME": "{home}/file"},
    ],
)
def test_a_temporary_folder_replaces_one_that_cannot_be_written(home, closed, variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=home, closed=closed))
    before = dict(os.environ)
    with writable_font_folders():
        folder = Path(os.environ["MPLCONFIGDIR"])
        (folder / "fontlist.json").touch()
    assert not folder.exists()
    assert dict(os.environ) == before


def test_the_folder_of_fontconfig_is_replaced_alone_if_matplotlib_has_its_own(home, closed, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", f"{home}/fonts")
    monkeypatch.setenv("XDG_CACHE_HOME", str(closed))
    with writable_font_folders():
        assert os.environ["MPLCONFIGDIR"] == f"{home}/fonts"
        assert Path(os.environ["XDG_CACHE_HOME"]).name.startswith("attnwatch-fonts-")
    assert os.environ["XDG_CACHE_HOME"] == str(closed)


def test_a_user_without_a_home_directory_gets_a_temporary_folder(home, monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(font_cache.Path, "home", unknown)
    assert Path(chosen()).name.startswith("attnwatch-fonts-")


def test_memory_is_used_if_there_is_no_temporary_folder(home, monkeypatch):
    monkeypatch.setattr(font_cache.tempfile, "tempdir", f"{home}/nowhere")
    monkeypatch.setenv("MPLCONFIGDIR", f"{home}/file/x")
    assert chosen().startswith("/dev/shm/")


def test_the_variable_is_left_alone_if_nothing_can_be_written(home, monkeypatch):
    monkeypatch.setattr(font_cache.tempfile, "tempdir", f"{home}/nowhere")
    monkeypatch.setattr(font_cache, "_MEMORY", home / "nowhere")
    monkeypatch.setenv("MPLCONFIGDIR", f"{home}/file/x")
    assert chosen() == f"{home}/file/x"


def test_matplotlib_uses_the_folder_without_a_warning(home):
    program = """
import os
from attnwatch.system.font_cache import writable_font_folders
with writable_font_folders():
    import matplotlib
    assert matplotlib.get_cachedir() == matplotlib.get_configdir() == os.environ["MPLCONFIGDIR"]
"""
    environment = {**os.environ, "HOME": f"{home}/file"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
