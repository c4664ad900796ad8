"""Which videos are rows of a contact sheet."""

from dataclasses import replace

import pytest

from attnwatch.contract.documents import ImageRecord
from attnwatch.contract.manifest import read_manifest
from attnwatch.render.sheets.rows import rows_of, select
from tests import sheets


@pytest.fixture
def batch(tmp_path):
    return sheets.empty(tmp_path)


def added(batch, prompts, seeds):
    return [
        read_manifest(sheets.video(batch, prompt, number))
        for prompt in range(1, prompts + 1)
        for number in range(1, seeds + 1)
    ]


def labels(selection):
    return [[row.label for row in group.rows] for group in selection.groups]


def test_every_video_is_a_row_below_its_prompt(batch):
    selection = select(added(batch, 2, 3), "videos")
    assert [group.text for group in selection.groups] == ["prompt 1", "prompt 2"]
    assert labels(selection) == [[("seed 42",), ("seed 43",), ("seed 44",)]] * 2
    assert selection.about.endswith("6 videos of 2 prompts.")
    assert selection.left_out is None


def test_an_image_that_the_videos_of_a_prompt_begin_with_is_named_beside_it(batch):
    (video,) = added(batch, 1, 1)
    image = ImageRecord(path="/photos/beach.png", sha256="0" * 64, width=4, height=3)
    made = video.document.generation.model_copy(update={"image": image})
    from_image = replace(video, document=video.document.model_copy(update={"generation": made}))
    assert [group.text for group in select([from_image], "videos").groups] == ["prompt 1 · beach.png"]


def test_the_mean_of_each_prompt_is_a_row(batch):
    selection = select(added(batch, 2, 3), "means")
    assert labels(selection) == [[("mean of", "3 videos")]] * 2
    assert [len(row.videos) for row in rows_of(selection.groups)] == [3, 3]
    assert selection.about.endswith("6 videos of 2 prompts.")


def test_the_first_video_of_each_prompt_is_a_row_that_says_so(batch):
    selection = select(added(batch, 2, 3), "first")
    assert labels(selection) == [[("seed 42", "1 of 3 videos")]] * 2
    assert "first video of a prompt" in selection.about
    assert selection.about.endswith("2 of 6 videos.")


def test_the_first_video_that_has_its_tensors_is_preferred(batch):
    first, second = added(batch, 1, 2)
    first.attention[0].unlink()
    assert labels(select([first, second], "first")) == [[("seed 43", "1 of 2 videos")]]
    second.attention[0].unlink()
    assert labels(select([first, second], "first")) == [[("seed 42", "1 of 2 videos")]]


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ((5, 5), 10, ((5, 5), None)),
        ((5, 5), 9, ((4, 4), "shows 8 of 10 videos: the first 4 videos of each prompt")),
        ((1, 5), 4, ((1, 3), "shows 4 of 6 videos: the first 3 videos of each prompt")),
        ((2, 2, 2), 2, ((1, 1), "shows 2 of 6 videos: the first 1 video of the first 2 of 3 prompts")),
    ],
)
def test_of_too_many_videos_the_first_ones_of_each_prompt_are_shown(batch, monkeypatch, sizes, most, expected):
    monkeypatch.setattr("attnwatch.render.sheets.rows.MOST_ROWS", most)
    videos = [video for prompt, size in enumerate(sizes, 1) for video in added_to(batch, prompt, size)]
    selection = select(videos, "videos")
    assert (tuple(len(group.rows) for group in selection.groups), selection.left_out) == expected
    if selection.left_out:
        assert selection.left_out.removeprefix("shows ") in selection.about


def added_to(batch, prompt, seeds):
    return [read_manifest(sheets.video(batch, prompt, number)) for number in range(1, seeds + 1)]


@pytest.mark.parametrize("rows", ["means", "first"])
def test_of_too_many_prompts_the_first_ones_are_shown(batch, monkeypatch, rows):
    monkeypatch.setattr("attnwatch.render.sheets.rows.MOST_ROWS", 2)
    selection = select(added(batch, 3, 1), rows)
    assert len(selection.groups) == 2
    assert selection.left_out == "shows the first 2 of 3 prompts"
    assert selection.about.endswith("2 of 3 videos.")


def test_videos_without_prompts_and_seeds_are_named_by_folder_and_identifier(batch):
    manifest = read_manifest(batch.add(source=False))
    (group,) = select([manifest], "videos").groups
    assert (group.text, group.rows[0].label) == ("prompt_001", ("prompt_001_vid001",))
