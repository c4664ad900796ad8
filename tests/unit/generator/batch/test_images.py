"""Batches whose videos are made from images: plan, preview, videos, resumption."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import attnwatch
from attnwatch.cli.check import check
from generator.batch.images import log_sizes
from generator.batch.plan import plan_batch
from generator.batch.resumption import plan_resumption
from generator.batch.run import run
from generator.cli import main
from generator.config import load_settings
from generator.errors import ImageError, PromptsError, ResumeError, SettingsError
from generator.settings import Settings
from tests import families

TEMPLATE = "a (kiss) of [two men|two women]"


@pytest.fixture
def image(tmp_path):
    """Write an image of random pixels below `tmp_path`; return its path."""

    def write(name, width=64, height=48, seed=0):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return str(path)

    return write


def settings(**flags):
    return load_settings({"template": TEMPLATE, **flags}, {}, None)


def planned(**flags):
    return [(v.prompt_id, v.prompt, v.image.choice) for v in plan_batch(settings(**flags)).variations]


def test_one_image_is_no_choice_and_changes_no_name(image):
    plan = plan_batch(settings(image=[image("beach.png")]))
    assert [(video.video_id, video.variation.taken) for video in plan.videos] == [
        ("prompt_001_vid001", ("two men",)),
        ("prompt_002_vid001", ("two women",)),
    ]
    assert plan.given.image
    assert not plan.given.last_image


def test_each_prompt_is_combined_with_each_image_of_a_folder_as_one_more_choice(image, tmp_path):
    for name in ("a/beach.png", "a/old town.png"):
        image(name)
    assert planned(image=[str(tmp_path / "a")]) == [
        ("prompt_001_beach", "a kiss of two men", "beach.png"),
        ("prompt_002_old_town", "a kiss of two men", "old town.png"),
        ("prompt_003_beach", "a kiss of two women", "beach.png"),
        ("prompt_004_old_town", "a kiss of two women", "old town.png"),
    ]
    plan = plan_batch(settings(image=[str(tmp_path / "a")], sample=2))
    assert len({variation.image.first for variation in plan.variations} | {v.prompt for v in plan.variations}) >= 2
    assert plan.variations[0].taken[-1] in {"beach.png", "old town.png"}
    assert planned(image=[str(tmp_path / "a")], max_variations=1) == [
        ("prompt_001_beach", "a kiss of two men", "beach.png")
    ]


def test_images_of_the_same_name_are_told_apart_by_their_folder(image):
    same = [image("a/one.png"), image("b/one.png")]
    assert [(name, choice) for name, _, choice in planned(image=same)][:2] == [
        ("prompt_001_one", "a/one.png"),
        ("prompt_002_one_2", "b/one.png"),
    ]
    assert [choice for _, _, choice in planned(image=[same[0], same[0]])][:2] == ["a/one.png (1)", "a/one.png (2)"]


def test_pairs_have_one_prompt_for_each_image_and_no_choice(image):
    two = [image("x.png"), image("y.png")]
    assert planned(image=two, images="paired") == [
        ("prompt_001_x", "a kiss of two men", None),
        ("prompt_002_y", "a kiss of two women", None),
    ]
    with pytest.raises(ImageError, match="found 2 prompts and 3 images; expected as many of both for 'paired'"):
        planned(image=[*two, image("z.png")], images="paired")


def test_last_images_belong_to_the_first_ones_in_their_order(image):
    first, last = [image("a.png"), image("b.png")], [image("c.png"), image("d.png")]
    plan = plan_batch(settings(image=first, last_image=last))
    assert [variation.image.paths for variation in plan.variations[:2]] == [(first[0], last[0]), (first[1], last[1])]
    plan = plan_batch(settings(image=first, last_image=last[:1]))
    assert [variation.image.last for variation in plan.variations] == [last[0]] * 4
    assert plan.given.last_image
    with pytest.raises(ImageError, match="last_image: found 2 for 1 images"):
        planned(image=first[:1], last_image=last)
    with pytest.raises(ImageError, match="last_image: found one, but no image"):
        planned(last_image=last[:1])


def test_images_of_a_file_are_looked_for_beside_it_and_hold_for_their_line_alone(image, tmp_path):
    image("a.png")
    image("b.png")
    batch = image("elsewhere/c.png")
    file = tmp_path / "prompts.csv"

    def write(*rows):
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([["prompt", "image", "last_image", "name"], *rows])

    write(["a (dog)", "a.png", "", "dog"], ["a [cat|fox]", "b.png", "", ""])
    plan = plan_batch(Settings(prompts=str(file)))
    assert [(v.prompt_id, v.image.first) for v in plan.variations] == [
        ("dog", str(tmp_path / "a.png")),
        ("prompt_002", str(tmp_path / "b.png")),
        ("prompt_003", str(tmp_path / "b.png")),
    ]
    write(["a (dog)", "a.png", "", "dog"], ["a (cat)", "", "", ""])
    with pytest.raises(ImageError, match=re.escape("image: found one for 1 of 2 prompts, but none for 'a cat'")):
        plan_batch(Settings(prompts=str(file)))
    given = load_settings({"prompts": str(file), "image": [batch]}, {}, None)
    assert [v.image.first for v in plan_batch(given).variations] == [str(tmp_path / "a.png"), batch]
    several = load_settings({"prompts": str(file), "image": [batch, str(tmp_path / "b.png")]}, {}, None)
    assert [v.prompt_id for v in plan_batch(several).variations] == ["dog", "prompt_002_c", "prompt_003_b"]
    paired = load_settings({"prompts": str(file), "image": [batch] * 2, "images": "paired"}, {}, None)
    with pytest.raises(ImageError, match="found 'paired', but line 2 of the prompts has an image of its own"):
        plan_batch(paired)
    write(["a (dog)", "gone.png", "", ""])
    with pytest.raises(PromptsError, match=r"prompts.csv, line 2: found no image 'gone.png' in "):
        plan_batch(Settings(prompts=str(file)))
    write(["a (dog)", "", "a.png", ""])
    with pytest.raises(PromptsError, match="line 2: last_image: found one, but no image"):
        plan_batch(Settings(prompts=str(file)))


@pytest.mark.parametrize(("area", "pixels"), [("832x480", 832 * 480), (" 64 * 48 ", 64 * 48), (5000, 5000)])
def test_an_area_is_a_product_or_a_number(area, pixels):
    assert settings(max_area=area).video.max_area == pixels
    with pytest.raises(SettingsError, match="--max-area: found 'big'; expected a size, such as 832x480"):
        settings(max_area="big")


def test_preview_shows_the_images_and_counts_them(image, capsys):
    images = [part for name in ("x.png", "y.png") for part in ("--image", image(name))]
    assert main(["--template", TEMPLATE, *images, "--videos-per-variation", "3", "--preview"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "prompt_001_x  a (kiss) of two men  [1: two men, image: x.png]"
    assert lines[-1] == "2 prompts x 2 images x 3 videos = 12 videos"


def test_an_image_that_cannot_be_used_is_refused_by_preview_and_run_before_the_model(tmp_path, capsys):
    wrong = tmp_path / "wrong.png"
    wrong.write_text("no image")
    for more in (["--preview"], ["--model", "does/not-exist"]):
        assert main(["--template", TEMPLATE, "--image", str(wrong), *more]) == 2
        assert "wrong.png: found no image of a known kind" in capsys.readouterr().err


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A batch of one prompt and two images of other sizes, made by the command line with Wan 2.1."""
    place = tmp_path_factory.mktemp("batch")
    families.build("wan2.1-i2v").save_pretrained(place / "model")
    (place / "images").mkdir()
    for name, size in (("wide.png", (128, 64)), ("high.png", (60, 100))):
        pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(place / "images" / name)
    arguments = ["--model", str(place / "model"), "--device", "cpu", "--frames", "5", "--steps", "2"]
    arguments += ["--max-area", "64x48", "--image", str(place / "images"), "--output", str(place / "out")]
    assert main(["--template", "a (kiss)", *arguments]) == 0
    (folder,) = (place / "out").iterdir()
    return folder


