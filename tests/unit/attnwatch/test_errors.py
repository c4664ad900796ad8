"""What is suggested in place of a name that is not known."""

from attnwatch.errors import nearest


def test_names_that_begin_with_what_was_given_are_nearest_in_the_order_in_which_they_are_known() -> None:
    videos = [f"prompt_{prompt:03}_vid001" for prompt in range(1, 21)] + ["prompt_001_vid002"]
    assert nearest("prompt_001", videos, most=3) == ["prompt_001_vid001", "prompt_001_vid002", "prompt_002_vid001"]


def test_names_below_the_wanted_similarity_are_not_suggested() -> None:
    assert nearest("colour", ["colormap", "speed"]) == ["colormap"]
    assert nearest("xyz", ["colormap", "speed"]) == []
