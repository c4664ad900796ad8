import subprocess
import sys

import pytest

import attnwatch
from attnwatch import library
from attnwatch.errors import (
    AttnwatchError,
)


def test_the_package_exports_exactly_these_names():
    assert attnwatch.__all__ == [
        "AttnwatchError",
        "Batch",
        "BatchComparison",
        "Clip",
        "Video",
        "compose",
        "open",
        "render_video",
    ]
    assert set(attnwatch.__all__) <= set(dir(attnwatch))
    assert attnwatch.AttnwatchError is AttnwatchError
    assert attnwatch.open is library.open
    assert attnwatch.Batch is library.Batch


def test_other_names_are_not_attributes_of_the_package():
    with pytest.raises(AttributeError, match="module 'attnwatch' has no attribute 'opne'"):
        attnwatch.opne  # noqa: B018


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import attnwatch", "numpy av matplotlib pydantic torch"),
        ("import attnwatch.cli.app", "numpy av matplotlib torch pydantic yaml watchdog"),
        ("import attnwatch; attnwatch.open; attnwatch.render_video", "torch diffusers matplotlib.pyplot"),
    ],
)
def test_modules_are_imported_only_when_needed(code, absent):
    check = f"{code}; import sys; print(*set({absent.split()}) & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == ""
