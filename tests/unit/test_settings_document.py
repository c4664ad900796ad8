"""SETTINGS.md lists every setting of both programs, with its default and its meaning."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from attnwatch.settings import Visualization, Watcher
from generator.config import BLOCKS, NAMES
from generator.settings import Settings
from tests.settings_document import document

ROOT = Path(__file__).parents[2]
WRITTEN = (ROOT / "SETTINGS.md").read_text(encoding="utf-8")


def rows(title):
    """Return a section's table: name -> (default, meaning)."""
    section = WRITTEN.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {name.strip("`"): (default, meaning.replace(r"\|", "|")) for name, default, meaning in cells}


def test_the_document_is_up_to_date():
    assert document() == WRITTEN, "SETTINGS.md is stale: run `make settings`"


@pytest.mark.parametrize(("title", "model"), [("Pictures", Visualization), ("The watcher", Watcher)])
def test_every_setting_of_the_watcher_is_listed_with_its_meaning(title, model):
    meanings = {name: meaning for name, (_, meaning) in rows(title).items()}
    assert meanings == {name: field.description for name, field in model.model_fields.items()}


def test_every_setting_of_the_generator_is_listed_with_its_meaning():
    fields = {f"{block}.{key}": field for block, model in BLOCKS.items() for key, field in model.model_fields.items()}
    fields |= {
        key: field
        for key, field in Settings.model_fields.items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
        and key != "visualization"
    }
    meanings = {name: meaning for name, (_, meaning) in rows("The generator").items()}
    assert meanings == {name: field.description for name, field in fields.items()}
    assert len(NAMES) == len(fields)
    assert all(meanings.values())


@pytest.mark.parametrize(
    ("title", "name", "default"),
    [
        ("Pictures", "colormap", "`viridis`"),
        ("Pictures", "generate_overlay", "`true`"),
        ("Pictures", "vmin", "`null`"),
        ("The watcher", "workers", "half of the cores"),
        ("The watcher", "memory_limit", "`2GiB`"),
        ("The generator", "attention_analysis.track", "`[]`"),
        ("The generator", "attention_analysis.max_attention_bytes", "`4GiB`"),
        ("The generator", "video.seed", "`42`"),
        ("The generator", "model.vae_tiling", "`false`"),
    ],
)
def test_defaults_are_written_as_in_yaml(title, name, default):
    assert rows(title)[name][0] == default
