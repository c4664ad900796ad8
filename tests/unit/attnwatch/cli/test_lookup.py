"""Paths on the command line; `test_app.py` and `test_commands.py` test the rest."""

from pathlib import Path

import pytest

from attnwatch.cli.lookup import folder, root_of
from attnwatch.errors import ConfigError


@pytest.mark.parametrize("resolve", [root_of, folder])
@pytest.mark.parametrize("path", ["/", "/tmp/..", "link"])
def test_the_whole_file_system_is_refused(resolve, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("/")
    with pytest.raises(ConfigError, match="the whole file system"):
        resolve(Path(path))


def test_a_path_stays_as_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    Path("link").symlink_to("outputs")
    assert root_of(Path("link")) == folder(Path("link")) == tmp_path / "link"
