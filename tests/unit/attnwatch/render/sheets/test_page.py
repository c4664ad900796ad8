"""Pages of contact sheets: where texts and pictures are, and what is in the file."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from attnwatch.render.sheets.layout import Grid, label_width, paginate
from attnwatch.render.sheets.moments import Gap
from attnwatch.render.sheets.page import BAR, Bar, Header, Page, Strip
from attnwatch.render.sheets.pictures import gradient
from attnwatch.render.sheets.rows import Group, Row
from tests.unit.attnwatch.render.text.samples import drawable

LATIN = "an extraordinarily photorealistic grandmother dancing in the rain, "
CHINESE = "两个男人在公园里接吻，夕阳在城市后面落下，柔和的光线，浅景深，电影颗粒感。"
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
SECONDS = (1.0, 0.0, 0.4, 0.8, 1.2, 1.6, 2.0)


def prompt_of(text, length):
    return (text * (length // len(text) + 1))[:length]


def strip(cell, level=0, seconds=SECONDS):
    width, height = cell
    pictures = (np.full((height, width, 3), level + column, np.uint8) for column in range(7))
    return Strip(tuple(pictures), seconds)


def page_of(groups, cell=(332, 192), strips=None, ticks=("0", "0.0202", "0.0404"), number=0, **header):
    grid = Grid(cell, label_width(groups), ("middle frame",), 6)
    layouts = paginate(groups, grid)
    shown = strips or [strip(cell, 8 * place.number) for place in layouts[number].places]
    how = {"title": "“kiss”", "origin": "demo_20260102_030405 · Wan-AI/Wan2.1", "about": "Each row is a video. " * 5}
    head = Header(
        **(how | header), bar=Bar(gradient(GREYS, BAR), ticks, "attention probability, one scale for the whole batch")
    )
    return Page(head, (number + 1, len(layouts)), grid, layouts[number], shown)


def groups_of(prompts, title="", seeds=2):
    return [Group(title, prompt, tuple(Row((f"seed {42 + seed}",), ()) for seed in range(seeds))) for prompt in prompts]


def boxes_of(page):
    """Return all texts, their boxes as they are drawn, and those of the pictures, from the upper left."""
    canvas, texts = page.drawn()
    height = page.size[1]
    found = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    drawn = [text.get_text() for text in texts]
    boxes = [(box.x0, height - box.y1, box.x1, height - box.y0) for box in found]
    pictures = [(left, top, left + p.shape[1], top + p.shape[0]) for left, top, p in page.pictures()]
    return drawn, boxes, pictures


def overlap(one, other):
    return min(one[2], other[2]) - max(one[0], other[0]) > 0.5 and min(one[3], other[3]) - max(one[1], other[1]) > 0.5


@pytest.mark.parametrize("length", [20, 150, 600])
@pytest.mark.parametrize("text", [LATIN, CHINESE], ids=["Latin", "Chinese"])
@pytest.mark.parametrize("cell", [(332, 192), (230, 400), (332, 186)], ids=["832x480", "480x832", "1280x720"])
def test_texts_overlap_nothing_and_none_is_cut(cell, text, length):
    prompts = [prompt_of(f"{number} {drawable(text)}", length) for number in (1, 2, 3)]
    page = page_of(groups_of(prompts, title="two men · in a park"), cell)
    drawn, boxes, pictures = boxes_of(page)
    assert not any(overlap(one, other) for one, other in combinations(boxes + pictures, 2))
    width, height = page.size
    assert all(box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height for box in boxes)
    whole = "".join(drawn).replace(" ", "")
    assert "…" not in whole
    assert all(prompt.replace(" ", "") in whole for prompt in prompts)


def test_longer_texts_are_cut_and_still_overlap_nothing():
    long = [prompt_of(f"{number} {LATIN}", 5000) for number in (1, 2)]
    groups = [Group("", prompt, (Row((prompt_of("a_long_identifier_", 120), "1 of 3 videos"), ()),)) for prompt in long]
    gap = Gap(prompt_of("/data/outputs/videos/attention_maps/vid001.safetensors ", 3000))
    head = {"title": "“" + prompt_of(LATIN, 300) + "”", "origin": prompt_of(CHINESE, 255)}
    page = page_of(groups, strips=[gap, strip((332, 192))], **head)
    drawn, boxes, pictures = boxes_of(page)
    assert sum("…" in text for text in drawn) >= 3
    assert not any(overlap(one, other) for one, other in combinations(boxes + pictures, 2))
    assert all(box[0] >= 0 and box[2] <= page.size[0] for box in boxes)


def test_pictures_are_in_the_file_pixel_by_pixel():
    narrow = Strip((None, *(np.full((100, 50, 3), 200, np.uint8) for _ in range(6))), SECONDS)
    page = page_of(groups_of(["a prompt"]), strips=[strip((332, 192)), narrow])
    file = io.BytesIO()
    page.write(file)
    picture = Image.open(file)
    pixels = np.asarray(picture.convert("RGB"))
    assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert (pixels.shape[1], pixels.shape[0]) == page.size
    placed = list(page.pictures())
    assert len(placed) == 1 + 7 + 6
    for left, top, shown in placed:
        height, width = shown.shape[:2]
        assert (pixels[top : top + height, left : left + width] == shown).all()
    _, bar_top, bar = placed[0]
    assert (bar[0, :, 0].astype(int)[[0, -1]] == (0, 255)).all()
    assert bar_top < placed[1][1]
    left, top, shown = placed[8]
    assert (pixels[top : top + 100, left - 100 : left] == 255).all()  # in the middle of its cell
    assert top + 50 == placed[1][1] + 198 + 96


def test_columns_are_named_by_times_only_if_these_are_the_same_in_all_rows():
    groups = groups_of(["a prompt"])
    alike, _, _ = boxes_of(page_of(groups))
    assert {"middle frame", "0.0 s", "0.4 s", "2.0 s"} <= set(alike)
    other = strip((332, 192), seconds=tuple(2 * second for second in SECONDS))
    mixed, _, _ = boxes_of(page_of(groups, strips=[strip((332, 192)), other]))
    assert {"first frame", "after 20%", "after 80%", "last frame"} <= set(mixed)


def test_rows_that_are_too_many_go_to_further_pages_whose_headers_number_them(monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.layout.MOST_HEIGHT", 700)
    groups = [*groups_of(["first", "second"], seeds=3), *groups_of(["third"], seeds=4)]
    grid = Grid((332, 192), 120, ("middle frame",), 6)
    layouts = paginate(groups, grid)
    said = [[text.lettering.text for heading in layout.headings for text in heading.texts] for layout in layouts]
    assert said == [["first"], ["second"], ["third"], ["third", "continued"]]
    assert [[place.number for place in layout.places] for layout in layouts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert all(layout.height <= 700 for layout in layouts)
    drawn, _, _ = boxes_of(page_of(groups, number=3))
    assert any(text.endswith("Page 4 of 4.") for text in drawn)


def test_a_row_that_is_higher_than_a_page_has_its_own(monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.layout.MOST_HEIGHT", 100)
    layouts = paginate(groups_of(["a prompt"], seeds=3), Grid((332, 192), 120, ("middle frame",), 6))
    assert [len(layout.places) for layout in layouts] == [1, 1, 1]


def test_choices_stand_above_prompts_only_where_these_take_several_lines():
    grid = Grid((332, 192), 120, ("middle frame",), 6)

    def headings(prompt):
        (layout,) = paginate(groups_of([prompt], title="two men · in a park"), grid)
        return [text.lettering.lines[0] for text in layout.headings[0].texts]

    assert headings("two men kiss in a park") == ["two men kiss in a park"]
    title, prompt = headings(prompt_of(LATIN, 600))
    assert title == "two men · in a park"
    assert prompt.startswith(LATIN[:20])
