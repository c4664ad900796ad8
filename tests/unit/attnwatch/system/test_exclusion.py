from pathlib import Path

import pytest

from attnwatch.system.exclusion import NOTHING, Exclusion


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("old", "old", True),
        ("old", "a/b/old", True),
        ("old", "a/older", False),
        ("OLD", "old", False),
        ("old_*", "a/old_1", True),
        ("video_00[12].complete.json", "a/video_002.complete.json", True),
        ("a/*", "a/b", True),
        ("a/*", "c/a/b", False),
        ("a/*", "a/b/c", False),
        ("./old", "old", True),
        ("./old", "a/old", False),
        ("old/", "a/old", True),
        ("**/old/x", "a/b/old/x", True),
        ("**/old/x", "old/x", True),
        ("a/**/x", "a/b/c/x", True),
        ("a/**/x", "b/x", False),
        ("**/a/**/x", "b/a/c/a/x", True),
        ("**/a/x/**", "a/a/x", True),
        ("a/**/x/y", "a/x/x/y/x/y", True),
    ],
)
def test_a_pattern_matches_a_name_at_any_depth_or_a_path_from_the_root(pattern, path, expected):
    assert Exclusion((pattern,)).matches(path) is expected


def test_a_path_of_the_greatest_depth_is_compared_at_once_with_a_pattern_that_nearly_matches_everywhere():
    assert not Exclusion(("**/a/**/a/**/a/**/b",)).matches("/".join(["a"] * 2_000))


def test_what_is_inside_a_matching_folder_is_covered_not_matched():
    excluded = Exclusion(("old", "a/b"))
    assert (excluded.covers("x/old/y/z"), excluded.matches("x/old/y/z")) == (True, False)
    assert excluded.covers("a/b/c")
    assert not excluded.covers("b/c")
    assert not excluded.covers(".")


def test_paths_below_a_folder_inside_are_compared_from_the_root():
    inside = Exclusion(("a/b/c",)).inside(Path("a/b"))
    assert inside.matches("c")
    assert not inside.matches("b")


def test_without_patterns_nothing_is_left_out():
    assert not NOTHING
    assert not NOTHING.matches("a")
    assert not NOTHING.covers("a/b")
