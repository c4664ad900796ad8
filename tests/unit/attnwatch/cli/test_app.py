import json
import os
import shlex
import subprocess
import sys

import jsonschema
import pytest
import yaml

from tests.support import Batch, attnwatch, called, environment, read_receipt, write_manifest


@pytest.fixture
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Batch.make(tmp_path / "outputs")


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch):
    """Remove settings from the environment, and have no run wait until a file that a test changes has settled."""
    for name in [name for name in os.environ if name.startswith("ATTNWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATTNWATCH_SETTLE_TIME", "0")


def rendered(manifest):
    receipt = read_receipt(manifest)
    return [output["kind"] for output in receipt["outputs"]] if receipt else None


def test_without_a_folder_the_error_shows_an_example(capsys):
    code, out, err = called(capsys)
    assert (code, out) == (2, "")
    assert "attnwatch outputs/" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["render"],
        ["render", "outputs", "--nonsense"],
        ["check"],
        ["schema", "nonsense"],
        ["nowhere", "--once"],
        ["nowhere", "--dry-run"],
        ["render", "nowhere"],
        ["render", "/nowhere/at/all"],
        ["check", "/nowhere/at/all"],
        ["render", "no[/thing]"],
        ["outputs", "--once", "--workers", "0"],
        ["outputs", "--once", "--workers", "many"],
        ["outputs", "--once", "--set", "colormap"],
        ["outputs", "--once", "--set", "colourmap=hot"],
        ["outputs", "--once", "--set", "overlay_alpha=7"],
        ["outputs", "--once", "--set", "colormap=virdis"],
        ["outputs", "--once", "--config", "nowhere.yaml"],
    ],
)
def test_wrong_usage_and_configuration_exit_with_2_and_an_error_on_stderr(batch, capsys, arguments):
    code, out, err = called(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.strip()
    assert "Traceback" not in err


def test_text_in_brackets_is_not_taken_for_markup(batch, capsys):
    _, _, err = called(capsys, "render", "a[/b]c[bold]d")
    assert "a[/b]c[bold]d" in err


def test_a_wrong_configuration_renders_nothing(batch, capsys):
    manifest = batch.add()
    called(capsys, "outputs", "--once", "--set", "colormap=virdis")
    assert read_receipt(manifest) is None


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["render", "--help"], ["schema", "--help"]])
def test_help_and_version_exit_with_0(capsys, arguments):
    code, out, _ = called(capsys, *arguments)
    assert code == 0
    assert out.strip()


def test_once_renders_finished_videos_and_exits_with_0(batch, capsys):
    manifest = batch.add()
    code, out, err = called(capsys, "outputs", "--once")
    assert (code, out) == (0, "")
    assert "✅ Generated attention video: prompt_001_vid001_kiss_attention.mp4\n" in err
    assert rendered(manifest) == ["attention", "overlay", "static"]


def test_once_with_nothing_to_do_exits_with_0(batch, capsys):
    assert called(capsys, "outputs", "--once")[0] == 0


def test_once_exits_with_1_if_a_video_failed_and_renders_the_others(batch, capsys):
    first, broken, last = (batch.add(number) for number in (1, 2, 3))
    (broken.parent / "video_002.mp4").write_bytes(b"no video at all")
    code, out, err = called(capsys, "outputs", "--once")
    assert (code, out) == (1, "")
    assert "❌ prompt_001_vid002" in err
    assert read_receipt(broken)["status"] == "failed"
    assert rendered(first) == rendered(last) == ["attention", "overlay", "static"]


def test_once_exits_with_1_if_a_manifest_is_refused(batch, capsys):
    batch.add(video="../v.mp4")
    code, _, err = called(capsys, "outputs", "--once")
    assert code == 1
    assert "'../v.mp4'; expected the path of a file inside" in err


def test_once_exits_with_1_if_data_is_missing(batch, capsys):
    manifest = batch.add()
    (manifest.parent / "attention_maps" / "vid001.safetensors").unlink()
    code, _, err = called(capsys, "outputs", "--once")
    assert code == 1
    assert "is not there yet" in err


def test_a_video_without_attempts_left_fails_every_run_until_it_is_repaired(batch, capsys):
    manifest = batch.add()
    good = (manifest.parent / "video_001.mp4").read_bytes()
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    assert [called(capsys, "outputs", "--once")[0] for _ in range(3)] == [1, 1, 1]
    assert len(read_receipt(manifest)["attempts"]) == 2
    (manifest.parent / "video_001.mp4").write_bytes(good)
    assert called(capsys, "outputs", "--once")[0] == 0


def test_a_video_that_is_refused_or_given_up_is_not_called_up_to_date(batch, capsys):
    batch.add()
    batch.add(prompt=2).write_text("{broken")
    batch.add(prompt=3)
    (batch.add(prompt=4).parent / "video_001.mp4").write_bytes(b"no video at all")
    for _ in range(2):
        called(capsys, "outputs", "--once", "--set", "max_attempts=1")
    said = called(capsys, "outputs", "--once", "--set", "max_attempts=1")[2]
    assert "0 videos to render, 2 up to date, 2 refused or given up" in said


