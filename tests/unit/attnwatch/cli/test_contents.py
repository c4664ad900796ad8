"""What `attnwatch doctor` finds in the videos themselves; the rest is in test_doctor.py."""

import pytest

from attnwatch.cli.contents import contents
from tests.support import Batch


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def test_a_folder_without_videos_is_no_problem(tmp_path):
    assert [(finding.level, finding.text) for finding in contents(tmp_path)] == [("ok", "0 readable manifests")]


def test_characters_of_prompts_and_words_that_no_font_has_are_reported_once(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.text.missing.lacking", lambda text: "".join(sorted({*text} & {*"一只猫狗"})))
    batch.add(1, generation={"prompt": "一只猫", "negative_prompt": "狗"})
    batch.add(2, tokens=[{"slug": "kiss", "text": "猫"}])
    _, glyphs = contents(batch.folder)
    assert glyphs.level == "warning"
    assert glyphs.text == "labels show □ for 4 characters that no installed font has (一只狗猫)"
    assert glyphs.remedy == "install Noto Sans CJK (Debian: apt install fonts-noto-cjk)"


def test_characters_that_the_usual_font_has_are_fine(batch):
    batch.add(1, generation={"prompt": "a “naïve” kiss"})
    assert {finding.level for finding in contents(batch.folder)} == {"ok"}


def test_fonts_are_not_looked_at_for_plain_text(batch, monkeypatch):
    monkeypatch.setattr(
        "attnwatch.render.text.missing.missing_glyphs", lambda text: pytest.fail("matplotlib would be imported")
    )
    batch.add(1, generation={"prompt": "a kiss"})
    assert len(list(contents(batch.folder))) == 1
