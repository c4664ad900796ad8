import errno
import json
import resource
import struct
import tracemalloc

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from attnwatch.contract.manifest import read_manifest, verify
from attnwatch.errors import ConfigError, NotReadyError, TensorError
from attnwatch.system.limits import LARGEST_FILE
from attnwatch.tensors import file
from attnwatch.tensors.reader import AttentionReader, Part
from tests.support import GRID, blob_maps, few_descriptors, opened_since, write_manifest, write_tensors

bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def reader(folder, *names, **fields):
    return AttentionReader(read_manifest(write_manifest(folder / "v.complete.json", attention=list(names), **fields)))


def read(folder, tensors, **fields):
    """Return the maps of one tensor file by slug."""
    write_tensors(folder / "maps.safetensors", tensors)
    with reader(folder, "maps.safetensors", **fields) as attention:
        return {slug: word.frames() for slug, word in attention.words.items()}


def read_all(folder, *names, **fields):
    with reader(folder, *names, **fields) as attention:
        for word in attention.words.values():
            word.frames()


def refused(folder, *names, **fields):
    with pytest.raises(TensorError) as caught:
        read_all(folder, *(names or ["maps.safetensors"]), **fields)
    (problem,) = caught.value.problems
    assert all((problem.field, problem.found, problem.expected, problem.remedy))
    return problem


axes = st.tuples(*[st.integers(1, 4)] * 6)


@bounded
@given(shape=axes, dtype=st.sampled_from([np.float16, np.float32]), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_the_mean_covers_all_steps_layers_and_heads_however_they_are_stored(tmp_path, shape, dtype, seed, data):
    values = np.random.default_rng(seed).random(shape).astype(dtype)
    if data.draw(st.booleans(), "tiny values"):
        values *= dtype(1e-5)
    cuts = data.draw(st.lists(st.integers(1, shape[0]), max_size=3, unique=True).map(sorted), "cuts")
    parts = [part for part in np.split(values, cuts) if len(part)]
    names = []
    for index, part in enumerate(parts):
        ending = data.draw(st.sampled_from(["", ".zst"]), "ending")
        names.append(f"maps/step_{index:03d}.safetensors{ending}")
        write_tensors(tmp_path / names[-1], {"kiss": part})
    with reader(tmp_path, *names) as attention:
        word = attention.words["kiss"]
        assert word.grid == shape[3:]
        assert word.shape == shape
        frames = word.frames()
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, values.astype(np.float64).mean(axis=(0, 1, 2)), rtol=2e-6, atol=1e-12)


def test_a_denoising_step_of_one_head_is_read_exactly(tmp_path):
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16)[: 31 * 32 * 32].reshape(1, 1, 1, 31, 32, 32)
    frames = read(tmp_path, {"kiss": halves})["kiss"]
    assert np.array_equal(frames, halves[0, 0, 0].astype(np.float32))


def test_a_stored_aggregated_map_is_the_overall_mean_because_some_steps_may_not_be_stored(tmp_path):
    stored = np.random.default_rng(1).random(GRID).astype(np.float32)
    steps = blob_maps()
    write_tensors(tmp_path / "maps.safetensors", {"kiss": steps, "kiss.aggregated": stored})
    with reader(tmp_path, "maps.safetensors") as attention:
        word = attention.words["kiss"]
        assert np.array_equal(word.frames(), stored)
        np.testing.assert_allclose(word.frames(Part(steps=0)), steps[0].mean(axis=(0, 1)), rtol=1e-6)


def test_an_aggregated_map_alone_is_enough(tmp_path):
    stored = blob_maps()[0, 0, 0]
    assert np.array_equal(read(tmp_path, {"kiss.aggregated": stored})["kiss"], stored)


def test_the_aggregated_map_may_be_in_any_of_several_files(tmp_path):
    stored = blob_maps()[0, 0, 0]
    write_tensors(tmp_path / "a.safetensors", {"kiss": blob_maps(steps=1)})
    write_tensors(tmp_path / "b.safetensors", {"kiss": blob_maps(steps=3), "kiss.aggregated": stored})
    with reader(tmp_path, "a.safetensors", "b.safetensors") as attention:
        assert attention.words["kiss"].shape == (4, 1, 1, *GRID)
        assert np.array_equal(attention.words["kiss"].frames(), stored)


