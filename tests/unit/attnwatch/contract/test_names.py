import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.names import (
    MAX_ID_BYTES,
    MAX_SLUG_BYTES,
    Subject,
    default_video_id,
    is_manifest,
    sheet_names,
    slug,
    unique_slugs,
)

bounded = settings(max_examples=150, deadline=None)
texts = st.text(max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kiss", "kiss"),
        ("two men", "two_men"),
        ("Kiss", "Kiss"),
        ('"kiss!"', "kiss"),
        ("  a -- b  ", "a_b"),
        ("__padding__", "padding"),
        ("kiss/../../etc", "kiss_etc"),
        ("поцелуй", "поцелуй"),
        ("चुंबन", "चुंबन"),
        ("キス", "キス"),
        ("cafe\u0301", "caf\u00e9"),
        ("½", "½"),
        ("🙂", "word"),
        ("", "word"),
        ("...", "word"),
        ("a" * 200, "a" * 80),
        ("é" * 100, "é" * 40),
    ],
)
def test_a_slug_keeps_letters_digits_and_marks_of_any_script(text, expected):
    assert slug(text) == expected


@bounded
@given(texts | st.text(st.characters(categories=["L", "N", "M", "P", "Z"]), min_size=40, max_size=200))
def test_a_slug_is_a_short_file_name_of_allowed_characters(text):
    name = slug(text)
    assert name
    assert len(name.encode()) <= MAX_SLUG_BYTES
    assert all(char == "_" or unicodedata.category(char)[0] in "LNM" for char in name)
    assert "__" not in name
    assert name == name.strip("_")


@bounded
@given(texts)
def test_the_slug_of_a_slug_is_itself(text):
    assert slug(slug(text)) == slug(text)


@bounded
@given(texts)
def test_a_slug_does_not_depend_on_how_the_text_composes_its_accents(text):
    assert slug(unicodedata.normalize("NFD", text)) == slug(text)


def test_repeated_slugs_are_numbered_from_2():
    assert unique_slugs(["kiss", "kiss", "dog", "kiss"]) == ["kiss", "kiss_2", "dog", "kiss_3"]


def test_slugs_that_differ_only_in_case_are_numbered():
    assert unique_slugs(["kiss", "Kiss", "KISS"]) == ["kiss", "Kiss_2", "KISS_3"]


def test_a_number_that_is_already_taken_is_skipped():
    assert unique_slugs(["kiss_2", "kiss", "kiss"]) == ["kiss_2", "kiss", "kiss_3"]


def test_a_numbered_slug_respects_the_size_limit():
    names = unique_slugs(["あ" * 40] * 12)
    assert len({name.casefold() for name in names}) == 12
    assert max(len(name.encode()) for name in names) <= MAX_SLUG_BYTES


@bounded
@given(st.lists(st.sampled_from(["kiss", "Kiss", "kiss_2", "straße", "STRASSE", "a" * 90, ""]) | texts, max_size=12))
def test_slugs_are_unique_when_case_is_ignored(several):
    names = unique_slugs(several)
    assert len(names) == len(several)
    assert len({name.casefold() for name in names}) == len(names)
    assert all(len(name.encode()) <= MAX_SLUG_BYTES for name in names)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x/prompt_001/video_001.complete.json", "prompt_001_vid001"),
        ("/x/prompt_012/video_1234.complete.json", "prompt_012_vid1234"),
        ("/x/clips/dog.complete.json", "clips_dog"),
        ("/x/clips/video_a.complete.json", "clips_video_a"),
        ("/x/.clips/dog.complete.json", "_clips_dog"),
        ("/x/a\nb/dog.complete.json", "a_b_dog"),
        ("/x/clips/dog.mp4.complete.json", "clips_dog.mp4"),
        ("/dog.complete.json", "_dog"),
    ],
)
def test_an_identifier_comes_from_the_directory_and_the_name_of_the_manifest(path, expected):
    assert default_video_id(Path(path)) == expected


