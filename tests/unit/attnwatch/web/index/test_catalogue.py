from attnwatch.web.index import catalogue
from attnwatch.web.index.catalogue import Catalogue
from tests.support import write_receipt


def test_a_page_that_comes_back_is_told_what_it_has_missed(batch, opened):
    first, second = batch.add_full(1), batch.add_full(2)
    page = opened()
    ids = [video["id"] for video in page.videos]
    known = page.catalogue.revision
    assert page.catalogue.changes(known).videos == {}
    write_receipt(first)
    write_receipt(second)
    page.poll()
    missed = page.catalogue.changes(known)
    (its,) = missed.videos.values()
    assert set(its) == set(ids)
    assert page.catalogue.changes(missed.revision).videos == {}


def test_a_page_that_has_missed_too_much_or_knows_another_server_loads_everything(batch, opened, monkeypatch):
    monkeypatch.setattr(catalogue, "_REMEMBERED", 10)
    batch.add_full(1)
    page = opened()
    known = page.catalogue.revision
    for number in range(2, 12):
        batch.add_full(number)
        page.poll()
    assert page.catalogue.changes(known) is None
    assert page.catalogue.changes(page.catalogue.revision + 1) is None
    assert page.catalogue.changes(-1) is None


def test_a_later_server_counts_on_from_where_no_earlier_one_has_been(tmp_path):
    earlier = Catalogue(tmp_path).revision
    assert Catalogue(tmp_path).revision >= earlier > 1_700_000_000_000


def test_a_batch_of_very_many_videos_is_cut_and_says_so(batch, opened, monkeypatch):
    monkeypatch.setattr(catalogue, "MOST_ROWS", 2)
    for number in (1, 2, 3):
        batch.add_full(number)
    found = opened().batch
    assert (len(found["videos"]), found["left_out"], found["counts"]["finished"]) == (2, 1, 3)
