import os
import re
import subprocess
import sys

import pytest

from generator import cli
from generator.config import NAMES, field_of, flag_of

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


def test_preview_shows_words_of_the_track_flag(call):
    _, out, _ = call("--template", "(two men) and a dog", "--track", "men", "--track", "DOG", "--preview")
    assert out.splitlines()[0] == "prompt_001  (two (men)) and a (dog)"


def test_preview_warns_of_prompts_that_are_the_same(call):
    code, out, err = call("--template", "a [(cat)|dog|cat|dog]", "--preview")
    assert (code, len(out.splitlines())) == (0, 5)
    assert err == "warning: prompt_001 and prompt_003 have the same prompt, 'a cat', and so the same videos\n"


def test_preview_generates_nothing(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("--template", DEMO, "--preview")
    assert list(tmp_path.iterdir()) == []


def test_preview_of_a_huge_template_shows_the_first_hundred_prompts_and_that_the_run_would_refuse_it(call):
    code, out, err = call("--template", "[a|b|c|d|e|f|g|h|i|j]" * 12, "--preview")
    lines = out.splitlines()
    assert code == 2
    assert err.startswith("error: the run would refuse this: the template has 1,000,000,000,000 variations")
    assert len(lines) == 102
    assert lines[-2:] == [
        "... and 999,999,999,900 more",
        "1,000,000,000,000 prompts x 1 video = 1,000,000,000,000 videos",
    ]


def test_preview_says_what_the_run_would_refuse(call):
    code, out, err = call("--template", DEMO, "--track", "purple", "--preview")
    assert code == 2
    assert len(out.splitlines()) == 4
    assert err.startswith("error: the run would refuse this: track: found 'purple' in none of 3 prompts")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--device", "cuda:99"], "device cuda:99 cannot be used: .*Try `cpu` or `auto`"),
        (["--device", "cpu", "--offload", "model"], "offload: found 'model', but the device is a CPU"),
    ],
)
def test_preview_says_that_there_is_no_such_device(call, arguments, complaint):
    code, out, err = call("--template", DEMO, "--preview", *arguments)
    assert (code, len(out.splitlines())) == (2, 4)
    assert re.match(f"error: the run would refuse this: {complaint}", err)


def test_preview_says_that_a_word_is_in_no_negative_prompt(call):
    code, _, err = call("--template", DEMO, "--negative-prompt", "dark", "--track-negative", "blurry", "--preview")
    assert code == 2
    assert err.startswith("error: the run would refuse this: track_negative: found no 'blurry' in the negative prompt")


def test_preview_warns_of_syntax_of_other_tools(call):
    code, out, err = call("--template", "a {red|blue} (car)", "--preview")
    assert (code, len(out.splitlines())) == (0, 2)
    assert err == "warning: found syntax of other tools, which has no meaning here: {red|blue} (write [red|blue])\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--width", "100"], "width 100: .* needs a multiple of 16"),
        (["--layers", "99"], "layers: "),
        (["--negative-prompt", "x"], None),
    ],
)
def test_preview_asks_a_model_in_a_folder_without_loading_its_weights(call, random_weights, arguments, complaint):
    for weights in random_weights.rglob("*.safetensors"):
        weights.rename(weights.with_suffix(".moved"))
    try:
        code, out, err = call("--model", str(random_weights), "--template", DEMO, "--preview", *arguments)
    finally:
        for weights in random_weights.rglob("*.moved"):
            weights.rename(weights.with_suffix(".safetensors"))
    assert len(out.splitlines()) == 4
    if complaint is None:
        assert (code, err) == (0, "")
    else:
        assert code == 2
        assert re.search(f"the run would refuse this: .*{complaint}", err)


def test_preview_of_a_file_shows_what_holds_for_single_prompts(call, tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("prompt,negative,seed,name\na [red|blue] (dog),blurry,7,dog\na (cat),,,\n")
    code, out, err = call("--prompts", str(file), "--preview")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "dog_001  a red (dog)  [1: red, seed: 7, negative: blurry]",
        "dog_002  a blue (dog)  [1: blue, seed: 7, negative: blurry]",
        "prompt_003  a (cat)",
        "3 prompts x 1 video = 3 videos",
    ]


def test_preview_of_a_sample_shows_the_prompts_of_the_run(call, monkeypatch):
    arguments = ["--template", "[a|b|c|d|e|f|g|h|i|j]" * 12, "--sample", "3", "--sample-seed", "5"]
    code, out, err = call(*arguments, "--preview")
    plans = []
    monkeypatch.setattr(cli, "_run", lambda plan, verbose: plans.append(plan) or 0)
    call(*arguments)
    prompts = [f"{variation.prompt_id}  {variation.prompt}  [" for variation in plans[0].variations]
    assert (code, err) == (0, "")
    assert [line[: len(prompt)] for line, prompt in zip(out.splitlines()[:-1], prompts, strict=True)] == prompts


