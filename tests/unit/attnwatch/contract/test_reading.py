import codecs
import json
import os

import pytest

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.reading import MAX_DOCUMENT_BYTES, read_document
from attnwatch.errors import ManifestError
from tests.support import file_record, write_manifest

MINIMAL = {"format": "attnwatch/1", "video": "v.mp4", "attention": ["maps.safetensors"]}


def written(tmp_path, **fields):
    return write_manifest(tmp_path / "v.complete.json", **fields)


def read(path):
    return read_document(path, ManifestDocument)


def test_a_byte_order_mark_is_ignored(tmp_path):
    path = written(tmp_path, **MINIMAL)
    document, digest = read(path)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    marked, other = read(path)
    assert marked == document
    assert other != digest


def refused(path):
    """Return the only problem of a document, after checking that it is complete."""
    with pytest.raises(ManifestError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.file == path
    assert all((problem.field, problem.found, problem.expected, problem.remedy))
    assert str(caught.value) == str(problem)
    return problem


def test_a_document_is_returned_with_its_digest(tmp_path):
    path = written(tmp_path)
    document, digest = read(path)
    assert document.video == "v.mp4"
    assert digest == file_record(path)["sha256"]


def test_the_remedy_describes_the_field(tmp_path):
    assert refused(written(tmp_path, video=5)).remedy == (
        "write a path inside the manifest's directory, relative to it (see FORMAT.md)"
    )


def test_a_link_to_a_document_is_refused(tmp_path):
    link = tmp_path / "link.complete.json"
    link.symlink_to(written(tmp_path))
    assert refused(link).found == "a link"


def test_an_error_quotes_long_values_only_in_part(tmp_path):
    problem = refused(written(tmp_path, video={"x": "y" * 100_000}))
    assert "yyy" in problem.found
    assert len(str(problem)) < 1000


def test_many_invalid_values_give_a_short_error(tmp_path):
    with pytest.raises(ManifestError) as caught:
        read(written(tmp_path, attention=[0] * 100_000))
    assert "100,000 wrong values" in str(caught.value)


def test_a_document_of_very_many_values_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(ManifestDocument, "model_validate_json", None)
    with pytest.raises(ManifestError, match="more than 250,000 values"):
        read(written(tmp_path, x=[[]] * 300_000))


def raw(tmp_path, data):
    path = tmp_path / "v.complete.json"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"no json",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe" + "{}".encode("utf-16-le"),
        json.dumps(MINIMAL).encode().replace(b"v.mp4", b"\xff.mp4"),
        json.dumps(MINIMAL).encode().replace(b"v.mp4", rb"\ud800.mp4"),
        json.dumps(MINIMAL).encode() + b"{}",
        b"[" * 1_000_000,
        b'{"format": ' + b'{"a":' * 100_000,
        b'{"visualization": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"\0" * 100,
    ],
)
def test_invalid_json_is_refused(tmp_path, data):
    assert refused(raw(tmp_path, data)).field == "the file itself"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["timestep", "sigma"])
def test_non_finite_numbers_are_refused(tmp_path, number, field):
    fields = json.dumps({**MINIMAL, "denoising": [{"index": 0, field: "N"}]}).replace('"N"', number)
    refused(raw(tmp_path, fields.encode()))


def test_a_document_may_have_at_most_4_mebibytes(tmp_path):
    room = MAX_DOCUMENT_BYTES - len(json.dumps(MINIMAL))
    assert read(raw(tmp_path, json.dumps(MINIMAL).encode() + b" " * room))
    problem = refused(raw(tmp_path, json.dumps(MINIMAL).encode() + b" " * (room + 1)))
    assert "4,194,304" in problem.expected


def test_a_pipe_instead_of_a_document_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "v.complete.json")
    assert refused(tmp_path / "v.complete.json").found == "no regular file"


def test_a_folder_instead_of_a_document_is_an_os_error(tmp_path):
    (tmp_path / "v.complete.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"v\.complete\.json"):
        read(tmp_path / "v.complete.json")


def test_a_deleted_document_is_not_reported_as_malformed(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone.complete.json")
