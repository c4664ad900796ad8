"""configs/attnwatch.1 is the help of the command line."""

import shutil
import subprocess
from pathlib import Path

import pytest

from attnwatch.cli.examples import SYNOPSIS
from tests.man_page import document

PAGE = Path(__file__).parents[2] / "configs" / "attnwatch.1"


def test_the_page_is_up_to_date():
    assert document() == PAGE.read_text(encoding="utf-8"), "configs/attnwatch.1 is stale: run `make man`"


def test_every_command_has_a_section():
    assert [name for name in SYNOPSIS if name and f'.SS "{name}"' not in document()] == []


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_page_is_formatted_without_a_warning():
    run = ["groff", "-ww", "-man", "-Tutf8", str(PAGE)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    assert "render where a text-to-video model attends" in " ".join(done.stdout.replace("\u2010", "-").split())
