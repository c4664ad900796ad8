import re
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from generator.errors import TemplateError
from generator.prompts.template import Template, escape, find_words, track

DEMO = "a romantic (kiss) between [two men|two women|a man and woman]"


def prompts(template):
    return [variation.prompt for variation in Template(template).variations()]


def spans(template, number=1):
    return [(span.text, span.start, span.end, span.slot) for span in Template(template).variation(number).spans]


def test_the_demo_has_three_prompts_in_reading_order():
    assert prompts(DEMO) == [
        "a romantic kiss between two men",
        "a romantic kiss between two women",
        "a romantic kiss between a man and woman",
    ]


def test_the_last_slot_varies_fastest():
    assert prompts("[a|b] [1|2]") == ["a 1", "a 2", "b 1", "b 2"]


def test_a_slot_in_an_alternative_that_is_not_taken_contributes_nothing():
    variations = list(Template("[x [1|2]|y] [p|q]").variations())
    assert [variation.prompt for variation in variations] == ["x 1 p", "x 1 q", "x 2 p", "x 2 q", "y p", "y q"]
    assert variations[3].choices == {1: "x 2", 2: "2", 3: "q"}
    assert variations[4].choices == {1: "y", 3: "p"}


def test_slots_are_numbered_in_the_order_in_which_they_open():
    variation = Template("[a [(b)|c] (d)|e] [(f)|g] (h)").variation(1)
    assert [(span.text, span.slot) for span in variation.spans] == [("b", 2), ("d", 1), ("f", 3), ("h", None)]


def test_a_tracked_span_may_contain_slots():
    assert spans("(a [red|blue] dog)", number=2) == [("a blue dog", 0, 10, None)]


def test_every_marked_occurrence_is_its_own_span_and_unmarked_ones_are_not_tracked():
    assert spans("(kiss) kiss (kiss)") == [("kiss", 0, 4, None), ("kiss", 10, 14, None)]


def test_blanks_inside_the_brackets_do_not_belong_to_the_words():
    assert spans("a ( two  men ) b") == [("two men", 2, 9, None)]


def test_an_empty_alternative_leaves_no_gap():
    assert prompts("a [big |]dog [|running]") == ["a big dog", "a big dog running", "a dog", "a dog running"]


def test_a_span_that_a_variation_leaves_out_is_not_tracked_there():
    assert spans("a [(big) |]dog", number=2) == []
    assert spans("a ([big|]) dog", number=2) == []


def test_white_space_becomes_one_blank_and_the_ends_are_trimmed():
    assert prompts("  a\n\t(dog)   runs ") == ["a dog runs"]
    assert spans("  a\n\t(dog)   runs ") == [("dog", 2, 5, None)]


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        (r"\[a\|b\] \(c\)", "[a|b] (c)"),
        (r"[a\|b|c]", "a|b"),
        (r"(smile \(wide\))", "smile (wide)"),
        (r"C:\dir\\ \n", r"C:\dir\ \n"),
        ("ends with \\", "ends with \\"),
        ("a | b", "a | b"),
        ("(at 10:30) 16:9", "at 10:30 16:9"),
    ],
)
def test_escaped_and_ordinary_characters(template, prompt):
    assert prompts(template)[0] == prompt


@pytest.mark.parametrize(
    ("template", "at", "complaint"),
    [
        ("a [b", 2, "`[` is never closed: add `]`"),
        ("a (b", 2, "`(` is never closed: add `)`"),
        ("a b]", 3, "`]` closes nothing"),
        ("a b)", 3, "`)` closes nothing"),
        ("a (b]", 4, "found `]` where `)` must close the preceding `(`"),
        ("[a (b|c)]", 5, "`|` directly inside (...) separates nothing"),
        ("a [] b", 2, "empty brackets"),
        ("a [|] b", 2, "empty brackets"),
        ("a [ | ] b", 2, "empty brackets"),
        ("a () b", 2, "empty brackets"),
        ("a ( ) b", 2, "empty brackets"),
        ("a (b (c))", 5, "a tracked span inside a tracked span"),
        ("a ([b (c)|d])", 6, "a tracked span inside a tracked span"),
        ("a (kiss:1.3)", 7, "a weight, `:1.3`"),
        ("a (kiss : -2 )", 8, "a weight, `: -2`"),
        ("a ([b|c]:.5)", 8, "a weight, `:.5`"),
        ("", 0, "the template is empty"),
        ("  ", 0, "the template is empty"),
        ("[" * 51, 50, "nested deeper than 50"),
    ],
)
def test_an_error_shows_the_template_with_a_caret_at_the_place(template, at, complaint):
    with pytest.raises(TemplateError, match=re.escape(complaint)) as caught:
        Template(template)
    shown, caret = str(caught.value).splitlines()[-2:]
    assert shown == f"  {template}"
    assert caret == " " * (2 + at) + "^"


