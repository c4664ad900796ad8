"""Calls `attnwatch compare`."""

import csv
import re

import pytest
from rich.cells import cell_len

from attnwatch.jobs import measures
from tests.support import Batch, blob_maps, called

pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'attnwatch[measure]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six seeds of two choices: the attention to "kiss" is twice as much with two women, and as concentrated."""
    folder = tmp_path_factory.mktemp("compare")
    batch = Batch.make(folder / "outputs")
    for prompt, choice in enumerate(("two men", "two women"), start=1):
        for seed in range(1, 7):
            maps = {"kiss": blob_maps(peak=0.2 * prompt) * (1 + seed / 100), "man": blob_maps()}
            generation = {"seed": seed, "choices": [choice], "model": "tiny", "prompt": f"{choice} kiss", "fps": 8.0}
            batch.add(seed, prompt=prompt, tensors=maps, source=False, generation=generation)
    batch.add(9, prompt=2, tensors={"kiss": blob_maps()}, source=False, generation={"choices": ["two men"]})
    return folder


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


KISS = ("--by", "1", "--word", "kiss", "--measure", "mass,concentration")


def test_results_notes_and_sentences_are_printed_in_whole_lines(capsys):
    code, out, err = called(capsys, "compare", "demo", *KISS)

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Attention to 'kiss', 'two women' minus 'two men', 6 seeds"
    assert lines[1].split("  ")[0] == "measure"
    mass, concentration = (line.split() for line in lines[2:4])
    assert float(mass[2]) == pytest.approx(2 * float(mass[1]), rel=0.01)
    assert (mass[0], mass[-2:]) == ("mass", ["0.031", "0.062"])
    assert concentration[3] == "0.00"
    assert "Left out: 1 video without a seed." in lines
    assert lines[-2].startswith(
        "There were too few seeds to show a difference in the mass of attention to 'kiss' between"
    )
    assert lines[-1].startswith("No difference") or lines[-1].startswith("There were too few seeds")


def test_with_one_measure_the_same_seeds_show_the_difference(capsys):
    out = called(capsys, "compare", "demo", "--by", "1", "--word", "kiss", "-m", "mass")[1]
    (last,) = out.splitlines()[-1:]
    assert last.startswith(
        "More of the attention went to 'kiss' with 'two women' than with 'two men' (mean difference "
    )
    assert last.endswith(", p = 0.031, n = 6 seeds).")


def test_a_terminal_of_80_columns_is_enough_for_the_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stdout for a terminal
    out = called(capsys, "compare", "demo", *KISS)[1]
    assert max(map(cell_len, re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines())) <= 80
    assert "concentration" in out


def test_results_are_written_as_a_table_and_drawn(capsys, folder):
    code, _, err = called(capsys, "compare", "demo", *KISS, "-o", "kiss.csv", "--figure", "kiss.svg")

    assert code == 0
    assert "kiss.csv: 2 rows" in err
    rows = list(csv.DictReader((folder / "kiss.csv").read_text().splitlines()))
    assert [(row["measure"], row["first"], row["second"], row["first_n"]) for row in rows] == [
        ("mass", "two men", "two women", "6"),
        ("concentration", "two men", "two women", "6"),
    ]
    assert "two women" in (folder / "kiss.svg").read_text(encoding="utf-8")


def test_videos_that_cannot_be_measured_are_named_and_the_others_compared(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batch = Batch.make(tmp_path / "outputs")
    for number, choice in enumerate(("a", "b", "b"), start=1):
        batch.add(number, generation={"seed": number // 3, "choices": [choice]})
    next(batch.prompt().glob("attention_maps/vid002*")).write_bytes(b"broken")

    code, out, err = called(capsys, "compare", "demo", "--by", "1")

    assert code == 1
    assert "1 of 3 videos not measured" in " ".join(err.split())
    assert "compared unpaired" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "1"], "error: found no batch; expected at least one; for example: attnwatch compare demo --by 1"),
        (["demo"], "--by"),
        (["demo", "--by", "2"], "error: --by: found '2'; expected 1 (two men, two women), model or batch"),
        (["demo", "--by", "batch"], "error: --by: found only 'demo"),
        (["demo", "--by", "1", "--word", "dog"], "error: --word: found no 'dog'; expected one of kiss, man, or slot:N"),
        (["demo", "--by", "1", "-m", "mas"], "error: -m: found no 'mas'; did you mean 'mass'?"),
        (["demo", "--by", "1", "--figure", "a.gif"], "expected a name that ends in .png, .pdf or .svg"),
        (["demo", "--by", "1", "--figure", "none/a.png"], "error: found no folder none for a.png; expected an"),
        (["demo", "--by", "1", "--over", "time"], "error: --over: found time without a figure; expected one;"),
        (["demo", "--by", "1", "-o", "a.xlsx"], "error: found a.xlsx; expected a name that ends in .csv,"),
    ],
)
def test_wrong_usage_is_refused(capsys, arguments, said):
    code, out, err = called(capsys, "compare", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_a_missing_library_is_told_before_anything_is_measured(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.stats", None)
    code, out, err = called(capsys, "compare", "demo", *KISS)
    assert (code, out) == (2, "")
    assert "found no scipy; expected it for tables and comparisons; install it: pip install 'attnwatch[measure]'" in err


@pytest.mark.parametrize(("over", "label"), [("time", "time (s)"), ("steps", "denoising step")])
def test_the_figure_may_show_how_measures_go_and_each_video_is_measured_once(capsys, folder, monkeypatch, over, label):
    measured, measure = [], measures.measures_of
    monkeypatch.setattr(measures, "measures_of", lambda one, **how: measured.append(one.path) or measure(one, **how))
    asked = ("--by", "1", "--word", "kiss", "-m", "mass,speed", "--over", over, "--figure", "over.svg")
    code, _, err = called(capsys, "compare", "demo", *asked)
    assert code == 0
    assert f"speed: has no values over {over}" in err
    assert label in (folder / "over.svg").read_text(encoding="utf-8")
    assert len(measured) == len(set(measured)) == 13