def test_a_batch_from_images_is_as_the_watcher_expects_it(batch):
    assert [problem for _, problems in check(batch) for problem in problems] == []
    videos = list(attnwatch.open(batch).values())
    assert [(video.video_id, video.choices, video.image.name) for video in videos] == [
        ("prompt_001_high_vid001", ("high.png",), "high.png"),
        ("prompt_002_wide_vid001", ("wide.png",), "wide.png"),
    ]
    assert [(video.image.width, video.image.height) for video in videos] == [(60, 100), (128, 64)]
    assert videos[0].last_image is None
    assert list(attnwatch.open(batch).where(image="wide.png")) == ["prompt_002_wide_vid001"]
    made = [video.manifest.document.generation for video in videos]
    assert [(one.width, one.height) for one in made] == [(32, 64), (64, 32)]
    assert made[0].capture["image_keys"]["count"] == families.IMAGE_TOKENS
    assert 0 < made[0].capture["image_keys"]["mass"]["cond"]["kiss"]["with"] < 1
    assert videos[1].attention("kiss").shape == (2, 2, 4)


def test_what_is_cut_off_is_said_with_what_to_do(image, caplog, load_sizes):
    wide = image("wide.png", 400, 100)
    for more, advice in (({}, "the model makes no size that is nearer"), ({"width": 64}, "Omit width and height")):
        load_sizes(wide, **more)
        assert "wide.png: 50 % of its 400 x 100 pixels are cut off, because its videos have 64 x 32." in caplog.text
        assert advice in caplog.text
        caplog.clear()