def test_a_video_that_is_up_to_date_is_rendered_again_only_if_forced(batch, capsys):
    manifest = batch.add()
    called(capsys, "outputs", "--once")
    before = read_receipt(manifest)["attempts"]
    assert "0 videos to render, 1 up to date" in called(capsys, "outputs", "--once")[2]
    assert read_receipt(manifest)["attempts"] == before
    called(capsys, "outputs", "--once", "--force")
    assert read_receipt(manifest)["attempts"] != before


def test_a_dry_run_lists_videos_on_stdout_and_writes_nothing(batch, capsys):
    done, todo = batch.add(1), batch.add(2)
    called(capsys, "render", done)
    batch.add(3, format="attnwatch/2")
    code, out, err = called(capsys, "outputs", "--dry-run")
    assert code == 0
    assert out == f"{todo}\n"
    assert "attnwatch/2" in err
    assert read_receipt(todo) is None
    assert len(list((done.parent / "attention_videos").glob("*.rendered.json"))) == 1


def test_a_dry_run_with_nothing_to_do_says_so_but_not_on_stdout(batch, capsys):
    called(capsys, "render", batch.add(1))
    code, out, err = called(capsys, "outputs", "--dry-run")
    assert (code, out) == (0, "")
    assert "nothing to render: see `attnwatch status`" in err


def test_a_dry_run_ends_well_if_its_reader_stops_early(batch):
    for number in range(3):
        write_manifest(batch.prompt(number) / "v.complete.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "attnwatch", "outputs", "--dry-run"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


def test_names_that_are_not_utf8_are_printed_as_they_are(batch):
    write_manifest(batch.folder / os.fsdecode(b"\xff.complete.json"), video="v.mp4")
    done = subprocess.run(
        [sys.executable, "-m", "attnwatch", "outputs", "--dry-run"], env=environment(), capture_output=True, check=True
    )
    assert done.stdout.endswith(b"/\xff.complete.json\n")


def test_only_the_given_words_are_rendered(batch, capsys):
    manifest = batch.add(words=("dog", "kiss", "moon"))
    called(capsys, "outputs", "--once", "--tokens", "kiss,moon")
    assert {output["token"] for output in read_receipt(manifest)["outputs"]} == {"kiss", "moon"}


def test_words_may_be_given_one_by_one_and_by_their_text(batch, capsys):
    manifest = batch.add(
        words=("two_men", "kiss"),
        tokens=[{"slug": "two_men", "text": "two men"}, {"slug": "kiss", "text": "kiss"}],
    )
    called(capsys, "render", manifest, "--tokens", "two men", "--tokens", "kiss")
    assert {output["token"] for output in read_receipt(manifest)["outputs"]} == {"two_men", "kiss"}


def test_any_setting_can_be_set(batch, capsys):
    manifest = batch.add()
    called(capsys, "outputs", "--once", "--set", "generate-overlay=false", "--set", "generate_aggregated=false")
    assert rendered(manifest) == ["attention"]


def test_the_shared_file_is_read(batch, capsys, tmp_path):
    manifest = batch.add()
    content = {"model": {"id": "x"}, "attention_analysis": {"visualization_params": {"generate_overlay": False}}}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(content))
    called(capsys, "outputs", "--once", "--config", "settings.yaml", "--set", "generate_aggregated=false")
    assert rendered(manifest) == ["attention"]


def test_environment_variables_are_settings(batch, capsys, monkeypatch):
    manifest = batch.add()
    monkeypatch.setenv("ATTNWATCH_GENERATE_OVERLAY", "false")
    called(capsys, "outputs", "--once")
    assert rendered(manifest) == ["attention", "static"]


def test_quiet_says_nothing_when_all_is_well_and_verbose_says_more(batch, capsys):
    batch.add()
    assert called(capsys, "outputs", "--once", "-q")[1:] == ("", "")
    assert "started prompt_001_vid001" in called(capsys, "outputs", "--once", "--force", "-v")[2]


def test_the_log_can_be_json(batch, capsys):
    batch.add()
    code, out, err = called(capsys, "outputs", "--once", "--log-format", "json")
    assert (code, out) == (0, "")
    assert {json.loads(line)["level"] for line in err.splitlines()} == {"info"}
    assert called(capsys, "outputs", "--once", "--log-format", "yaml")[0] == 2


@pytest.mark.parametrize(
    "named",
    [
        "outputs/demo_20260102_030405/videos/prompt_001/video_001.complete.json",
        "outputs/demo_20260102_030405/videos/prompt_001/video_001.mp4",
    ],
)
def test_a_video_is_rendered_by_its_own_path_or_that_of_its_manifest(batch, capsys, named):
    first, second = batch.add(1), batch.add(2)
    assert called(capsys, "render", named)[0] == 0
    assert rendered(first)
    assert rendered(second) is None


