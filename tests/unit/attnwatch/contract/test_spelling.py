"""Files whose names on disk are spelled in another way than in the manifest."""

import unicodedata

import pytest

from attnwatch.contract.documents import FileRecord, ManifestDocument
from attnwatch.contract.spelling import name_on_disk, with_names_on_disk

COMPOSED = "café.mp4"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def test_an_exact_name_is_kept_even_beside_another_spelling(tmp_path):
    for name in (COMPOSED, DECOMPOSED):
        (tmp_path / name).touch()
    assert name_on_disk(tmp_path, COMPOSED) == COMPOSED
    assert name_on_disk(tmp_path, DECOMPOSED) == DECOMPOSED


@pytest.mark.parametrize(("written", "stored"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_file_is_found_in_the_other_normal_form(tmp_path, written, stored):
    (tmp_path / stored).touch()
    assert name_on_disk(tmp_path, written) == stored


def test_folders_on_the_way_may_be_spelled_differently_too(tmp_path):
    (tmp_path / DECOMPOSED / "maps").mkdir(parents=True)
    (tmp_path / DECOMPOSED / "maps" / "à").touch()
    assert name_on_disk(tmp_path, f"{COMPOSED}\\maps/a\u0300") == f"{DECOMPOSED}/maps/à"


def test_a_name_that_two_files_could_have_is_left_as_it_is(tmp_path):
    written = "\u1e69"  # s with a dot below and above
    for stored in ("s\u0323\u0307", "s\u0307\u0323"):
        (tmp_path / stored).touch()
    assert name_on_disk(tmp_path, written) == written


def test_a_path_as_windows_writes_it_is_found(tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/step_000.safetensors").touch()
    assert name_on_disk(tmp_path, "maps\\step_000.safetensors") == "maps/step_000.safetensors"


def test_a_backslash_that_is_part_of_a_name_is_kept(tmp_path):
    (tmp_path / "a\\b.mp4").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.mp4").touch()
    assert name_on_disk(tmp_path, "a\\b.mp4") == "a\\b.mp4"


@pytest.mark.parametrize("written", ["..\\secret", "maps\\..\\..\\secret", "\\etc\\passwd", "C:\\a.mp4", "a\\", "nö"])
def test_what_leaves_the_folder_or_is_absent_is_left_as_it_is(tmp_path, written):
    (tmp_path / "secret").touch()
    (tmp_path / "folder/maps").mkdir(parents=True)
    assert name_on_disk(tmp_path / "folder", written) == written


def test_every_name_in_a_manifest_is_the_one_on_disk(tmp_path):
    (tmp_path / DECOMPOSED).touch()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/a.safetensors").touch()
    record = FileRecord(bytes=0, sha256="0" * 64)
    written = ManifestDocument(
        format="attnwatch/1",
        video=COMPOSED,
        attention=("maps\\a.safetensors", "plain.safetensors"),
        files={COMPOSED: record, "maps\\a.safetensors": record, "plain.safetensors": record},
    )
    document = with_names_on_disk(written, tmp_path)
    assert (document.video, *document.attention) == (DECOMPOSED, "maps/a.safetensors", "plain.safetensors")
    assert list(document.files) == [DECOMPOSED, "maps/a.safetensors", "plain.safetensors"]


def test_a_manifest_of_plain_names_is_returned_without_a_look_at_the_disk(tmp_path):
    written = ManifestDocument(format="attnwatch/1", video="a.mp4", attention=("maps/a.safetensors",))
    assert with_names_on_disk(written, tmp_path / "absent") is written
