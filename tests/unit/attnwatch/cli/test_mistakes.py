"""Errors of usage and of configuration have one form."""

import pytest

from attnwatch.cli.app import app
from attnwatch.cli.mistakes import with_options
from tests.support import called


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--onec"], "--onec: found an unknown option of `attnwatch`; did you mean --once?"),
        (["--nonsense"], "--nonsense: found an unknown option of `attnwatch`; `attnwatch --help`"),
        (
            ["doctor", ".", "--confg", "x"],
            "--confg: found an unknown option of `attnwatch doctor`; did you mean --config?",
        ),
        ([".", "-j", "many"], "-j: found 'many'; expected a whole number"),
        ([".", "--since", "then"], "--since: found 'then'; expected a date such as 2025-06-01"),
        ([".", "--log-format", "x"], "--log-format: found 'x'; expected one of auto, plain, rich, journald, json"),
        ([".", "--once=3"], "--once: found '3'; expected no value"),
        ([".", "--workers"], "--workers: found no value; expected one after it"),
        ([".", "-j1", "-j2"], "-j: found more than once; expected it once"),
        (["status", ".", "more"], "found 'more' after what `attnwatch status` takes; expected nothing more"),
        ([".", "--once", "--set", "workers=0"], "--workers: found 0; expected a whole number from 1 to 256"),
        (["status"], "found no folder; expected one, or the name of a batch; for example: attnwatch status outputs/"),
        (["retry"], "found no folder; expected one, or the name of a batch; for example: attnwatch retry outputs/"),
        (["doctor"], "found no folder; expected one, or the name of a batch; for example: attnwatch doctor outputs/"),
        (
            ["render", "demo", "--colour", "magma"],
            "--colour: found an unknown option of `attnwatch render`; did you mean --set colormap=VALUE?",
        ),
        (
            ["compose", "demo", "--overlay=contour"],
            "--overlay=contour: found an unknown option of `attnwatch compose`; did you mean --set overlay=VALUE?",
        ),
        (
            [".", "--log-level=debug"],
            "--log-level=debug: found an unknown option of `attnwatch`; did you mean --verbose or",
        ),
        (
            ["still", "demo", "-o", "a.pdf", "--width", "3"],
            "--width: found an unknown option of `attnwatch still`; did you mean --size?",
        ),
        (
            ["status", ".", "--jobs", "2"],
            "--jobs: found an unknown option of `attnwatch status`; `attnwatch status --help`",
        ),
        (["status", ".", "--colormap", "magma"], "--colormap: found an unknown option of `attnwatch status`; `attnw"),
        (["compare", "demo"], "found no --by; expected one; for example: attnwatch compare demo --by 1; `attnwatch"),
        (
            ["still", "demo"],
            "found no --output; expected one; for example: attnwatch still video_001.mp4 --word kiss --at 1.5s -o",
        ),
        (["still", "-o", "kiss.pdf"], "found no video; expected one; for example: attnwatch still video_001.mp4 "),
        (["import"], "found no folder; expected one, or the name of a batch; for example: attnwatch import outputs/"),
        (["view", ".", "--port", "65536"], "--port: found 65536; expected a whole number from 0 to 65535; `attnwatch"),
        (["export", "--first-number=-1"], "--first-number: found -1; expected a whole number from 0 to 1000000; `at"),
        (["compare", "demo", "--over", "x"], "--over: found 'x'; expected one of time, steps; `attnwatch compare"),
        (["still", "--dpi", "fine"], "--dpi: found 'fine'; expected a whole number; `attnwatch still --help`"),
        (["compose", "--columns", "0"], "--columns: found 0; expected a whole number from 1 on"),
        (["compose", "demo", "--max-size", "big"], "--max-size: found 'big'; expected a size such as 5MB or 800KB"),
        (["view", "--out", "none"], "--out: found no folder none; expected the folder of the outputs; check the path"),
        (["view", "--token-file", "none"], "--token-file: found none ("),
    ],
)
def test_a_mistake_is_said_as_found_expected_and_what_to_do(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = called(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_yaml_is_one_mistake(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yaml").write_text("watcher:\n  nice: [1\n  workers: 2\n")
    code, _, err = called(capsys, ".", "--once", "--config", "settings.yaml")
    assert code == 2
    assert err.startswith("error: settings.yaml: cannot be read as YAML: ")
    assert "line 3" in err
    assert len(err.splitlines()) == 1


def test_wrong_settings_are_reported_together(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = called(capsys, ".", "--once", "--set", "figsize=true", "-j", "0", "--set", "qualty=high")
    assert code == 2
    assert [line.split(": found")[0] for line in err.splitlines()] == [
        "error: --workers",
        "error: --set figsize",
        "error: --set qualty",
    ]


@pytest.mark.parametrize(
    ("arguments", "message", "said"),
    [
        (["-m", "mas"], "measures: found no 'mas'", "-m: found no 'mas'"),
        (["--measure=mas"], "measures: found no 'mas'", "--measure: found no 'mas'"),
        ([], "word: found 2 words that all 3 videos have", "--word: found 2 words that all 3 videos have"),
        ([], "batches: found none\nover: found 3", "batches: found none\n--over: found 3"),
        (["--engine", "dask"], "engine: found dask without an address", "engine: found dask without an address"),
        ([], "/videos/by: found a file", "/videos/by: found a file"),
    ],
)
def test_a_message_about_a_parameter_names_the_option_as_it_was_given(arguments, message, said):
    options = app["compare"].assemble_argument_collection()
    assert with_options(message, options, ["compare", *arguments]) == said


@pytest.mark.parametrize(("arguments", "named"), [(["--engine=dask"], "--engine"), ([], "engine")])
def test_a_setting_that_was_not_given_as_an_option_keeps_its_name(arguments, named):
    options = app["render"].assemble_argument_collection()
    assert with_options("engine: found dask without an address", options, arguments).startswith(f"{named}: found")
