import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.errors import TokenError
from generator.prompts.template import Template, escape
from generator.prompts.tokens import TokenSequence, locate, move_span, slug, unique_slugs, unknown_words


@pytest.fixture(scope="session")
def pieces(model):
    """Return the token pieces of each tracked word in a template's first prompt."""

    def find(template):
        variation = Template(template).variation(1)
        words = locate(variation, model.clean, model.tokenise)
        sequence = model.tokenise(model.clean(variation.prompt))
        return [[sequence.pieces[position] for position in word.positions] for word in words]

    return find


def test_a_word_that_is_one_token(pieces):
    assert pieces("a romantic (kiss) between two men") == [["▁kiss"]]


def test_a_phrase_has_the_tokens_of_all_its_words(pieces):
    assert pieces("a kiss between (two men) and a dog") == [["▁two", "▁men"]]


def test_a_word_inside_a_longer_one_is_not_found_there(pieces):
    assert pieces("kissing a (kiss)") == [["▁kiss"]]
    assert pieces("(kissing) a kiss") == [["▁kiss", "ing"]]


def test_quotes_and_brackets_around_a_word_do_not_hide_it(pieces):
    assert pieces('a "(kiss)" \\((dog)\\)')[0] == ["k", "i", "s", "s"]
    assert pieces('a "(kiss)" \\((dog)\\)')[1] == ["d", "o", "g"]


def test_the_blank_before_a_first_word_of_another_script_is_excluded(pieces):
    assert pieces("(吻) kiss") == [["<0xE5>", "<0x90>", "<0xBB>"]]
    assert pieces("a (吻)") == [["<0xE5>", "<0x90>", "<0xBB>"]]


def test_text_that_cleaning_changes_does_not_move_the_words_after_it(pieces):
    assert pieces("man &amp; woman &lt;(kiss)&gt; “(dog)” (kiss)") == [
        ["k", "i", "s", "s"],
        ["d", "o", "g"],
        ["▁kiss"],
    ]


def test_a_word_that_cleaning_changes_is_followed(model):
    variation = Template("a (man &amp; woman) here").variation(1)
    (word,) = locate(variation, model.clean, model.tokenise)
    assert word.text == "man &amp; woman"
    assert len(word.positions) == len(["▁man", "<0x26>", "▁woman"])


def test_positions_and_ids_are_those_of_the_padded_sequence(model, words):
    (word,) = words("a romantic (kiss)")
    sequence = model.tokenise("a romantic kiss")
    assert len(sequence.ids) == 512
    assert sequence.length == 4
    assert word.positions == (2,)
    assert word.ids == (sequence.ids[2],)


def test_token_ids_are_those_that_the_pipeline_encodes(model, words):
    """The text encoder receives exactly the ids in which positions are located."""
    seen = []
    handle = model.pipe.text_encoder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        model.pipe.encode_prompt("a “kiss” &amp; a\nhug", do_classifier_free_guidance=False, max_sequence_length=512)
    finally:
        handle.remove()
    assert tuple(seen[0][0].tolist()) == model.tokenise(model.clean("a “kiss” &amp; a\nhug")).ids


def test_a_word_beyond_the_end_of_the_sequence_is_refused_by_name(model):
    variation = Template("dog " * 600 + "(kiss)").variation(1)
    with pytest.raises(TokenError, match=r'"kiss" in prompt 1.*cut off. The prompt has 602 tokens .* takes 512'):
        locate(variation, model.clean, model.tokenise)


def test_a_word_that_is_partly_cut_off_is_refused_too(model):
    variation = Template("dog " * 510 + "(kissing)").variation(1)
    assert model.tokenise(variation.prompt).pieces[-2] == "▁kiss"
    with pytest.raises(TokenError, match="cut off"):
        locate(variation, model.clean, model.tokenise)


def test_a_word_before_the_end_of_a_prompt_that_is_too_long_is_fine(words):
    (word,) = words("a (kiss) " + "dog " * 600)
    assert word.positions == (1,)


