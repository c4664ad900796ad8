"""Names of files that a user asks to be written."""

import re

import pytest

from attnwatch.errors import ConfigError
from attnwatch.system.output_files import require_writable

SUFFIXES = (".png", ".pdf", ".svg")


@pytest.mark.parametrize("name", ["figure.jpg", "figure", ".png", "figure.pdf.gz"])
def test_another_suffix_is_refused_with_those_that_can_be_written(tmp_path, name):
    expected = f"found {name}; expected a name that ends in .png, .pdf or .svg; choose one of these formats"
    with pytest.raises(ConfigError, match=rf"^{re.escape(expected)}$"):
        require_writable(tmp_path / name, SUFFIXES)


def test_a_file_needs_a_folder_and_must_not_be_one(tmp_path):
    with pytest.raises(ConfigError, match=r"^found no folder .*new for a.png; expected an existing one; create it$"):
        require_writable(tmp_path / "new" / "a.png", SUFFIXES)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ConfigError, match=r"^found the folder .*a.png; expected the name of a file; add one$"):
        require_writable(tmp_path / "a.png", SUFFIXES)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_made_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda _folder, _mode: False)
    with pytest.raises(ConfigError, match=r"^a.png cannot be made: .* cannot be written by user .*; change its perm"):
        require_writable(tmp_path / "a.png", SUFFIXES)


def test_a_name_that_cannot_be_looked_up_is_left_to_who_writes_it(tmp_path):
    assert require_writable(tmp_path / f"{'a' * 300}.png", SUFFIXES) == ".png"


def test_the_suffix_is_in_lower_case_and_a_bare_name_is_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A.PNG").touch()
    assert require_writable(tmp_path.relative_to(tmp_path) / "A.PNG", SUFFIXES) == ".png"