def test_the_caret_is_below_its_character_despite_wide_characters():
    with pytest.raises(TemplateError) as caught:
        Template("吻e\u0301 [a")
    assert str(caught.value).splitlines()[-1] == "  " + " " * 4 + "^"


def test_an_error_in_a_long_template_shows_the_part_around_it():
    with pytest.raises(TemplateError) as caught:
        Template("x" * 500 + "[]" + "y" * 500)
    shown, caret = str(caught.value).splitlines()[-2:]
    assert len(shown) < 120
    assert shown[caret.index("^")] == "["


def test_a_variation_without_any_text_is_refused():
    with pytest.raises(TemplateError, match="variation 2 of 2 is an empty prompt"):
        list(Template("[a|]").variations())


def test_huge_numbers_of_variations_are_counted_and_indexed_at_once():
    template = Template("[a|b|c|d|e|f|g|h|i|j]" * 30)
    assert template.count == 10**30
    assert [variation.prompt[-3:] for variation in template.variations(3)] == ["aaa", "aab", "aac"]
    assert template.variation(10**30).prompt == "j" * 30


def test_there_is_no_variation_zero():
    with pytest.raises(IndexError):
        Template(DEMO).variation(0)


@given(st.text(min_size=1).filter(str.strip))
def test_escaped_text_has_itself_as_its_only_prompt(text):
    assert prompts(escape(text)) == [" ".join(text.split())]


@given(st.text(min_size=1).filter(str.strip), st.text(), st.text())
def test_a_tracked_span_is_found_where_it_is(words, before, after):
    assume(":" not in words)  # could look like a weight
    variation = Template(f"{escape(before)} ({escape(words)}) {escape(after)}").variation(1)
    (span,) = variation.spans
    assert span.text == variation.prompt[span.start : span.end] == " ".join(words.split())
    assert variation.prompt == " ".join(f"{before} {words} {after}".split())


letters = st.text("ab ", min_size=1, max_size=4).filter(str.strip)
templates = st.recursive(
    letters,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"[{'|'.join(parts)}]"),
    ),
    max_leaves=8,
)


def enumerate_by_hand(template):
    """Return all prompts of a template of letters and slots by replacing innermost slots one at a time."""
    match = re.search(r"\[([^\[\]]*)\]", template)
    if match is None:
        return [" ".join(template.split())]
    alternatives = match[1].split("|")
    before, after = template[: match.start()], template[match.end() :]
    return [prompt for text in alternatives for prompt in enumerate_by_hand(f"{before}{text}{after}")]


@given(templates)
def test_variations_are_exactly_what_the_brackets_allow(template):
    found = prompts(template)
    assert len(found) == Template(template).count
    if "[" not in re.sub(r"\[[^\[\]]*\]", "", template):  # no nested slots: enumeration by hand yields no duplicates
        parts = [part.split("|") for part in re.split(r"[\[\]]", template)]
        assert found == [" ".join("".join(choice).split()) for choice in product(*parts)]
    assert set(found) == set(enumerate_by_hand(template))
    assert not any(mark in prompt for prompt in found for mark in "[]|")


def tracked(variation):
    return [(span.text, span.start, span.slot) for span in variation.spans]


def test_additional_words_are_tracked_wherever_they_occur():
    variation = Template("Men kiss (two men), kissing [(men)|women]").variation(1)
    assert tracked(track(variation, ["men", "kiss"])) == [
        ("Men", 0, None),
        ("kiss", 4, None),
        ("two men", 9, None),
        ("men", 13, None),
        ("men", 26, 1),
    ]


@pytest.mark.parametrize(
    ("prompt", "word", "found"),
    [
        ("a red  rose", "red rose", ["red rose"]),
        ("a KISS", "kiss", ["KISS"]),
        ("a well-known (kiss).", "known", ["known"]),
        ("Ünder der Brücke", "ünder", ["Ünder"]),
        ("a kiss1", "kiss", []),
        ("2 of 22", "2", ["2"]),
        ("一个吻和吻", "吻", ["吻", "吻"]),
        ("what? (no.)", "what?", ["what?"]),
    ],
)
def test_whole_words_are_found_in_any_script(prompt, word, found):
    prompt = " ".join(prompt.split())
    assert [span.text for span in find_words(prompt, [word])] == found
    for span in find_words(prompt, [word]):
        assert prompt[span.start : span.end] == span.text


def test_bytes_that_are_not_utf_8_are_refused_with_their_place():
    with pytest.raises(TemplateError, match="found bytes that are not UTF-8 at character 7"):
        Template("a (red\udcff) circle")
