import re

import pytest

from generator.errors import PromptsError, TemplateError
from generator.prompts.prompt_file import read_prompt_file


@pytest.fixture
def read(tmp_path):
    """Read a file with the given content, as text or as bytes."""

    def read_content(content, suffix=".txt"):
        path = tmp_path / f"prompts{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_prompt_file(path)

    return read_content


def templates(lines):
    return [(line.number, line.template.text) for line in lines]


def facts(lines):
    return [(line.template.text, line.negative, line.seed, line.name) for line in lines]


def test_a_text_file_has_a_template_per_line_and_comments(read):
    text = "# animals\n\na [red|blue] (dog)\n   # indented\n  a (cat)  \n\\#cat on a mat\n"
    lines = read(text)
    assert templates(lines) == [(3, "a [red|blue] (dog)"), (5, "a (cat)"), (6, "#cat on a mat")]
    assert [line.template.count for line in lines] == [2, 1, 1]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_the_line_endings_of_other_systems_are_no_part_of_a_prompt(read, ending):
    lines = read(b"\xef\xbb\xbfa (dog)" + f"{ending}{ending}a (cat)".encode())
    assert templates(lines) == [(1, "a (dog)"), (3, "a (cat)")]
    lines = read(b"\xef\xbb\xbfprompt,seed" + f"{ending}a (dog),7{ending}".encode(), ".csv")
    assert facts(lines) == [("a (dog)", None, 7, None)]


def test_csv_columns_may_have_any_order_and_empty_cells(read):
    text = (
        'name, Seed,prompt,negative,image\nfirst,7,"a red, (big) dog",blurry,\n,,a (cat)\n\n,,"a ""(fox)""\nby night"\n'
    )
    assert facts(read(text, ".csv")) == [
        ("a red, (big) dog", "blurry", 7, "first"),
        ("a (cat)", None, None, None),
        ('a "(fox)"\nby night', None, None, None),
    ]


def test_json_lines_may_have_any_keys_of_the_columns(read):
    text = '{"prompt": "a (dog)", "seed": 7, "name": "ä"}\n\n{"prompt": "a (cat)", "negative": "", "image": null}\n'
    assert facts(read(text, ".JSONL")) == [("a (dog)", None, 7, "ä"), ("a (cat)", "", None, None)]


@pytest.mark.parametrize(
    ("suffix", "content", "complaint"),
    [
        (".txt", "", "prompts.txt: found no prompt; expected one per line"),
        (".csv", "prompt\n", "prompts.csv: found no prompt"),
        (".json", "[]", "found a file of another kind; expected `.txt`"),
        (".txt", b"a dog\na caf\xe9\n", "prompts.txt, line 2: found bytes that are not UTF-8. Save the file as UTF-8"),
        (".txt", "a dog\na cat".encode("utf-16"), "line 1: found bytes that are not UTF-8"),
        (".txt", "a dog\na cat".encode("utf-16-le"), "line 1: found a zero byte; expected text. Save the file as UTF"),
        (".csv", "promt,seed\n", "line 1: found a column 'promt'. Did you mean `prompt`?"),
        (".csv", "prompt;seed\na dog;7\n", "line 1: found a column 'prompt;seed'. Did you mean `prompt`?"),
        (".csv", "prompt,prompt\n", "line 1: found the column 'prompt' twice"),
        (".csv", "seed,name\n", "line 1: found the columns seed, name; expected one called `prompt` among them"),
        (".csv", "\nprompt,seed\na dog, running,7\n", "line 3: found 3 values, but 2 columns (prompt, seed). Put a"),
        (".csv", 'prompt\na dog\n"a cat\n', "line 3: this is not CSV: unexpected end of data"),
        (".csv", "prompt,seed\na dog,seven\n", "line 2: seed: found 'seven'; expected a valid integer"),
        (".csv", "prompt,seed\na dog,-1\n", "line 2: seed: found '-1'; expected greater than or equal to 0"),
        (".csv", "prompt,seed\n,7\n", "line 2: found no prompt; expected one in the column `prompt`"),
        (".csv", "prompt,image\na dog,dog.png\n", "line 2: found no image 'dog.png' in "),
        (".csv", "prompt,name\na dog,a/b\n", "name: found 'a/b'; expected a name of 1 to 80 bytes without `/`"),
        (".csv", "prompt,name\na dog,@eaDir\n", "name: found '@eaDir'; expected a name that begins with a letter"),
        (".csv", "prompt,name\na dog,Attention_Videos\n", "found 'Attention_Videos'; expected a name that begins"),
        (
            ".csv",
            "prompt,name\na dog,x\na cat,y\na fox,X\n",
            "line 4: found the name 'X', which line 2 has",
        ),
        (".jsonl", '{"prompt": "a"}\n{"prompt": "b"', "line 2: this is not JSON: Expecting ',' delimiter at character"),
        (".jsonl", '"a dog"', "line 1: found no object; expected one such as"),
        (".jsonl", '{"prompt": "a", "prompt": "b"}', "line 1: found the key 'prompt' twice"),
        (".jsonl", '{"prompt": "a", "sead": 1}', "line 1: found the key 'sead'. Did you mean `seed`?"),
        (".jsonl", '{"prompt": 5}', "line 1: prompt: found 5; expected text"),
        (".jsonl", '{"seed": 5}', "line 1: found no prompt"),
        (".jsonl", '{"prompt": "a", "seed": true}', "line 1: seed: found True; expected a number"),
        (".jsonl", '{"prompt": "a", "seed": 1e99}', "line 1: seed: found 1e+99; "),
        (".jsonl", '{"prompt": "a", "negative": "\\ud800"}', "line 1: negative: found '\\ud800'; expected text; char"),
        (".jsonl", "[" * 100_000, "line 1: found brackets inside brackets without end"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_and_what_was_expected(read, suffix, content, complaint):
    with pytest.raises(PromptsError, match=re.escape(complaint)):
        read(content, suffix)


def test_a_wrong_template_is_shown_with_its_line_and_a_caret(read):
    with pytest.raises(TemplateError, match=r"prompts\.txt, line 2: `\[` is never closed[^\n]*\n  a \[b\n    \^"):
        read("a dog\na [b\n")
    (line,) = read("[a|]\n")
    with pytest.raises(TemplateError, match=r"prompts\.txt, line 1: variation 2 of 2 is an empty prompt"):
        line.variation(2)


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(PromptsError, match="cannot be read: No such file"):
        read_prompt_file(tmp_path / "none.txt")
    with pytest.raises(PromptsError, match="cannot be read: Is a directory"):
        read_prompt_file(tmp_path)
    monkeypatch.setattr("generator.prompts.prompt_file.MOST_BYTES", 2**20)
    (tmp_path / "large.txt").write_bytes(b"a" * 2**20 + b"a")
    with pytest.raises(PromptsError, match="found more than 1 MiB; split the file"):
        read_prompt_file(tmp_path / "large.txt")
