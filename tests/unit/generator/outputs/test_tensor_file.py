"""Writing safetensors files: readable by the library, reproducible, and never whole in memory."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import zstandard
from safetensors import safe_open
from safetensors.numpy import load, save

from generator.outputs.tensor_file import Stored, write_tensors

HALVES = [np.full((2, 3), number, np.float16) for number in range(3)]
MEAN = np.arange(6, dtype=np.float32).reshape(2, 3)
TENSORS = {"kiss": Stored.joined(HALVES), "ÄÖ": Stored.joined(HALVES[:1]), "kiss.aggregated": Stored.whole(MEAN)}


def test_the_safetensors_library_reads_the_file(tmp_path):
    write_tensors(tmp_path / "a.safetensors", TENSORS, {"format": "attnwatch/1", "prompt": "ÄÖ"})
    with safe_open(tmp_path / "a.safetensors", "np") as file:
        assert file.metadata() == {"format": "attnwatch/1", "prompt": "ÄÖ"}
        assert set(file.keys()) == set(TENSORS)
        assert np.array_equal(file.get_tensor("kiss"), np.stack(HALVES))
        assert np.array_equal(file.get_tensor("kiss.aggregated"), MEAN)
        assert file.get_tensor("ÄÖ").dtype == np.float16


def test_the_layout_matches_the_safetensors_library(tmp_path):
    write_tensors(tmp_path / "a.safetensors", TENSORS, {})
    written = (tmp_path / "a.safetensors").read_bytes()
    other = save({"kiss": np.stack(HALVES), "ÄÖ": np.stack(HALVES[:1]), "kiss.aggregated": MEAN}, {})
    contents = [data[8 + int.from_bytes(data[:8], "little") :] for data in (written, other)]
    assert contents[0] == contents[1]
    assert int.from_bytes(written[:8], "little") % 8 == 0


def test_parts_need_not_be_contiguous(tmp_path):
    parts = [np.arange(12, dtype=np.float32).reshape(3, 4).T[:, 1:]]
    write_tensors(tmp_path / "a.safetensors", {"a": Stored.joined(parts)}, {})
    assert np.array_equal(load((tmp_path / "a.safetensors").read_bytes())["a"], np.stack(parts))


def test_a_compressed_file_is_one_frame_with_its_size_in_the_header(tmp_path):
    write_tensors(tmp_path / "a.safetensors", TENSORS, {})
    write_tensors(tmp_path / "a.safetensors.zst", TENSORS, {})
    plain, compressed = ((tmp_path / name).read_bytes() for name in ("a.safetensors", "a.safetensors.zst"))
    assert zstandard.get_frame_parameters(compressed).content_size == len(plain)
    assert zstandard.decompress(compressed) == plain


@pytest.mark.parametrize("name", ["a.safetensors", "a.safetensors.zst"])
def test_a_file_is_never_whole_in_memory(tmp_path, name):
    parts = [np.zeros((64, 2**14), np.float32)] * 16  # 64 MiB in total, but the same 4 MiB part
    tracemalloc.start()
    try:
        write_tensors(tmp_path / name, {"a": Stored.joined(parts)}, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_the_file_does_not_depend_on_the_order_of_tensors_and_metadata(tmp_path):
    write_tensors(tmp_path / "a", TENSORS, {"a": "1", "b": "2"})
    write_tensors(tmp_path / "b", dict(reversed(TENSORS.items())), {"b": "2", "a": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", ["a.safetensors", "a.safetensors.zst"])
def test_equal_tensors_give_equal_files_in_every_process(tmp_path, name):
    program = f"""
import numpy as np, pathlib
from generator.outputs.tensor_file import Stored, write_tensors
tensors = {{name: Stored.whole(np.ones(3, np.float16)) for name in "abcdef"}}
write_tensors(pathlib.Path({str(tmp_path / name)!r}), tensors, {{"b": "1", "a": "2"}})
"""
    contents = set()
    for seed in "12":
        subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONHASHSEED": seed}, timeout=600)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1
