import json

import pytest

from attnwatch.system.display import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a cat, 猫, кот 🐈 [é]", "a cat, 猫, кот 🐈 [é]"),
        ("one\ntwo\r\n\tthree", r"one\ntwo\r\n\tthree"),
        ("\x1b[2J\x1b]0;title\x07", r"\u001b[2J\u001b]0;title\u0007"),
        ("\x9b31m", r"\u009b31m"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("one\u2028two\u2029three\x85four", r"one\u2028two\u2029three\u0085four"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_is_unsafe_to_show_is_escaped_and_nothing_else(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown


def test_bytes_that_are_not_utf8_can_be_kept_for_a_stream_that_writes_them():
    assert visible("\udcff\x1b", raw_bytes=True) == "\udcff\\u001b"


def test_every_control_character_is_escaped():
    for code in [*range(0x20), *range(0x7F, 0xA0)]:
        assert visible(chr(code)).startswith("\\")


def test_json_stays_valid_and_means_the_same():
    content = {"name\u202e": "one\ntwo\x1b\x9b\udcff"}
    text = json.dumps(content, ensure_ascii=False)
    assert json.loads(visible(text)) == content
