from itertools import count

import pytest

from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.output_names import claimed_by_others, own_names
from attnwatch.contract.receipts import Fingerprint, Place, success
from attnwatch.settings import Visualization


def output(file, token, kind="overlay"):
    return OutputRecord(file=file, kind=kind, token=token, bytes=7, scale=(0, 1))


@pytest.fixture
def folder(tmp_path):
    """A folder of outputs, in which videos are rendered one after the other."""
    return Folder(tmp_path)


class Folder:
    def __init__(self, path):
        self._path = path
        self._numbers = count()

    def place(self, video_id):
        return Place(self._path / f"{video_id}.complete.json", video_id, self._path)

    def render(self, video_id, *tokens):
        """Choose names and write the receipt, as a job does; return the names."""
        place = self.place(video_id)
        records = own_names(place, [output(f"{video_id}_{token}_overlay.mp4", token) for token in tokens])
        self.write(place, records)
        return [record.file for record in records]

    def write(self, place, records):
        fingerprint = Fingerprint.of("0" * 64, Visualization(), None, {"number": next(self._numbers)})
        place.write(success(place, fingerprint, tuple(records), (), 1.0))


DOG, DOG_RED = ("dog", "red_fox"), ("dog_red", "fox")
PLAIN = "dog_red_fox_overlay.mp4"


def test_usual_names_are_plain(folder):
    assert folder.render("prompt_001_vid001", "kiss", "man") == [
        "prompt_001_vid001_kiss_overlay.mp4",
        "prompt_001_vid001_man_overlay.mp4",
    ]


@pytest.mark.parametrize(("first", "second"), [(DOG, DOG_RED), (DOG_RED, DOG)])
def test_the_video_that_is_rendered_first_keeps_the_plain_name(folder, first, second):
    assert folder.render(*first) == [PLAIN]
    (other,) = folder.render(*second)
    assert other != PLAIN
    assert other.startswith("dog_red_fox_")
    assert other.endswith("_overlay.mp4")
    for _ in range(2):
        assert folder.render(*second) == [other]
        assert folder.render(*first) == [PLAIN]


def test_the_suffix_depends_only_on_the_video_and_its_word(tmp_path):
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        folder = Folder(tmp_path / name)
        folder.render(*DOG)
        found += folder.render(*DOG_RED)
    assert found == ["dog_red_fox_9d78478d_overlay.mp4"] * 2


def test_a_video_keeps_its_suffix_when_the_other_one_is_deleted(folder):
    folder.render(*DOG)
    (other,) = folder.render(*DOG_RED)
    folder.place("dog").path.unlink()
    assert folder.render(*DOG_RED) == [other]
    assert folder.render(*DOG) == [PLAIN]


def test_only_the_shared_names_get_a_suffix(folder):
    folder.render("dog", "red_fox", "cat")
    fox, wolf = folder.render("dog_red", "fox", "wolf")
    assert fox != PLAIN
    assert wolf == "dog_red_wolf_overlay.mp4"


def test_three_videos_that_share_a_name_get_three(folder):
    found = [*folder.render("a", "b_c_d"), *folder.render("a_b", "c_d"), *folder.render("a_b_c", "d")]
    assert len(set(found)) == 3
    assert found[0] == "a_b_c_d_overlay.mp4"


def test_a_name_with_a_suffix_makes_way_too(folder):
    folder.render(*DOG)
    (other,) = folder.render(*DOG_RED)
    folder.place("dog_red").path.unlink()
    token = other.removeprefix("dog_").removesuffix("_overlay.mp4")
    assert folder.render("dog", "red_fox", token) == [PLAIN, other]
    (third,) = folder.render(*DOG_RED)
    assert third not in (PLAIN, other)


def test_a_linked_output_is_named_for_the_folder_that_it_comes_to(folder, tmp_path):
    folder.render(*DOG)
    (suffixed,) = folder.render(*DOG_RED)
    (tmp_path / "collection").mkdir()
    collection = Folder(tmp_path / "collection")
    (record,) = own_names(collection.place("dog_red"), [output(suffixed, "fox")])
    assert record.file == PLAIN


def test_the_combined_output_of_a_video_has_a_name_that_no_other_can_claim(folder):
    for video_id in ("dog", "dog_red"):
        (record,) = own_names(folder.place(video_id), [output(f"{video_id}_combined.mp4", "combined", "combined")])
        folder.write(folder.place(video_id), [record])
        assert record.file == f"{video_id}_combined.mp4"
    assert not claimed_by_others(folder.place("dog"), ["dog_combined.mp4"])


def test_an_output_with_an_unknown_kind_of_name_keeps_it(folder):
    (record,) = own_names(folder.place("dog"), [output("from_a_newer_version.webm", "fox")])
    assert record.file == "from_a_newer_version.webm"


def test_names_that_two_receipts_claim_are_found(folder):
    for video_id, token in (DOG, DOG_RED):
        folder.write(folder.place(video_id), [output(PLAIN, token)])
    for video_id in ("dog", "dog_red"):
        assert claimed_by_others(folder.place(video_id), [PLAIN, "dog_cat_overlay.mp4"]) == {PLAIN}
    assert claimed_by_others(folder.place("dog_red_fox"), [PLAIN]) == {PLAIN}
