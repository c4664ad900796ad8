"""Arrays saved by numpy, including maliciously crafted ones."""

import contextlib
import errno
import gzip
import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from attnwatch.batches.legacy.arrays import StoredArray
from attnwatch.errors import TensorError
from attnwatch.system.roots import Root
from tests.legacy_support import OldBatch

FORMS = [(1, False), (1, True), (4, False), (4, True)]  # .npy, .npy.gz, .npz, .npz compressed


def opened(path):
    return StoredArray.open(path, Root(path.parent).open_file)


def saved(folder, values, layout=1, *, compressed=False):
    return OldBatch(folder, layout).write_array(folder / "step_000", np.asarray(values), compressed=compressed)


def header(shape, kind="<f4", version=1):
    """Return the start of a `.npy` file with the given header."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


def read(path):
    array = opened(path)
    return array.means(min(2, len(array.shape) - 1))


def refused(path, message):
    with pytest.raises(TensorError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("layout", "compressed"), FORMS)
@given(
    values=arrays.arrays(
        st.sampled_from([np.float16, np.float32]),
        arrays.array_shapes(min_dims=4, max_dims=4, max_side=4),
        elements=st.floats(0, 1, width=16),
    )
)
def test_the_mean_over_blocks_and_heads_matches_numpy(tmp_path_factory, layout, compressed, values):
    path = saved(tmp_path_factory.mktemp("array"), values, layout, compressed=compressed)
    array = opened(path)
    assert array.shape == values.shape
    expected = values.astype(np.float64).mean(axis=(0, 1)).sum(axis=-1)
    np.testing.assert_allclose(array.means(2), expected, rtol=1e-5, atol=1e-12)
    one = values.astype(np.float64).reshape(-1, *values.shape[2:])[-1].sum(axis=-1)
    np.testing.assert_allclose(array.means(2, [len(values.reshape(-1, *values.shape[2:])) - 1]), one, rtol=1e-5)


@pytest.mark.parametrize(("layout", "compressed"), FORMS)
def test_only_one_map_is_in_memory_at_a_time(tmp_path, layout, compressed):
    values = np.full((30, 12, 2000, 1), 0.5, np.float16)
    path = saved(tmp_path, values, layout, compressed=compressed)
    array = opened(path)
    array.means(2)
    tracemalloc.start()
    array.means(2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 4 + 2 * io.DEFAULT_BUFFER_SIZE  # which is 128 KiB from Python 3.14 on


def test_an_archive_with_several_arrays_is_read_by_name(tmp_path):
    path = tmp_path / "step_000.npz"
    np.savez(path, step=np.array(3), attention=np.ones((1, 1, 4, 1), np.float32))
    assert opened(path).shape == (1, 1, 4, 1)
    np.savez(path, one=np.ones(4, np.float32), other=np.ones(4, np.float32))
    refused(path, "found arrays named one, other; expected one array, or one named attention")


@pytest.mark.parametrize("version", [1, 2])
def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path, version):
    path = tmp_path / "step_000.npy"
    path.write_bytes(header((1, 1, 10**12, 1), version=version) + b"\0" * 16)
    refused(path, "claims 4,000,000,000,000 bytes")


@pytest.mark.parametrize("missing", [1, 100])
def test_a_truncated_file_is_refused(tmp_path, missing):
    path = saved(tmp_path, np.ones((1, 1, 400, 1), np.float32))
    path.write_bytes(path.read_bytes()[:-missing])
    refused(path, "a header that claims 1,600 bytes")


@pytest.mark.parametrize(("layout", "compressed"), FORMS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, layout, compressed, share):
    noise = np.random.default_rng(0).random((2, 2, 300, 1), np.float32)
    path = saved(tmp_path, noise, layout, compressed=compressed)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, "found")


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_whatever_changed_bytes_make_a_decompressor_raise_is_a_damaged_file(tmp_path, kind):
    path, content = tmp_path / "step_000.npz", io.BytesIO()
    np.save(content, np.random.default_rng(0).random((1, 1, 24, 1), np.float32))
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("attention.npy", content.getvalue())
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        with contextlib.suppress(TensorError):
            read(path)


OF_NO_TYPE = "{'descr': ('<f4',), 'fortran_order': False, 'shape': (1, 1, 4, 1)}\n"


@pytest.mark.parametrize(
    "text",
    ["(", "{'shape': (", '"""', "{'descr': [[[", "{\n  'a'\n b", "0x", "'\\", "(" * 5000, "{1: 2, 'a': 3}", OF_NO_TYPE],
)
def test_whatever_numpy_raises_for_a_header_is_a_damaged_file(tmp_path, text):
    path, data = tmp_path / "step_000.npy", text.encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data)
    refused(path, "damaged data")


def test_a_changed_byte_in_a_compressed_file_is_detected(tmp_path):
    path = saved(tmp_path, np.random.default_rng(0).random((1, 1, 500, 1), np.float32), compressed=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    refused(path, "damaged data")


def test_a_small_file_that_claims_to_expand_beyond_the_limit_of_deflate_is_refused(tmp_path):
    path = tmp_path / "step_000.npy.gz"
    path.write_bytes(gzip.compress(header((1, 1, 10**9, 1))))
    refused(path, "what a compressed file of this size can hold")


def test_a_file_that_expands_to_one_huge_map_is_refused_before_it_is_in_memory(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("maps.npy", "w") as member:
        member.write(header((1, 1, 100_000_000, 1), "<f2"))
        for _ in range(200):
            member.write(bytes(10**6))
    path = tmp_path / "step_000.npz"
    path.write_bytes(content.getvalue())
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    refused(path, "a map of 100,000,000 values")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**7


def test_pickled_objects_are_never_loaded(tmp_path):
    path = tmp_path / "step_000.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(path, "elements of type object")


@pytest.mark.parametrize("kind", [np.float64, np.int32, ">f4"])
def test_other_element_types_are_refused(tmp_path, kind):
    refused(saved(tmp_path, np.ones((1, 1, 4, 1), kind)), "elements of type")


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_invalid_probabilities_are_refused(tmp_path, wrong, kind):
    values = np.ones((1, 2, 4, 1), kind)
    values[0, 1, 2] = wrong
    refused(saved(tmp_path, values), "probabilities")


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_masked_values_that_are_not_finite_become_nan(tmp_path, kind):
    values = np.ones((1, 2, 4, 1), kind)
    values[0, 1, 2] = np.inf
    found = opened(saved(tmp_path, values)).means(2, masked=True)
    assert np.isnan(found).tolist() == [False, False, True, False]


@pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x07\0", header("()"), header((1, 0, 4, 1))])
def test_data_that_is_not_an_array_is_refused(tmp_path, data):
    path = tmp_path / "step_000.npy"
    path.write_bytes(data)
    refused(path, "found")


def test_an_overlong_header_is_refused(tmp_path):
    path = tmp_path / "step_000.npy"
    path.write_bytes(b"\x93NUMPY\x02\0" + (2**31).to_bytes(4, "little"))
    refused(path, "a header of 2,147,483,648 bytes")


def test_values_in_fortran_order_are_refused_rather_than_transposed(tmp_path):
    refused(saved(tmp_path, np.asfortranarray(np.ones((2, 3, 4, 1), np.float32))), "Fortran")


def test_an_offset_that_leads_nowhere_is_damage_and_told_without_a_number(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, attention=np.ones((1, 1, 4, 1), np.float32))

    def leads_nowhere(*arguments):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(zipfile.ZipFile, "open", leads_nowhere)
    with pytest.raises(TensorError, match=r"found damaged data \(Invalid argument\); expected a complete file"):
        opened(path)
