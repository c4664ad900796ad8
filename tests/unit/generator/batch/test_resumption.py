import json
import re
from pathlib import Path

import pytest

from generator.batch.plan import plan_batch
from generator.batch.resumption import plan_resumption
from generator.config import load_settings
from generator.errors import ResumeError, TemplateError, UsageError
from generator.models.sources import digests
from generator.settings import ModelSettings, Settings, VideoSettings

TEMPLATE = "a (kiss) between [two men|two women]"


def settings(**video):
    return Settings(template=TEMPLATE, video=VideoSettings(**video))


@pytest.fixture
def batch(tmp_path):
    """Write a batch file as the generator does, optionally changed."""

    def write(**changes):
        plan = plan_batch(settings(seed=7, width=64, height=64, videos_per_variation=2))
        document = {
            "format": "attnwatch/1",
            "template": plan.template,
            "videos": [{"video_id": video.video_id, "seed": video.seed} for video in plan.videos],
            "settings": plan.settings.model_dump(mode="json", exclude={"template", "visualization"}),
            "model_revision": "abc",
            "visualization": {"colormap": "hot"},
            **changes,
        }
        (tmp_path / "batch.json").write_text(json.dumps(document))
        return tmp_path

    return write


def test_a_resumed_batch_follows_its_original_plan(batch):
    plan = plan_resumption(batch(), Settings())
    assert plan.template == TEMPLATE
    assert plan.settings.video.seed == 7
    assert plan.settings.model.revision == "abc"
    assert plan.settings.visualization == {"colormap": "hot"}
    assert len(plan.videos) == 4


def test_the_same_settings_may_be_given_again(batch):
    flags = {"template": TEMPLATE, "seed": 7, "width": 64, "model": "tiny", "dtype": "auto"}
    assert plan_resumption(batch(), load_settings(flags, {}, None)).videos[0].seed == 7


def test_the_order_may_change_on_resumption(batch):
    plan = plan_resumption(batch(), load_settings({"order": "prompts"}, {}, None))
    assert plan.queue == plan.videos
    assert plan_resumption(batch(), Settings()).queue != plan.videos


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"template": "a (dog)"}, f"started with template {TEMPLATE!r}; found 'a (dog)' now"),
        ({"model": "Wan-AI/other"}, "started with model.id 'tiny'; found 'Wan-AI/other' now"),
        ({"seed": 8}, "started with video.seed 7; found 8 now"),
        ({"width": 128}, "started with video.width 64; found 128 now"),
        ({"videos_per_variation": 3}, "started with video.videos_per_variation 2; found 3 now"),
        (
            {"videos_per_variation": 5},
            "or start a new batch with --seed 9 and --videos-per-variation 3: `attnw",
        ),
        ({"storage_dtype": "float32"}, "started with attention_analysis.storage_dtype 'float16'; found 'float32' now"),
    ],
)
def test_settings_other_than_those_of_the_batch_are_refused(batch, flags, complaint):
    with pytest.raises(ResumeError, match=re.escape(complaint)):
        plan_resumption(batch(), load_settings(flags, {}, None))


def test_the_newest_batch_of_a_name_is_suggested_for_a_folder_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("kiss_20260101_000000", "kiss_20260202_000000", "kissing_20270101_000000"):
        (tmp_path / "outputs" / name).mkdir(parents=True)
        (tmp_path / "outputs" / name / "batch.json").touch()
    with pytest.raises(ResumeError, match=r"Did you mean outputs/kiss_20260202_000000\?$"):
        plan_resumption(Path("kiss"), Settings())
    with pytest.raises(ResumeError, match=r"Expected the folder of one batch, such as outputs/demo_20250101_120000$"):
        plan_resumption(Path("hug"), Settings())


def test_a_batch_may_be_resumed_on_another_device(batch):
    plan = plan_resumption(batch(), Settings(model=ModelSettings(device="cuda:1"), output="elsewhere"))
    assert plan.settings.model.device == "cuda:1"


def test_an_edited_batch_file_is_refused(batch):
    with pytest.raises(ResumeError, match="lists other videos"):
        plan_resumption(batch(videos=[{"video_id": "prompt_001_vid001", "seed": 99}]), Settings())
    with pytest.raises(ResumeError, match="is not a batch file of this generator"):
        plan_resumption(batch(settings={"video": {"unknown": 1}}), Settings())
    with pytest.raises(TemplateError):
        plan_resumption(batch(template="a [b"), Settings())


@pytest.mark.parametrize("content", ["", "[]", "{}", "\ufffd"])
def test_a_file_that_is_not_a_batch_file_is_refused(tmp_path, content):
    (tmp_path / "batch.json").write_text(content)
    with pytest.raises(ResumeError, match=r"batch\.json"):
        plan_resumption(tmp_path, Settings())