def test_an_aggregated_map_in_two_files_is_refused(tmp_path):
    for name in "ab":
        write_tensors(tmp_path / f"{name}.safetensors", {"kiss.aggregated": blob_maps()[0, 0, 0]})
    problem = refused(tmp_path, "a.safetensors", "b.safetensors")
    assert problem.field == "tensor 'kiss.aggregated'"
    assert "a.safetensors" in problem.found


def test_reserved_names_and_the_unconditional_branch_are_not_words(tmp_path):
    names = ("kiss", "__padding__", "__eos__", "uncond/kiss", "uncond@kiss", "uncond/__eos__", "uncond@kiss.aggregated")
    tensors = {name: blob_maps()[0, 0, 0] if name.endswith("aggregated") else blob_maps() for name in names}
    assert list(read(tmp_path, tensors)) == ["kiss"]


def test_words_of_the_negative_prompt_come_after_those_of_the_prompt(tmp_path):
    tensors = {name: blob_maps() for name in ("uncond/kiss", "uncond/blurry", "kiss", "uncond@kiss")}
    listed = {
        "tokens": [{"slug": "kiss", "text": "kiss"}],
        "negative_tokens": [{"slug": "blurry", "text": "blurry"}, {"slug": "kiss", "text": "kiss"}],
    }
    words = read(tmp_path, tensors, **listed)
    assert list(words) == ["kiss", "uncond_blurry", "uncond_kiss"]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64, np.bool_])
def test_tensors_with_unknown_reserved_names_may_hold_anything(tmp_path, dtype):
    tensors = {"kiss": blob_maps(), "__of_version_1.7__": np.zeros((2, 2), dtype), "__empty__": np.zeros(0, dtype)}
    assert list(read(tmp_path, tensors)) == ["kiss"]


def test_words_are_listed_in_prompt_order(tmp_path):
    words = ["kiss", "dog", "apple"]
    tokens = [{"slug": word, "text": word} for word in words]
    assert list(read(tmp_path, {word: blob_maps() for word in sorted(words)}, tokens=tokens)) == words


def test_a_tensor_that_the_manifest_does_not_list_is_also_a_word(tmp_path):
    tokens = [{"slug": "kiss", "text": "kiss"}]
    assert list(read(tmp_path, {"ant": blob_maps(), "kiss": blob_maps()}, tokens=tokens)) == ["kiss", "ant"]


def test_a_tensor_name_that_is_not_a_slug_is_turned_into_one(tmp_path):
    tensors = {"two men": blob_maps(), "../evil": blob_maps(), "Two_Men": blob_maps(), "💋": blob_maps()}
    assert list(read(tmp_path, tensors)) == ["evil", "Two_Men", "two_men_2", "word"]


def test_an_aggregated_map_of_another_grid_is_refused(tmp_path):
    problem = refused_tensors(tmp_path, {"kiss": blob_maps(), "kiss.aggregated": blob_maps((3, 6, 9))[0, 0, 0]})
    assert "[3, 6, 9]" in problem.found


def refused_tensors(folder, tensors, **fields):
    write_tensors(folder / "maps.safetensors", tensors)
    return refused(folder, **fields)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float64, np.bool_])
def test_element_types_other_than_f16_and_f32_are_refused(tmp_path, dtype):
    problem = refused_tensors(tmp_path, {"kiss": blob_maps().astype(dtype)})
    assert problem.file == tmp_path / "maps.safetensors"
    assert problem.field == "tensor 'kiss'"
    assert problem.expected == "F16 or F32"


def test_bfloat16_is_refused_by_its_name(tmp_path):
    data = save({"kiss": blob_maps(dtype=np.float16)}).replace(b'"F16"', b'"BF16"')
    size = struct.unpack("<Q", data[:8])[0] + 1
    (tmp_path / "maps.safetensors").write_bytes(struct.pack("<Q", size) + data[8:])
    assert "BF16" in refused(tmp_path).found


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("kiss", (3, 6, 8)),
        ("kiss", (1, 1, 3, 6, 8)),
        ("kiss", (1, 1, 1, 1, 3, 6, 8)),
        ("kiss", (0, 1, 1, 3, 6, 8)),
        ("kiss", (1, 0, 1, 3, 6, 8)),
        ("kiss", (1, 1, 1, 3, 6, 0)),
        ("kiss.aggregated", (1, 1, 1, 3, 6, 8)),
        ("kiss.aggregated", (6, 8)),
        ("kiss.aggregated", (3, 0, 8)),
    ],
)
def test_other_ranks_and_empty_axes_are_refused(tmp_path, name, shape):
    problem = refused_tensors(tmp_path, {name: np.zeros(shape, np.float32)})
    assert problem.field == f"tensor {name!r}"
    assert str(list(shape)) in problem.found
    assert ("[frame, height, width]" in problem.expected) == name.endswith(".aggregated")