def test_preview_respects_max_variations(call):
    _, out, _ = call("--template", "[a|b|c|d] dog", "--max-variations", "2", "--preview")
    assert out.splitlines()[-1] == "2 prompts x 1 video = 2 videos"
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(("flag", "stored"), [("--store-per-head", True), ("--no-store-per-head", False), (None, True)])
def test_a_flag_overrides_the_file_and_can_switch_a_setting_off(call, tmp_path, monkeypatch, flag, stored):
    (tmp_path / "settings.yaml").write_text("attention_analysis: {store_per_head: true}")
    plans = []
    monkeypatch.setattr(cli, "_run", lambda plan, verbose: plans.append(plan) or 0)
    call("--config", str(tmp_path / "settings.yaml"), "--template", "a (dog)", *([flag] if flag else []))
    assert plans[0].settings.attention_analysis.store_per_head == stored


def test_lists_and_sizes_are_taken_from_flags(call, monkeypatch):
    plans = []
    monkeypatch.setattr(cli, "_run", lambda plan, verbose: plans.append(plan) or 0)
    call(
        *("--template", "red, green (dog)", "--layers", "0,14,29", "--max-attention-bytes", "2GiB"),
        *("--track", "red, green", "--track", "dog"),
    )
    kept = plans[0].settings.attention_analysis
    assert kept.layers == (0, 14, 29)
    assert kept.max_attention_bytes == 2 * 2**30
    assert kept.track == ("red, green", "dog")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no template: describe the videos with --template"),
        (["--template", "a [b"], "`[` is never closed"),
        (["--steps", "many"], "--steps"),
        (["--stepz", "1"], "--stepz"),
        (["--seed", "-5", "--template", "x"], "--seed: found -5; expected greater than or equal to 0"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml cannot be read: No such file"),
        (["--resume", "/nowhere"], "/nowhere/batch.json cannot be read"),
        (["--resume", "/nowhere", "--claim", "/there"], "found --resume /nowhere and --claim /there; expected one"),
        (["--claim", "/nowhere"], "--claim: found no batch.json in /nowhere; expected the folder of a batch that has"),
        (["--claim", "/nowhere", "--preview"], "--claim: found no batch.json in /nowhere"),
        (["--claim", "/etc", "--template", "x", "--preview"], "and no batch.json in /etc; expected the folder of one"),
        (["--claim", "/there", "--output", "out"], "found --claim /there and --output out; expected one"),
        (["--claim", "/there", "--batch-name", "kiss"], "found --claim /there and --batch-name kiss; expected one"),
        (["--template", "x", "--verify"], "found --verify; expected --resume or --claim with it"),
        (["an argument"], "an argument"),
    ],
)
def test_usage_errors_exit_with_2_and_name_the_mistake(call, arguments, complaint):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


def test_the_caret_of_a_template_error_points_at_the_mistake(call):
    _, _, err = call("--template", "a [b")
    shown, caret = err.splitlines()[-2:]
    assert shown[caret.index("^")] == "["


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--template", DEMO, "--preview"], ["--template", "["]]
)
def test_torch_is_not_imported_before_a_batch_starts(arguments):
    program = "import sys; from generator import cli; cli.main(); sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr.decode()


def test_help_shows_the_flag_and_the_meaning_of_every_setting():
    # In a process of its own: the console keeps the width that it had when it was first used.
    command, wide = [sys.executable, "-m", "generator", "--help"], {**os.environ, "COLUMNS": "300", "LINES": "100"}
    out = subprocess.run(command, env=wide, capture_output=True, text=True, check=True, timeout=600).stdout
    own = {"--config", "--resume", "--claim", "--verify", "--preview", "--verbose", "--help", "--version"}
    shown = {name: field_of(place) for name, place in NAMES.items() if name not in cli.WITHOUT_FLAG}
    switches = {flag_of(f"no_{name}") for name, field in shown.items() if field.annotation is bool}
    assert set(re.findall(r"--[a-z][a-z-]+", out)) == {*own, *map(flag_of, shown), *switches}
    for field in shown.values():
        assert field.description.replace("`", "")[1:] in out
    assert "a prompt adds 1 (default: 42)." in out
    assert "Store a map for each denoising step (default: on)." in out
    assert "(default: 4GiB)." in out


def test_missing_libraries_are_named_with_the_remedy():
    program = "import sys; sys.modules['torch'] = None; from generator import cli; sys.exit(cli.main())"
    arguments = [sys.executable, "-c", program, "--template", "a dog"]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert "pip install 'attnwatch[generator]'" in result.stderr
