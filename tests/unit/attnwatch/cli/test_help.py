"""Help, version and completion: what they say, and what they do not import."""

import json
import shutil
import subprocess
import sys
from inspect import cleandoc

import pytest

from attnwatch.cli.app import app
from attnwatch.cli.examples import EXAMPLES, SYNOPSIS
from tests.support import called, environment

COMMANDS = [name for name in SYNOPSIS if name]
HEAVY = ("numpy", "av", "matplotlib", "pydantic", "yaml", "watchdog", "multiprocessing", "torch")


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_help_version_completion_and_errors_of_usage_import_nothing_that_renders():
    calls = [["--help"], ["-V"], ["completion", "bash"], *([name, "--help"] for name in COMMANDS), ["--nonsense"]]
    program = f"""
import contextlib, io, json, sys
from attnwatch.cli.app import main
found = {{}}
for call in {calls!r}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(call)
    found[" ".join(call)] = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps(found))
"""
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, env=environment(), capture_output=True, text=True, check=True)
    nothing: dict[str, list[str]] = {" ".join(call): [] for call in calls}
    assert json.loads(done.stdout) == nothing | {"--nonsense": ["pydantic"]}  # which knows the names of settings


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_shows_usage_and_examples_on_80_columns(capsys, name):
    code, out, err = called(capsys, *filter(None, [name]), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(SYNOPSIS[name])
    assert out.rstrip().endswith(EXAMPLES[name].rstrip())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_help_breaks_paragraphs_only_where_the_terminal_ends(name):
    command = app[name]
    options = [one.parameter.help or "" for one in command.assemble_argument_collection(parse_docstring=True)]
    about = cleandoc(command.help).partition("\n\nParameters")[0]  # Python 3.13 has removed the indentation already
    assert [text for text in (*about.split("\n\n"), *options) if "\n" in text.strip()] == []


def test_every_command_is_listed_in_the_help(capsys):
    out = called(capsys, "--help")[1]
    assert [name for name in COMMANDS if f"\u2502 {name} " not in out] == []


def test_every_example_is_a_command_that_exists():
    for name, text in EXAMPLES.items():
        calls = [line.partition("attnwatch ")[2] for line in text.splitlines() if "attnwatch " in line]
        words = [call.split()[0] for call in calls]
        assert set(words) <= {name, "outputs/", "COMMAND", *(["run"] if not name else [])}, text


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_printed(capsys, flag):
    code, out, _ = called(capsys, flag)
    assert code == 0
    assert out[0].isdigit()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(capsys, shell):
    code, out, err = called(capsys, "completion", shell)
    assert (code, err) == (0, "")
    assert "attnwatch" in out
    assert "--on-rendered" in out
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=out, text=True, check=True, capture_output=True)


def completed_by_bash(script, *words):
    line = " ".join(words)
    asked = f"""
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
COMP_LINE='{line}' COMP_POINT={len(line)}
function=$(complete -p attnwatch | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" attnwatch '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, check=True, timeout=60)
    return {word.strip() for word in done.stdout.splitlines()}


def test_bash_completes_commands_and_options(capsys):
    script = called(capsys, "completion", "bash")[1]
    assert {"status", "settings"} <= completed_by_bash(script, "attnwatch", "s")
    assert completed_by_bash(script, "attnwatch", "doctor", "--co") == {"--config"}


@pytest.mark.parametrize("words", [("--sta",), ("run", "--com"), ("status", "--ro")])
def test_options_that_are_not_for_users_are_not_completed(capsys, words):
    script = called(capsys, "completion", "bash")[1]
    assert completed_by_bash(script, "attnwatch", *words) == {""}
