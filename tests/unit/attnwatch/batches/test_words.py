"""The words of a video, by the names that a user has for them."""

import pytest

from attnwatch.batches.videos import open_attention, read_video
from attnwatch.batches.words import chosen_words, find_word, word_named
from attnwatch.errors import UnknownNameError
from tests.support import Batch, blob_maps

TEXTS = {"kiss": "kiss", "two_men": "two men", "man": "Man", "man_2": "Man"}


@pytest.fixture
def video(tmp_path):
    tokens = [{"slug": slug, "text": text} for slug, text in TEXTS.items()]
    manifest = read_video(Batch.make(tmp_path).add(tensors={slug: blob_maps() for slug in TEXTS}, tokens=tokens))
    with open_attention(manifest) as reader:
        yield manifest, reader.words


def slugs(names, video):
    return [word.slug for word in chosen_words(names, *video)]


def test_words_are_chosen_by_slug_or_text_once_each_in_the_order_in_which_they_are_named(video):
    assert slugs(["two men", "kiss", "two_men"], video) == ["two_men", "kiss"]
    assert slugs([], video) == list(TEXTS)


def test_a_name_that_no_word_has_is_refused_with_those_that_there_are(video):
    assert find_word("dog", *video) is None
    for choose in (lambda: word_named("dog", *video), lambda: slugs(["kiss", "dog"], video)):
        with pytest.raises(UnknownNameError, match=r"found no word 'dog'; expected one of: kiss, two_men, man, man_2$"):
            choose()


def test_a_list_in_the_place_of_a_word_is_refused(video):
    with pytest.raises(UnknownNameError, match=r"found \['kiss'\]; expected the text of a word; give each by itself"):
        chosen_words([["kiss"]], *video)


def test_the_text_of_several_words_is_refused_with_their_slugs(video):
    with pytest.raises(UnknownNameError, match=r"found 2 words 'Man'; expected one of: man, man_2$"):
        find_word("Man", *video)
    assert word_named("man", *video).slug == "man"


def test_without_tracked_words_the_refusal_says_why_there_is_none(video):
    manifest, _ = video
    for names in ([], ["kiss"]):
        with pytest.raises(UnknownNameError, match="found no word; expected at least one"):
            chosen_words(names, manifest, {})