@pytest.mark.parametrize("named", ["outputs", "demo", "demo_20260102_030405", "outputs/demo_20260102_030405", "."])
def test_a_batch_is_rendered_by_its_folder_or_its_name(batch, capsys, named):
    manifest = batch.add()
    assert called(capsys, "render", named)[0] == 0
    assert rendered(manifest)


@pytest.mark.parametrize("command", ["status", "retry", "doctor", "import"])
def test_a_folder_may_be_given_as_an_option_as_before(batch, capsys, command):
    assert called(capsys, command, "--root", "outputs")[0] in (0, 1)
    assert "found nothing at nowhere" in called(capsys, command, "--root", "nowhere")[2]


def test_a_video_named_without_a_command_is_rendered(batch, capsys):
    manifest = batch.add()
    assert called(capsys, manifest.with_name("video_001.mp4"), "--once")[0] == 0
    assert rendered(manifest)


def test_a_name_means_the_newest_batch_of_exactly_that_name(batch, capsys):
    old, new, other = (
        Batch.make(batch.folder.parent, name).add()
        for name in ("demo_20250101_000000", "demo_20270101_000000", "demo_2_20280101_000000")
    )
    called(capsys, "render", "demo")
    assert [bool(rendered(manifest)) for manifest in (old, new, other)] == [False, True, False]


def test_a_video_without_a_manifest_cannot_be_rendered_by_name(batch, capsys):
    manifest = batch.add()
    manifest.unlink()
    code, _, err = called(capsys, "render", manifest.with_name("video_001.mp4"))
    assert code == 2
    assert "video_001.complete.json" in err


def test_a_video_without_attempts_left_is_tried_again_by_name(batch, capsys):
    manifest = batch.add()
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    for _ in range(2):
        called(capsys, "outputs", "--once")
    assert called(capsys, "render", manifest)[0] == 1
    assert len(read_receipt(manifest)["attempts"]) == 3


@pytest.mark.parametrize("first", [("outputs", "--once"), ("collect", "demo")])
def test_the_suggested_command_puts_its_outputs_beside_the_others(batch, capsys, tmp_path, first):
    manifest = batch.add()
    (manifest.parent / "video_001.mp4").write_bytes(b"no video at all")
    (tmp_path / "my settings.yaml").write_text("watcher: {max_attempts: 2}")
    _, _, said = called(capsys, *first, "--out", "else where", "--config", "my settings.yaml", "--log-format", "plain")
    (receipt,) = (tmp_path / "else where").rglob("*.rendered.json")
    before = receipt.read_text()
    command = said.partition("`")[2].partition("`")[0]
    assert f"--config '{tmp_path / 'my settings.yaml'}'" in command
    assert called(capsys, *shlex.split(command)[1:])[0] == 1
    assert list((tmp_path / "else where").rglob("*.rendered.json")) == [receipt]
    assert receipt.read_text() != before
    assert not list((tmp_path / "outputs").rglob("attention_videos"))


def test_check_reports_on_stdout_and_exits_with_1_if_anything_is_wrong(batch, capsys):
    right, wrong = batch.add(1), batch.add(2, format="attnwatch/2")
    code, out, err = called(capsys, "check", "outputs")
    assert (code, err) == (1, "")
    assert f"ok     {right}\n" in out
    assert f"wrong  {wrong}\n       {wrong}: format: found 'attnwatch/2'" in out
    assert out.endswith("2 documents, 1 wrong\n")


def test_check_notes_that_a_named_video_is_not_there(batch, capsys):
    absent, present = batch.add(1, source=False), batch.add(2)
    code, out, err = called(capsys, "check", "outputs")
    assert (code, err) == (0, "")
    assert f"note   {absent}\n       video_001.mp4 is not there, so there will be no overlay; check the name" in out
    assert f"ok     {present}\n" in out
    assert out.endswith("2 documents, 0 wrong, 1 with a note\n")


def test_check_exits_with_0_if_everything_is_valid(batch, capsys):
    batch.add_full()
    assert called(capsys, "check", "demo")[0] == 0


def test_check_reports_that_there_is_nothing_to_check(batch, capsys):
    code, out, err = called(capsys, "check", "outputs")
    assert (code, out) == (2, "")
    assert "*.complete.json" in err


@pytest.mark.parametrize("document", [[], ["manifest"], ["batch"], ["batch-complete"], ["receipt"], ["status"]])
def test_schema_prints_a_schema(capsys, document):
    code, out, err = called(capsys, "schema", *document)
    assert (code, err) == (0, "")
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


def test_the_module_can_be_run(tmp_path):
    done = attnwatch("schema", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["title"] == "attnwatch manifest, version 1"
