import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnwatch.system import font_cache as fontcache
from attnwatch.system.font_cache import matplotlib_folder


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


def chosen(**environment):
    """Return what the variable says within the context."""
    with matplotlib_folder(environment):
        return environment.get("MPLCONFIGDIR")


def test_where_the_home_directory_can_be_written_nothing_is_changed_and_nothing_made(home):
    assert chosen(HOME=str(home)) is None
    assert list(home.iterdir()) == []
    assert chosen(MPLCONFIGDIR=f"{home}/fonts") == f"{home}/fonts"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HOME": "/nonexistent"},
        {"HOME": "/proc"},
        {"MPLCONFIGDIR": "/proc/fonts"},
        {"HOME": "{home}", "XDG_CACHE_HOME": "/proc"},
        {"HOME": "{home}", "XDG_CONFIG_HOME": "{home}/file"},
    ],
)
def test_where_it_cannot_there_is_a_folder_for_the_time_of_the_context(home, variables, monkeypatch):
    (home / "file").touch()
    # The tests may run as root, who may make folders in /, and to whom /proc seems to be writable.
    access = os.access
    monkeypatch.setattr(
        fontcache.os, "access", lambda path, mode: str(path) not in ("/", "/proc") and access(path, mode)
    )
    environment = {name: value.format(home=home) for name, value in variables.items()}
    before = dict(environment)
    with matplotlib_folder(environment):
        folder = Path(environment["MPLCONFIGDIR"])
        (folder / "fontlist.json").touch()
    assert not folder.exists()
    assert environment == before


def test_without_a_temporary_folder_there_is_memory(home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setattr(fontcache.tempfile, "tempdir", f"{home}/nowhere")
    assert chosen(MPLCONFIGDIR=f"{home}/file/x").startswith("/dev/shm/")


def test_where_nothing_can_be_written_matplotlib_says_so_itself(home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setattr(fontcache.tempfile, "tempdir", f"{home}/nowhere")
    monkeypatch.setattr(fontcache, "_MEMORY", home / "nowhere")
    assert chosen(MPLCONFIGDIR=f"{home}/file/x") == f"{home}/file/x"


def test_matplotlib_takes_it_without_a_word(home):
    (home / "file").touch()
    program = """
import os
from attnwatch.system.font_cache import matplotlib_folder
with matplotlib_folder():
    import matplotlib
    assert matplotlib.get_cachedir() == matplotlib.get_configdir() == os.environ["MPLCONFIGDIR"]
"""
    environment = {**os.environ, "HOME": f"{home}/file"}
    for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
