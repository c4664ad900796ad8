import re
from pathlib import Path

import pytest

from attnwatch.contract.kinds import OutputKind, only
from attnwatch.settings import Visualization

FORMAT = (Path(__file__).parents[4] / "FORMAT.md").read_text(encoding="utf-8")


def test_each_kind_has_its_file_name():
    assert [kind.file_name("prompt_001_vid001", "kiss") for kind in OutputKind] == [
        "prompt_001_vid001_kiss_overlay.mp4",
        "prompt_001_vid001_kiss_attention.mp4",
        "prompt_001_vid001_kiss_static.mp4",
        "prompt_001_vid001_kiss_evolution.mp4",
        "prompt_001_vid001_combined.mp4",
    ]


def test_each_switch_of_the_settings_belongs_to_exactly_one_kind():
    switches = [name for name in Visualization.model_fields if name.startswith("generate_")]
    assert sorted(kind.setting for kind in OutputKind) == sorted(switches)


@pytest.mark.parametrize("kind", OutputKind)
def test_the_description_of_the_switch_names_the_file(kind):
    assert f"`..._{kind}.mp4`" in Visualization.model_fields[kind.setting].description


def test_the_contract_lists_the_kinds():
    (listed,) = re.findall(r"`kind` \(([^)]*)\)", FORMAT)
    assert set(re.findall(r"`(\w+)`", listed)) == set(OutputKind)


@pytest.mark.parametrize("kind", OutputKind)
def test_one_kind_alone_can_be_requested(kind):
    asked = only(kind, Visualization(colormap="gray"))
    assert [other for other in OutputKind if other.is_requested(asked)] == [kind]
    assert asked.colormap == "gray"