@pytest.mark.parametrize("second", [(3, 6, 9), (4, 6, 8)])
def test_files_whose_grids_differ_are_refused(tmp_path, second):
    write_tensors(tmp_path / "a.safetensors", {"kiss": blob_maps()})
    write_tensors(tmp_path / "b.safetensors", {"kiss": blob_maps(second)})
    problem = refused(tmp_path, "a.safetensors", "b.safetensors")
    assert problem.file == tmp_path / "b.safetensors"
    assert str(list(second)) in problem.found
    assert "a.safetensors" in problem.expected


@pytest.mark.parametrize("second", [{"layers": 2}, {"heads": 2}])
def test_files_whose_layers_or_heads_differ_are_refused(tmp_path, second):
    write_tensors(tmp_path / "a.safetensors", {"kiss": blob_maps()})
    write_tensors(tmp_path / "b.safetensors", {"kiss": blob_maps(**second)})
    assert refused(tmp_path, "a.safetensors", "b.safetensors").file == tmp_path / "b.safetensors"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.25, -6e-8])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", ["kiss", "kiss.aggregated"])
def test_invalid_probabilities_are_refused_at_any_position(tmp_path, value, dtype, name):
    maps = blob_maps(layers=2, dtype=dtype) if name == "kiss" else blob_maps(dtype=dtype)[0, 0, 0]
    maps[(-1,) * maps.ndim] = value
    problem = refused_tensors(tmp_path, {name: maps})
    assert problem.field == f"tensor {name!r}"
    assert "at least 0" in problem.expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_negative_zero_counts_as_zero(tmp_path, dtype):
    frames = read(tmp_path, {"kiss": np.full((1, 1, 1, *GRID), -0.0, dtype)})["kiss"]
    assert np.array_equal(frames, np.zeros(GRID))


def test_a_listed_word_without_a_tensor_is_refused(tmp_path):
    tokens = [{"slug": slug, "text": slug} for slug in ("kiss", "flowers")]
    problem = refused_tensors(tmp_path, {"kiss": blob_maps()}, tokens=tokens)
    assert problem.file == tmp_path / "v.complete.json"
    assert "no tensor 'flowers'" in problem.found
    assert "kiss" in problem.found
    assert "'flowers.aggregated'" in problem.expected


def test_a_file_truncated_anywhere_is_refused(tmp_path):
    data = save({"kiss": blob_maps(), "dog": blob_maps()})
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for size in {0, 1, 7, 8, 9, header - 1, header, header + 1, len(data) // 2, len(data) - 1}:
        (tmp_path / "maps.safetensors").write_bytes(data[:size])
        problem = refused(tmp_path)
        assert (problem.file, problem.field) == (tmp_path / "maps.safetensors", "the file itself")
        assert f"{size:,} bytes" in problem.found


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x95 a pickle",
        b"\x89HDF\r\n\x1a\n",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 8) + b"not json",
        struct.pack("<Q", 2) + b"{}" + b"extra bytes",
        *(
            struct.pack("<Q", len(header)) + header
            for header in (
                b'{"kiss":{"dtype":"F32","shape":[1,1,1,1,1,1],"data_offsets":[0,400000000000]}}',
                b'{"kiss":{"dtype":"F32","shape":[4294967296,4294967296,1,1,1,1],"data_offsets":[0,0]}}',
                b'{"kiss":{"dtype":"F32","shape":[-1,1,1,1,1,1],"data_offsets":[0,0]}}',
                b'{"kiss":{"dtype":"PICKLE","shape":[1],"data_offsets":[0,0]}}',
            )
        ),
    ],
)
def test_a_file_that_is_not_a_safetensors_file_is_refused(tmp_path, data):
    (tmp_path / "maps.safetensors").write_bytes(data)
    assert refused(tmp_path).expected == "a complete safetensors file"