def test_a_relative_path_is_resolved_for_the_identifier(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    monkeypatch.chdir(tmp_path / "clips")
    assert default_video_id(Path("dog.complete.json")) == "clips_dog"


def test_an_identifier_is_utf8_even_if_the_file_name_is_not():
    path = Path(os.fsdecode(b"/x/cl\xffips/d\xfeog.complete.json"))
    assert default_video_id(path) == "cl_ips_d_og"


def test_long_identifiers_are_cut_but_stay_different():
    first = default_video_id(Path("/x/" + "あ" * 80 + "/" + "b" * 200 + "1.complete.json"))
    second = default_video_id(Path("/x/" + "あ" * 80 + "/" + "b" * 200 + "2.complete.json"))
    assert first != second
    assert len(first.encode()) <= MAX_ID_BYTES
    assert first.startswith("あ" * 30)


file_names = st.binary(min_size=1, max_size=240).filter(lambda name: not {0, ord("/")} & set(name))


@bounded
@given(file_names, file_names)
def test_every_default_identifier_is_valid_in_a_manifest(directory, stem):
    path = Path("/x") / os.fsdecode(b"_" + directory) / os.fsdecode(stem + b".complete.json")
    identifier = default_video_id(path)
    assert len(identifier.encode()) <= MAX_ID_BYTES
    ManifestDocument(format="attnwatch/1", video="v.mp4", attention=(), video_id=identifier)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("video_001.complete.json", True),
        ("batch.json.complete.json", True),
        ("batch.complete.json", False),
        (".video_001.complete.json", False),
        ("video_001.complete.json.tmp", False),
        ("video_001.json", False),
    ],
)
def test_a_manifest_is_recognized_by_its_name(name, expected):
    assert is_manifest(name) is expected


@pytest.mark.parametrize("name", [".complete.json"])
def test_a_name_that_consists_of_the_suffix_is_hidden(name):
    assert not is_manifest(name)


KISS, MAN, KISS_2 = Subject("kiss"), Subject("man"), Subject("kiss_2")


class TestSheetNames:
    def test_pages_are_numbered_from_the_second_on(self):
        assert sheet_names({KISS: 3, MAN: 1, Subject("kiss", 2): 2}) == {
            KISS: ["contact_sheet_kiss.png", "contact_sheet_kiss_2.png", "contact_sheet_kiss_3.png"],
            MAN: ["contact_sheet_man.png"],
            Subject("kiss", 2): [
                "contact_sheet_kiss_differences_slot2.png",
                "contact_sheet_kiss_differences_slot2_2.png",
            ],
        }

    @pytest.mark.parametrize("order", [(KISS, KISS_2), (KISS_2, KISS)])
    def test_the_first_page_of_a_word_has_precedence_over_the_second_of_another(self, order):
        found = sheet_names(dict.fromkeys(order, 2))
        assert found[KISS] == ["contact_sheet_kiss.png", "contact_sheet_kiss_page_2.png"]
        assert found[KISS_2] == ["contact_sheet_kiss_2.png", "contact_sheet_kiss_2_2.png"]

    def test_a_word_has_precedence_over_differences_of_another(self):
        found = sheet_names({Subject("kiss", 1): 2, Subject("kiss_differences_slot1"): 2})
        assert found == {
            Subject("kiss", 1): [
                "contact_sheet_kiss_differences_slot1_page_1.png",
                "contact_sheet_kiss_differences_slot1_page_2.png",
            ],
            Subject("kiss_differences_slot1"): [
                "contact_sheet_kiss_differences_slot1.png",
                "contact_sheet_kiss_differences_slot1_2.png",
            ],
        }

    def test_names_are_distinct_even_without_case(self):
        words = ["kiss", "Kiss_2", "kiss_page_2", "kiss_page_2_2", "kiss_2_2", "kiss_differences_slot1"]
        subjects = [*map(Subject, words), Subject("kiss", 1), Subject("kiss_page_2", 1)]
        found = [name.casefold() for names in sheet_names(dict.fromkeys(subjects, 3)).values() for name in names]
        assert len(found) == len(set(found)) == 24