def test_a_word_that_cleaning_removes_is_refused(model):
    with pytest.raises(TokenError, match="the tokenizer drops it, so it has no token"):
        locate(Template("a (\x07) b").variation(1), model.clean, model.tokenise)


def test_a_word_that_the_tokenizer_drops_is_refused():
    def tokenise(text):
        return TokenSequence(text, (5, 1), ((0, 1), (0, 0)), ("a", "</s>"), 2, 2)

    with pytest.raises(TokenError, match="has no token"):
        locate(Template("a (b)").variation(1), str, tokenise)


def test_a_token_for_the_blank_between_two_words_belongs_to_neither():
    def tokenise(text):
        offsets = ((0, 3), (3, 4), (4, 7), (0, 0))
        return TokenSequence(text, (5, 6, 7, 1), offsets, ("two", "<0x20>", "men", "</s>"), 4, 4)

    (word,) = locate(Template("(two men)").variation(1), str, tokenise)
    assert word.positions == (0, 2)


def test_words_are_aligned_when_cleaning_merges_characters_across_their_borders():
    def clean(text):
        return unicodedata.normalize("NFC", text)

    text = "cafe\u0301 (noir)"
    assert move_span("e\u0301 cafe\u0301 noir", (3, 8), clean) == (2, 6)
    assert clean(text)[slice(*move_span(text, (7, 11), clean))] == "noir"


@settings(deadline=None)
@given(
    st.text("ab <>&;é’“\u00a0", max_size=12), st.text("abcxyz", min_size=1, max_size=4), st.text("ab &'”", max_size=12)
)
def test_a_word_is_found_in_the_cleaned_text_whatever_surrounds_it(model, before, word, after):
    variation = Template(f"{escape(before)} ({word}) {escape(after)}").variation(1)
    (span,) = variation.spans
    start, end = move_span(variation.prompt, (span.start, span.end), model.clean)
    cleaned = model.clean(variation.prompt)
    assert cleaned[start:end] == word
    assert cleaned[:start] == (f"{model.clean(before)} " if model.clean(before) else "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kiss", "kiss"),
        ("two men", "two_men"),
        ("  a--b?! ", "a_b"),
        ("Kiss", "Kiss"),
        ("吻", "吻"),
        ("e\u0301te\u0301", "été"),
        ("नमस्ते", "नमस्ते"),
        ("__padding__", "padding"),
        ("../../etc", "etc"),
        ("🙂", "word"),
        ("x" * 100, "x" * 80),
        ("吻" * 40, "吻" * 26),
    ],
)
def test_slugs(text, name):
    assert slug(text) == name


def test_slugs_are_unique_without_regard_to_case():
    assert unique_slugs(["kiss", "kiss", "KISS", "kiss 2", "dog"]) == ["kiss", "kiss_2", "KISS_3", "kiss_2_2", "dog"]


def test_a_numbered_slug_keeps_the_maximum_length(words):
    assert unique_slugs(["x" * 90] * 2)[1] == "x" * 78 + "_2"


def test_each_occurrence_has_its_own_tokens(words):
    first, second = words("(kiss) kiss (kiss)")
    assert (first.slug, first.positions) == ("kiss", (0,))
    assert (second.slug, second.positions) == ("kiss_2", (2,))


def test_unknown_words_exclude_punctuation_and_padding_that_shares_the_unknown_id():
    sequence = TokenSequence(
        text="a qwertz kiss 🙂...",
        ids=(5, 1, 7, 1, 1, 1, 1),
        offsets=((0, 1), (2, 8), (9, 13), (14, 15), (15, 18), (0, 0), (0, 0)),
        pieces=("a", "<|end|>", "kiss", "<|end|>", "<|end|>", "<|end|>", "<|end|>"),
        length=6,
        whole_length=6,
        unknown_id=1,
    )
    assert unknown_words(sequence) == ["qwertz", "🙂"]


def test_a_tokenizer_that_spells_out_every_word_knows_all_of_them(model):
    assert unknown_words(model.tokenise("Qwertz 42% 吻")) == []