@pytest.mark.parametrize("name", ["maps.safetensors", "maps.safetensors.zst"])
def test_a_missing_file_is_not_reported_as_damaged(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        read_all(tmp_path, name)


def test_a_compressed_file_is_read_and_leaves_nothing_behind(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    write_tensors(tmp_path / "maps.safetensors.zst", {"kiss": blob_maps()})
    with reader(tmp_path, "maps.safetensors.zst") as attention:
        assert attention.words["kiss"].frames().max() > 0
    assert list(temporary.iterdir()) == []


def compressed(folder, data, **options):
    (folder / "maps.safetensors.zst").write_bytes(zstandard.ZstdCompressor(**options).compress(data))
    return refused(folder, "maps.safetensors.zst")


def test_a_compressed_file_without_its_size_is_refused(tmp_path):
    problem = compressed(tmp_path, save({"kiss": blob_maps()}), write_content_size=False)
    assert problem.found == "no declared size"


def lying(data, size):
    """Compress data with a header that declares another size."""
    body = zstandard.ZstdCompressor().compress(data)
    assert len(data) >= 65536 + 256  # so that the size takes four bytes, like the one that replaces it
    position = body.index(struct.pack("<I", len(data)))
    return body[:position] + struct.pack("<I", size) + body[position + 4 :]


@pytest.mark.parametrize("difference", [-70_000, -1, 1, 70_000_000])
def test_a_compressed_file_that_declares_a_wrong_size_is_refused(tmp_path, difference):
    data = save({"kiss": blob_maps((8, 64, 64), steps=4)})
    (tmp_path / "maps.safetensors.zst").write_bytes(lying(data, len(data) + difference))
    assert refused(tmp_path, "maps.safetensors.zst").field == "the file itself"


def test_decompression_stops_at_the_declared_size(tmp_path):
    """The process may not write more than 1 MiB; the file declares half of that and contains 64 MiB."""
    data = save({"kiss": blob_maps((64, 256, 256), steps=4)})
    (tmp_path / "maps.safetensors.zst").write_bytes(lying(data, 500_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    manifest = read_manifest(write_manifest(tmp_path / "v.complete.json", attention=["maps.safetensors.zst"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        with pytest.raises(TensorError, match="the file itself"):
            AttentionReader(manifest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def declaring(size):
    """Return the start of a zstd frame that declares its size in eight bytes."""
    return b"\x28\xb5\x2f\xfd" + b"\xe0" + struct.pack("<Q", size) + b"\x01\x00\x00"


def test_a_decompression_bomb_is_refused_by_its_declared_size(tmp_path):
    (tmp_path / "maps.safetensors.zst").write_bytes(declaring(2**50))
    problem = refused(tmp_path, "maps.safetensors.zst")
    assert f"{2**50:,} bytes" in problem.found


def test_a_compressed_file_may_expand_to_the_largest_file_that_a_job_may_write(tmp_path, monkeypatch):
    monkeypatch.setattr("attnwatch.tensors.file.free_space", lambda _folder: 2**60)
    (tmp_path / "maps.safetensors.zst").write_bytes(declaring(LARGEST_FILE + 1))
    assert f"at most {LARGEST_FILE:,} bytes" in refused(tmp_path, "maps.safetensors.zst").expected
    (tmp_path / "maps.safetensors.zst").write_bytes(declaring(LARGEST_FILE))
    assert "at most" not in refused(tmp_path, "maps.safetensors.zst").expected  # refused only because it is empty


def test_too_little_space_to_decompress_is_reported_as_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("attnwatch.tensors.file.free_space", lambda _folder: 999_999)
    (tmp_path / "maps.safetensors.zst").write_bytes(declaring(3_000_000))
    with pytest.raises(OSError, match=r"needs 3,000,000 bytes.*2,000,001 too few") as caught:
        read_all(tmp_path, "maps.safetensors.zst")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    assert list(tmp_path.glob("attnwatch-*")) == []


@pytest.mark.parametrize("data", [b"", b"no zstd", b"\x28\xb5\x2f\xfd"])
def test_data_that_is_not_a_zstd_frame_is_refused(tmp_path, data):
    (tmp_path / "maps.safetensors.zst").write_bytes(data)
    assert refused(tmp_path, "maps.safetensors.zst").field == "the file itself"


def test_a_truncated_compressed_file_is_refused(tmp_path):
    data = zstandard.ZstdCompressor().compress(save({"kiss": blob_maps((8, 32, 32))}))
    for size in (6, len(data) // 2, len(data) - 1):
        (tmp_path / "maps.safetensors.zst").write_bytes(data[:size])
        assert refused(tmp_path, "maps.safetensors.zst").field == "the file itself"


def test_compressed_data_that_is_not_a_tensor_file_is_refused(tmp_path):
    assert compressed(tmp_path, b"something else entirely").expected == "a complete safetensors file"


def test_memory_stays_constant_for_a_file_with_every_layer_and_head(tmp_path):
    """Averaging a sparse file of half a gigabyte takes only a few megabytes."""
    shape = (4, 16, 8, 16, 128, 128)
    size = int(np.prod(shape)) * 4
    header = json.dumps({"kiss": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    with (tmp_path / "maps.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    tracemalloc.start()
    try:
        with reader(tmp_path, "maps.safetensors") as attention:
            attention.words["kiss"].frames()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one_layer = size // (4 * 16)
    assert size == 2**29
    assert peak < 3 * one_layer


@pytest.mark.parametrize("choice", [{"heads": ()}, {"layers": ()}, {"steps": ()}], ids=str)
def test_an_empty_choice_is_refused(tmp_path, choice):
    write_tensors(tmp_path / "maps.safetensors", {"kiss": blob_maps(layers=2, heads=2)})
    with (
        reader(tmp_path, "maps.safetensors") as attention,
        pytest.raises(ConfigError, match=r"found \(\); expected some"),
    ):
        attention.words["kiss"].frames(Part(**choice))


@pytest.mark.parametrize("choice", [0, -1, (0,), "0-0", "0-9"], ids=str)
@pytest.mark.parametrize(
    ("axis", "remedy"),
    [("layers", "store_per_block: true"), ("heads", "store_per_head: true"), ("steps", "the manifest's `denoising`")],
)
def test_nothing_is_selected_from_an_axis_of_which_only_the_mean_is_stored(tmp_path, axis, remedy, choice):
    write_tensors(tmp_path / "maps.safetensors", {"kiss": blob_maps(steps=1)})
    with reader(tmp_path, "maps.safetensors") as attention, pytest.raises(ConfigError) as refused:
        attention.words["kiss"].frames(Part(**{axis: choice}))
    assert f"kiss has one map for all {axis}, their mean" in str(refused.value)
    assert remedy in str(refused.value)
    assert f"or select no {axis}" in str(refused.value)


def test_the_only_stored_step_can_be_selected_by_its_number(tmp_path):
    maps = blob_maps(steps=1)
    write_tensors(tmp_path / "maps.safetensors", {"kiss": maps})
    with reader(tmp_path, "maps.safetensors", denoising=[{"index": 39}]) as attention:
        for step in (39, -1, "30-39"):
            np.testing.assert_array_equal(attention.words["kiss"].frames(Part(steps=step)), maps[0, 0, 0])
        with pytest.raises(ConfigError, match="steps: found 0; expected some of the stored ones: 39"):
            attention.words["kiss"].frames(Part(steps=0))


@pytest.mark.parametrize("axis", ["layers", "heads"])
@pytest.mark.parametrize("choice", [2, -3, (0, 2), "0-2", "1-99", "1-0"], ids=str)
def test_layers_and_heads_outside_of_what_is_stored_are_refused(tmp_path, axis, choice):
    write_tensors(tmp_path / "maps.safetensors", {"kiss": blob_maps(layers=2, heads=2)})
    with (
        reader(tmp_path, "maps.safetensors") as attention,
        pytest.raises(ConfigError, match=f"{axis}: found .*; expected some of the stored ones: 0-1"),
    ):
        attention.words["kiss"].frames(Part(**{axis: choice}))


@pytest.mark.parametrize("choice", [4, -5, (0, 4), "4-9", "3-2"], ids=str)
def test_steps_outside_of_what_is_stored_are_refused(tmp_path, choice):
    write_tensors(tmp_path / "maps.safetensors", {"kiss": blob_maps(steps=4)})
    with (
        reader(tmp_path, "maps.safetensors") as attention,
        pytest.raises(ConfigError, match=r"steps: found .*; expected some of the stored ones: 0-3"),
    ):
        attention.words["kiss"].frames(Part(steps=choice))


class TestOpenFiles:
    def test_a_video_of_many_files_needs_few_descriptors(self, tmp_path):
        names = [f"step_{number:03d}.safetensors" for number in range(60)]
        for number, name in enumerate(names):
            write_tensors(tmp_path / name, {"kiss": np.full((1, 1, 1, *GRID), number, np.float32)})
        with few_descriptors(8), reader(tmp_path, *names) as attention:
            assert attention.words["kiss"].frames() == pytest.approx(np.mean(range(60)))
            assert [step.mean().max() for step in attention.words["kiss"].steps()] == list(range(60))

    def test_no_file_stays_open(self, tmp_path):
        names = ["a.safetensors", "b.safetensors.zst"]
        for name in names:
            write_tensors(tmp_path / name, {"kiss": blob_maps(steps=1)})
        opened = opened_since()
        with reader(tmp_path, names[0]) as attention:
            maps = attention.words["kiss"].frames()
            assert not opened()
        with reader(tmp_path, names[1]) as attention:
            assert attention.words["kiss"].frames() == pytest.approx(maps)
        del attention
        assert not opened()

    @pytest.mark.parametrize("change", ["exchanged", "written", "truncated"])
    def test_a_file_that_changes_while_it_is_read_is_noticed(self, tmp_path, change):
        path = write_tensors(tmp_path / "a.safetensors", {"kiss": blob_maps()})
        content = path.read_bytes()
        with reader(tmp_path, path.name) as attention:
            if change == "exchanged":
                (tmp_path / "b").write_bytes(content)
                (tmp_path / "b").rename(path)
            else:
                path.write_bytes(content if change == "written" else content[:-8])
            with pytest.raises(NotReadyError, match=r"a\.safetensors: found it changed while it was being read"):
                attention.words["kiss"].frames()

    def test_a_file_that_is_held_is_opened_once_and_changes_are_noticed_afterwards(self, tmp_path):
        path = write_tensors(tmp_path / "a.safetensors", {"kiss": blob_maps()})
        with reader(tmp_path, path.name) as attention:
            word = attention.words["kiss"]
            before = word.frames()
            with word.held():
                path.rename(tmp_path / "b")
                assert np.array_equal(word.frames(), before)
            with pytest.raises(FileNotFoundError):
                word.frames()

    def test_the_mean_of_all_steps_opens_each_file_once(self, tmp_path, monkeypatch):
        names, opened = ["a.safetensors", "b.safetensors"], []
        for name in names:
            write_tensors(tmp_path / name, {"kiss": blob_maps(steps=3)})
        with reader(tmp_path, *names) as attention:
            again = file._Remapping._again
            monkeypatch.setattr(file._Remapping, "_again", lambda self: opened.append(self._path.name) or again(self))
            attention.words["kiss"].frames()
            assert opened == names
            attention.words["kiss"].frames()
            assert opened == 2 * names

    def test_of_several_files_none_is_held(self, tmp_path):
        names = ["a.safetensors", "b.safetensors"]
        for name in names:
            write_tensors(tmp_path / name, {"kiss": blob_maps(steps=1)})
        with reader(tmp_path, *names) as attention, attention.words["kiss"].held():
            (tmp_path / names[1]).unlink()
            with pytest.raises(FileNotFoundError):
                attention.words["kiss"].frames()

    def test_values_are_read_from_the_file_that_was_verified(self, tmp_path):
        path = write_tensors(tmp_path / "a.safetensors", {"kiss": blob_maps()})
        (tmp_path / "v.mp4").write_bytes(b"a video")
        manifest = read_manifest(write_manifest(tmp_path / "v.complete.json", attention=[path.name]))
        verify(manifest, video_may_be_absent=False)
        write_tensors(path, {"kiss": blob_maps(peak=0.1)})
        with pytest.raises(NotReadyError, match="found it changed while it was in use"):
            AttentionReader(manifest)
