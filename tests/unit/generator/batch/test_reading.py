"""Documents of a batch that were damaged after they were written."""

import os

import pytest

from generator.batch import reading
from generator.batch.reading import read_object
from generator.errors import DocumentError


def test_an_object_is_read_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "batch.json"
    for content in ('{"a": "é"}'.encode(), '{"a": "é"}'.encode("utf-8-sig")):
        path.write_bytes(content)
        assert read_object(path) == {"a": "é"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not JSON"),
        (b'{"a": ', "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b"[]", "found list; expected a JSON object"),
        (b"[" * 100_000, "brackets inside brackets without end"),
    ],
    ids=["empty", "cut", "not UTF-8", "a list", "brackets"],
)
def test_damaged_content_is_described(tmp_path, content, complaint):
    path = tmp_path / "batch.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=complaint):
        read_object(path)


def test_a_fifo_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "batch.json")
    with pytest.raises(DocumentError, match="found no regular file"):
        read_object(tmp_path / "batch.json")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DocumentError, match="Is a directory"):
        read_object(tmp_path)


def test_a_document_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    (tmp_path / "batch.json").write_text('{"a": "0123456789"}')
    with pytest.raises(DocumentError, match="found 19 bytes; expected at most 10"):
        read_object(tmp_path / "batch.json")


def test_a_missing_document_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "batch.json")