def test_a_folder_without_a_batch_file_is_refused(tmp_path):
    with pytest.raises(ResumeError, match=r"No such file.*Expected the folder of one batch"):
        plan_resumption(tmp_path, Settings())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"videos": [None]}, "found a value of another type"),
        ({"videos": None}, "found a value of another type"),
        ({"settings": None}, "found a value of another type"),
        ({"visualization": None}, "visualization: found None"),
        ({"model_revision": 5}, "revision: found 5"),
        ({"template": None}, "lists other videos|no template"),
        ({"settings": {"video": {"steps": "many"}}}, "video.steps: found 'many'"),
    ],
)
def test_a_damaged_batch_file_is_described(batch, changes, complaint):
    with pytest.raises(UsageError, match=complaint):
        plan_resumption(batch(**changes), Settings())


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000])
def test_a_batch_file_that_is_no_document_is_refused_with_a_remedy(tmp_path, content):
    (tmp_path / "batch.json").write_text(content)
    with pytest.raises(ResumeError, match="Restore it from a copy, or start a new batch"):
        plan_resumption(tmp_path, Settings())


def test_a_template_of_more_variations_than_the_batch_is_refused_before_they_are_expanded(batch):
    with pytest.raises(ResumeError, match="lists other videos"):
        plan_resumption(batch(template="[a|b]" * 40), Settings())


@pytest.fixture
def away(tmp_path, monkeypatch):
    """A batch of a model in a folder with a LoRA, both given by relative paths; the shell is elsewhere then."""
    for name, content in {"models/w/model_index.json": '{"net": ["a", "B"]}', "models/w/net/x.bin": "1"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "lora.bin").write_text("2")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    wanted = Settings(template=TEMPLATE, model=ModelSettings(id="models/w", lora=("lora.bin:0.5",)))
    plan = plan_batch(wanted)
    document = {
        "template": TEMPLATE,
        "videos": [{"video_id": video.video_id, "seed": video.seed} for video in plan.videos],
        "settings": plan.settings.model_dump(mode="json", exclude={"template", "visualization"}),
        "model_files": digests(plan.settings.model),
        "visualization": {},
    }
    (tmp_path / "batch.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def test_a_batch_is_resumed_from_another_working_directory(away):
    model = plan_resumption(away, Settings()).settings.model
    assert (model.id, model.lora) == (str(away / "models/w"), (f"{away / 'lora.bin'}:0.5",))


def test_a_model_that_was_moved_is_named_again(away):
    (away / "models").rename(away / "moved")
    (away / "lora.bin").rename(away / "elsewhere" / "moved.bin")
    with pytest.raises(
        ResumeError, match=r"found nothing at .*models/w. If it was moved, name its new place with --model"
    ):
        plan_resumption(away, Settings())
    with pytest.raises(ResumeError, match=r"found nothing at .*lora.bin. .* name its new place with --lora"):
        plan_resumption(away, load_settings({"model": "../moved/w"}, {}, None))
    flags = {"model": "../moved/w", "lora": ["moved.bin:0.5"]}
    model = plan_resumption(away, load_settings(flags, {}, None)).settings.model
    assert (model.id, model.lora) == (str(away / "elsewhere/../moved/w"), (f"{away / 'elsewhere/moved.bin'}:0.5",))


def test_other_weights_are_refused_wherever_they_are(away):
    (away / "models/w/net/x.bin").write_text("other")
    for flags in ({}, {"model": str(away / "models/w")}):
        with pytest.raises(ResumeError, match=r"was started with other weights than those in .*models/w\. All videos"):
            plan_resumption(away, load_settings(flags, {}, None))


@pytest.mark.parametrize(
    "flags", [{"lora": ["../lora.bin"]}, {"lora": []}, {"model": "tiny"}, {"embeddings": ["../lora.bin"]}]
)
def test_other_weights_of_a_lora_or_another_number_of_them_are_refused(away, flags):
    with pytest.raises(ResumeError, match=r"found (nothing at tiny|.* now\. All videos of a batch share)"):
        plan_resumption(away, load_settings(flags, {}, None))


def test_a_batch_file_without_digests_is_resumed_with_the_same_path_only(away, monkeypatch):
    content = json.loads((away / "batch.json").read_text())
    del content["model_files"]
    content["settings"]["model"] |= {"id": "models/w", "lora": []}
    (away / "batch.json").write_text(json.dumps(content))
    monkeypatch.chdir(away)
    assert plan_resumption(away, Settings()).settings.model.id == str(away / "models/w")
    assert plan_resumption(away, load_settings({"model": "models/w"}, {}, None)).settings.model.id
    with pytest.raises(ResumeError, match=r"was started with model\.id 'models/w'; found 'models' now"):
        plan_resumption(away, load_settings({"model": "models"}, {}, None))