@pytest.fixture
def load_sizes():
    """Tell the sizes for an image and a model that makes only one."""

    def load(path, **asked):
        plan = plan_batch(settings(image=[path], **asked))
        log_sizes(plan.variations, plan.images, {path: (64, 32)}, plan.settings.video)

    return load


def test_a_video_whose_image_was_exchanged_meanwhile_fails_alone(batch, tmp_path):
    given = json.loads((batch / "batch.json").read_text())["settings"]
    more = {"steps": 1, "frames": 5, "max_area": 64 * 48, "image": given["video"]["image"], "output": str(tmp_path)}
    plan = plan_batch(settings(template="a dog", model=given["model"]["id"], device="cpu", **more))
    first = plan.variations[0].image.first
    exchanged = {**plan.images, first: replace(plan.images[first], sha256="0" * 64)}
    assert run(replace(plan, images=exchanged), Console(stderr=True)) == 1
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "batch.complete.json").read_text())["counts"]["failed"] == 1
    note = json.loads((folder / "videos/prompt_001_high/video_001.failed.json").read_text())
    assert "high.png: found another image than at the start of the batch" in note["attempts"][0]["error"]
    assert (folder / "videos/prompt_002_wide/video_001.complete.json").exists()


def test_the_batch_file_has_the_digests_of_the_images(batch):
    document = json.loads((batch / "batch.json").read_text())
    manifest = attnwatch.open(batch)["prompt_001_high_vid001"].image
    assert document["variations"][0]["image"] == manifest.path
    assert document["image_files"][manifest.path] == manifest.sha256
    assert document["settings"]["video"]["width"] is None


def test_a_batch_is_resumed_with_its_images_wherever_they_are_now(batch, tmp_path):
    plan = plan_resumption(batch, Settings())
    assert [(v.prompt_id, v.taken, v.image.first) for v in plan.variations] == [
        (f"prompt_00{place}_{name}", (f"{name}.png",), str(batch.parents[1] / "images" / f"{name}.png"))
        for place, name in ((1, "high"), (2, "wide"))
    ]
    (tmp_path / "new").mkdir()
    for file in (batch.parents[1] / "images").iterdir():
        (tmp_path / "new" / file.name).write_bytes(file.read_bytes())
    moved = plan_resumption(batch, load_settings({"image": [str(tmp_path / "new")]}, {}, None))
    assert moved.variations[1].image.first == str(tmp_path / "new/wide.png")
    assert moved.images[str(tmp_path / "new/wide.png")].sha256 == plan.images[plan.variations[1].image.first].sha256


def test_other_images_are_refused_on_resumption(batch, tmp_path):
    source = batch.parents[1] / "images"
    (tmp_path / "new").mkdir()
    (tmp_path / "new/high.png").write_bytes((source / "high.png").read_bytes())
    given = load_settings({"image": [str(tmp_path / "new")]}, {}, None)
    with pytest.raises(ResumeError, match="was started with 2 files as image; found 1 now"):
        plan_resumption(batch, given)
    (tmp_path / "new/wide.png").write_bytes((source / "high.png").read_bytes())
    with pytest.raises(ResumeError, match=r"another image than .*new/wide\.png: its content has changed"):
        plan_resumption(batch, given)
    with pytest.raises(ResumeError, match=r"started with video.max_area 3072; found 4096 now"):
        plan_resumption(batch, load_settings({"max_area": "64x64"}, {}, None))
    gone = source / "high.png"
    content = gone.read_bytes()
    gone.unlink()
    try:
        with pytest.raises(ResumeError, match=r"found nothing at .*If the images were moved, name their new place"):
            plan_resumption(batch, Settings())
    finally:
        gone.write_bytes(content)
