import time

import pytest

from generator.prompts.foreign import warning_of


@pytest.mark.parametrize(
    ("template", "remedy"),
    [
        ("a {red|blue} (car)", "{red|blue} (write [red|blue])"),
        ("a __color__ (car)", "__color__ (write [one|another], or a line for each with --prompts FILE)"),
        ("a (car) <lora:retro:0.8>", "<lora:retro:0.8> (remove it and add --lora retro:0.8)"),
        ("a (car)++", "(car)++ (write (car); there are no weights)"),
        ("a (old car)--, red", "(old car)-- (write (old car); there are no weights)"),
        ("a car++ (running)", "car++ (write car; there are no weights)"),
        ("a [cat:dog:0.5] (running)", "[cat:dog:0.5] (write [cat|dog] for both, each in videos of its own)"),
        ("a (cat) BREAK a dog", "BREAK (remove it; prompts are not divided)"),
        ("a (car), [blurry]", "[blurry] (write blurry, or [blurry|] for prompts with and without it)"),
    ],
)
def test_syntax_of_other_tools_is_named_with_what_to_write_instead(template, remedy):
    assert warning_of([template], []) == f"found syntax of other tools, which has no meaning here: {remedy}"


def test_each_kind_is_named_once_for_all_prompts():
    found = warning_of(["a {a|b}", "a {c|d} BREAK", "a {a|b}"], ["(bad hands:1.4), blurry", "((worst quality:2))"])
    assert found.count("(write [") == 1
    assert found.endswith(
        "{a|b} (write [a|b]); BREAK (remove it; prompts are not divided); "
        "(bad hands:1.4) (write bad hands; there are no weights)"
    )


@pytest.mark.parametrize(
    "template",
    [
        "a romantic (kiss) between [two men|two women|]",
        "[[big|small] dog|cat] and [(circle)|(square)]",
        r"a \[sic\] dog, 16:9 (video), 10:30",
        "breaking news, C++ code, (a)-b, a_b_c, (red)-haired, 3 < 4 > 2",
    ],
)
def test_templates_and_ordinary_text_are_left_alone(template):
    assert warning_of([template], ["blurry, (bad) [hands]"]) is None


@pytest.mark.parametrize("text", ["[:" * 3000, "{" * 3000, "(" * 3000, "_" * 3000, "[" + ":" * 3000, "<lora:" * 1000])
def test_no_text_takes_long(text):
    began = time.process_time()
    warning_of([text], [text])
    assert time.process_time() - began < 10
