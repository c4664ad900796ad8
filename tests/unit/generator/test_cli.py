import subprocess
import sys

import pytest

from generator import cli

DEMO = "a romantic (kiss) between [two men|two (women)|a man and woman]"


@pytest.fixture
def call(capsys):
    """Run the command line in this process and return exit code, standard output and standard error."""
    return lambda *arguments: (cli.main(arguments), *capsys.readouterr())


def test_preview_prints_prompts_with_marks_choices_and_the_number_of_videos(call):
    code, out, err = call("--template", DEMO, "--videos-per-variation", "2", "--preview")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "prompt_001  a romantic (kiss) between two men  [1: two men]",
        "prompt_002  a romantic (kiss) between two (women)  [1: two women]",
        "prompt_003  a romantic (kiss) between a man and woman  [1: a man and woman]",
        "3 prompts x 2 videos = 6 videos",
    ]


def test_preview_shows_words_that_are_tracked_besides(call):
    _, out, _ = call("--template", "(two men) and a dog", "--track", "men", "--track", "DOG", "--preview")
    assert out.splitlines()[0] == "prompt_001  (two (men)) and a (dog)"


def test_preview_generates_nothing(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("--template", DEMO, "--preview")
    assert list(tmp_path.iterdir()) == []


def test_preview_of_too_many_variations_shows_how_they_begin(call):
    code, out, _ = call("--template", "[a|b|c|d|e|f|g|h|i|j]" * 12, "--preview")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 102
    assert lines[-2:] == [
        "... and 999,999,999,900 more",
        "1,000,000,000,000 prompts x 1 video = 1,000,000,000,000 videos",
    ]


def test_preview_keeps_to_the_limit(call):
    _, out, _ = call("--template", "[a|b|c|d] dog", "--max-variations", "2", "--preview")
    assert out.splitlines()[-1] == "2 prompts x 1 video = 2 videos"
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(("flag", "stored"), [("--store-per-head", True), ("--no-store-per-head", False), (None, True)])
def test_a_flag_wins_over_the_file_also_to_switch_something_off(call, tmp_path, monkeypatch, flag, stored):
    (tmp_path / "settings.yaml").write_text("attention_analysis: {store_per_head: true}")
    plans = []
    monkeypatch.setattr(cli, "_run", lambda plan, verbose: plans.append(plan) or 0)
    call("--config", str(tmp_path / "settings.yaml"), "--template", "a (dog)", *([flag] if flag else []))
    assert plans[0].settings.attention_analysis.store_per_head == stored


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no template: say what to generate with --template"),
        (["--template", "a [b"], "`[` is never closed"),
        (["--steps", "many"], "--steps"),
        (["--stepz", "1"], "--stepz"),
        (["--seed", "-5", "--template", "x"], "--seed: found -5; expected greater than or equal to 0"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml cannot be read: No such file"),
        (["--resume", "/nowhere"], "/nowhere/batch.json cannot be read"),
        (["an argument"], "an argument"),
    ],
)
def test_usage_errors_exit_with_2_and_say_what_is_wrong(call, arguments, complaint):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


def test_the_caret_of_a_template_error_stands_where_it_should(call):
    _, _, err = call("--template", "a [b")
    shown, caret = err.splitlines()[-2:]
    assert shown[caret.index("^")] == "["


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--template", DEMO, "--preview"], ["--template", "["]]
)
def test_torch_is_not_imported_before_a_batch_begins(arguments):
    program = "import sys; from generator import cli; cli.main(); sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr.decode()


def test_help_names_every_flag(call):
    _, out, _ = call("--help")
    flags = "--config --template --videos-per-variation --batch-name --output --seed --steps --guidance-scale --width "
    flags += (
        "--height --frames --fps --negative-prompt --model --device --dtype --resume --preview --max-variations -v "
    )
    flags += (
        "--offload --vae-tiling --vae-slicing --attention-backend --store-per-block --store-per-head --layers --branch "
    )
    flags += (
        "--storage-interval --spatial-downsample-factor --store-reserved --track --max-attention-bytes --self-check"
    )
    assert [flag for flag in flags.split() if flag not in out] == []


def test_missing_libraries_are_named_with_the_remedy():
    program = "import sys; sys.modules['torch'] = None; from generator import cli; sys.exit(cli.main())"
    arguments = [sys.executable, "-c", program, "--template", "a dog"]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert "pip install 'attnwatch[generator]'" in result.stderr
