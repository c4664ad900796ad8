import pytest

from attnwatch.analysis.tracked import Word, rows_about
from attnwatch.errors import ConfigError, UnknownNameError
from tests.unit.attnwatch.analysis.tables import row


def table(*words, seeds=(1, 2), **others):
    return [row(seed, "a", word=word, **others) for seed in seeds for word in words]


def words_of(rows):
    return [one["word"] for one in rows]


def test_the_only_word_that_all_videos_have_is_meant():
    rows, word = rows_about([*table("kiss"), *table("man", seeds=(1,)), *table("woman", seeds=(2,))], None)
    assert (words_of(rows), word) == (["kiss", "kiss"], Word("kiss", "'kiss'"))


def test_a_word_is_named_by_slug_or_text():
    rows = [row(1, "a", word="kiss_2", text="Kiss!"), row(1, "a", word="dog")]
    assert words_of(rows_about(rows, "kiss_2")[0]) == ["kiss_2"]
    assert rows_about(rows, "Kiss!") == ([rows[0]], Word("Kiss!", "'Kiss!'"))


def test_the_first_of_equal_words_of_a_video_counts():
    rows = [row(1, "a", word="kiss", text="kiss"), row(1, "a", word="kiss_2", text="kiss")]
    assert words_of(rows_about(rows, "kiss")[0]) == ["kiss"]


def test_the_word_in_a_bracket_is_followed_whichever_it_is():
    rows = [row(1, "a", word="men", slot=1), row(1, "b", word="women", slot=1), row(1, "b", word="kiss")]
    found, word = rows_about(rows, "slot:1")
    assert (words_of(found), word) == (["men", "women"], Word("slot:1", "the word in bracket 1"))


def test_several_words_in_common_must_be_chosen_from():
    with pytest.raises(ConfigError, match=r"found 2 words that all 2 videos have; .* choose a word: kiss or dog"):
        rows_about(table("kiss", "dog"), None)


def test_without_a_common_word_the_bracket_that_has_one_in_each_video_is_proposed():
    rows = [row(1, "a", word="men", slot=1), row(1, "b", word="women", slot=1)]
    with pytest.raises(ConfigError, match=r"found no word that all 2 videos have; .*: slot:1"):
        rows_about(rows, None)


def test_words_that_have_nothing_in_common_are_listed():
    with pytest.raises(ConfigError, match="the words are men, women; choose one of them"):
        rows_about([row(1, "a", word="men"), row(1, "b", word="women")], None)


@pytest.mark.parametrize("word", ["cat", "slot:3"])
def test_an_unknown_word_is_refused_with_those_that_there_are(word):
    with pytest.raises(UnknownNameError, match=f"word: found no '{word}'; expected one of kiss, dog, or slot:N"):
        rows_about(table("kiss", "dog"), word)
