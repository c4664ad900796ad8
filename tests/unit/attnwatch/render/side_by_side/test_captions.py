"""What videos have in common, and what sets them apart."""

from pathlib import Path

import pytest

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.manifest import Manifest
from attnwatch.render.side_by_side.captions import captions
from attnwatch.system.roots import Root


def manifest(prompt, seed=None, video_id="prompt_001_vid001", folder="a"):
    document = ManifestDocument(
        format="attnwatch/1",
        video="video.mp4",
        attention=("maps.safetensors",),
        video_id=video_id,
        generation={"prompt": prompt, "seed": seed},
    )
    path = Path("/", folder, "video.complete.json")
    return Manifest(path, document, "", path.parent, path, (), path.parent, Root(path.parent))


def texts(*made):
    found = captions([manifest(*one) for one in made])
    return found.title, list(found.each)


def test_a_single_video_has_a_title_alone():
    assert texts(("a kiss", 42)) == ("seed 42: “a kiss”", [""])


def test_a_video_without_a_prompt_has_its_name():
    assert texts((None,)) == ("prompt_001_vid001", [""])
    assert texts((None, 7, "night"), ("a kiss", 7)) == ("seed 7", ["night", "“a kiss”"])


def test_of_one_prompt_the_seeds_are_told():
    assert texts(("a kiss", 42), ("a kiss", 43)) == ("“a kiss”", ["seed 42", "seed 43"])


@pytest.mark.parametrize(
    ("prompts", "title", "each"),
    [
        (
            ["a kiss between two men at night", "a kiss between two women at night"],
            "“a kiss between two … at night”",
            ["“men”", "“women”"],
        ),
        (["a red car", "a red car driving"], "“a red …”", ["“car”", "“car driving”"]),
        (
            ["a kiss of two men in a park at night, photo", "a kiss of a dog and a cat in a park at night, 35 mm"],
            "“a kiss of … in a park at night, …”",
            ["“two men … photo”", "“a dog and a cat … 35 mm”"],
        ),
        (["a big kiss", "a kiss, big"], "", ["“a big kiss”", "“a kiss, big”"]),
        (["red car in town", "blue car in town"], "“… car in town”", ["“red”", "“blue”"]),
        (["a kiss", "two dogs in a park"], "", ["“a kiss”", "“two dogs in a park”"]),
        (["the kiss", "the dog", "the cat and the dog"], "", ["“the kiss”", "“the dog”", "“the cat and the dog”"]),
        (["两个男人在公园接吻", "两个女人在公园接吻"], "“两个…人在公园接吻”", ["“男”", "“女”"]),
    ],
)
def test_of_different_prompts_the_parts_that_differ_are_told(prompts, title, each):
    assert texts(*((prompt,) for prompt in prompts)) == (title, each)


def test_a_seed_that_all_have_belongs_to_the_title():
    title, each = texts(("a kiss of two men", 7), ("a kiss of two dogs", 7))
    assert (title, each) == ("seed 7: “a kiss of two …”", ["“men”", "“dogs”"])


def test_prompts_and_seeds_that_differ_are_both_told():
    assert texts(("a b c", 1), ("a b d", 2))[1] == ["seed 1: “c”", "seed 2: “d”"]


def test_videos_that_are_alike_otherwise_are_told_apart_by_name_and_then_by_folder():
    assert texts(("a", 1, "one"), ("a", 1, "two"))[1] == ["one", "two"]
    assert texts(("a", 1, "one", "x/p"), ("a", 2, "one", "x/p"), ("a", 1, "one", "y"))[1] == [
        "x: seed 1",
        "x: seed 2",
        "y: seed 1",
    ]
    assert texts(("a", 1, "one", "x"), ("a", 1, "two", "x"), ("a", 1, "one", "y"))[1] == ["x/one", "x/two", "y/one"]
    assert texts(("a", 1, "one", "x"), ("a", 1, "one", "y"))[1] == ["x", "y"]
