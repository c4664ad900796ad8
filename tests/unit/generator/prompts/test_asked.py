"""What a script may pass as the words to track: the right words, or one sentence that says what to pass."""

import numpy as np
import pytest

from generator.errors import UsageError
from generator.prompts.asked import asked
from generator.prompts.tokens import TokenSequence

PROMPT = "A KISS of two men, a Kiss; cafe\u0301 and café"


def letters(text):
    """Tokenise a text into its letters, padded to 64 tokens."""
    padding = 64 - len(text)
    offsets = [(place, place + 1) for place in range(len(text))] + [(0, 0)] * padding
    ids = [ord(letter) for letter in text] + [0] * padding
    return TokenSequence(text, tuple(ids), tuple(offsets), tuple(map(chr, ids)), len(text), len(text))


def located(words, prompt=PROMPT, **more):
    wanted = asked(words, **more)
    wanted.refuse_absent([prompt], ["blurry"])
    return wanted.locate(prompt, "blurry", str, letters)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("kiss", ["KISS", "Kiss"]),
        ("two men", ["two men"]),
        ("two  men", ["two men"]),
        (["kiss", "KISS"], ["KISS", "Kiss"]),
        (("men", "two men"), ["two men", "men"]),
        ({"kiss"}, ["KISS", "Kiss"]),
        ((word for word in ["men"]), ["men"]),
        (np.array(["men"]), ["men"]),
        (["café"], ["cafe\u0301", "café"]),
        (["cafe\u0301"], ["cafe\u0301", "café"]),
    ],
)
def test_words_are_found_in_any_form(words, found):
    assert [word.text for word in located(words)] == found


def test_one_word_is_not_taken_for_its_letters():
    assert asked("red").words == ("red",)


def test_a_word_without_its_accent_is_another_word():
    with pytest.raises(UsageError, match="words: found no 'cafe' in the prompt"):
        located(["cafe"])


def test_further_words_and_words_of_the_negative_prompt_are_tracked_too():
    words = located("kiss", further=["men"], negative=["blurry"])
    assert [(word.text, word.negative) for word in words] == [
        ("KISS", False),
        ("men", False),
        ("Kiss", False),
        ("blurry", True),
    ]
    assert [word.text for word in located([], negative=["blurry"])] == ["blurry"]


@pytest.mark.parametrize("positions", [[3, 4], (3, 4), np.array([3, 4]), range(3, 5), [3, 4, 3]])
def test_positions_may_be_given_by_name(positions):
    (word,) = located({"two men": positions}, "")
    assert (word.slug, word.text, word.positions, word.ids, word.span) == ("two_men", "two men", (3, 4), (), None)


def test_a_position_may_be_a_number():
    assert [word.positions for word in located({"kiss": 3, "dog": np.int64(4)}, "")] == [(3,), (4,)]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "words: found none; expected words or phrases of the prompt"),
        ({}, "words: found none"),
        (None, "words: found None; expected words or phrases"),
        (3, "words: found 3; expected"),
        (b"kiss", "words: found b'kiss'; expected"),
        ("", "words: found ''; expected"),
        (["kiss", " "], "words: found ' '; expected"),
        (["kiss", 3], "words: found 3; expected"),
        (["kiss", None], "words: found None; expected"),
        ([["kiss"]], r"words: found \['kiss'\]; expected"),
        ({"kiss": []}, r"words: found \[\] for 'kiss'; expected positions from 0"),
        ({"kiss": [-1]}, r"words: found \[-1\] for 'kiss'"),
        ({"kiss": [1.5]}, r"words: found \[1.5\] for 'kiss'"),
        ({"kiss": "3"}, "words: found '3' for 'kiss'"),
        ({"kiss": None}, "words: found None for 'kiss'"),
        ({3: [3]}, "words: found 3; expected"),
        (["kis"], "words: found no 'kis' in the prompt"),
        ({"kiss": [64]}, "words: found position 64 for 'kiss'; expected positions from 0 to 63"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(words, complaint):
    with pytest.raises(UsageError, match=complaint):
        located(words)
