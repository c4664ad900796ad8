"""The GPU's part of `make bench-capture`, at tiny size on a CPU, so that it works when a GPU is at hand."""

import json
import sys
import time
import warnings
from dataclasses import replace

import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from torch.nn.attention import SDPBackend

from tests.bench import capture_gpu, capture_steps
from tests.bench.capture_cases import SPECS
from tests.bench.capture_gpu import Place, backend, backend_rows, bench, compiled_rows, model_rows
from tests.bench.capture_steps import origin
from tests.bench.table import Row, print_table

TINY = Place(device="cpu", dtype=torch.float32, tiny=True, compiler="eager")
BILLIONS = {"wan": (1.3, 1.5), "ltx": (1.8, 2.0), "cogvideox": (1.5, 1.7), "hunyuan": (1.5, 1.7)}
"""Numbers of weights, with the numbers of layers that are measured."""
VIDEOS = {"wan": (81, 832, 480), "ltx": (121, 768, 512), "cogvideox": (49, 720, 480), "hunyuan": (61, 960, 544)}


@pytest.fixture(autouse=True)
def _fewest_rounds(monkeypatch):
    monkeypatch.setattr(capture_steps, "SECONDS", 0.0)
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=SPECS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def measured(name):
    """Rows of a model at tiny size."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture_steps, "SECONDS", 0.0)
        return list(model_rows(name, TINY))


def titles(rows):
    return [row.what for row in rows]


def test_each_model_has_all_rows(name, measured):
    rows = measured
    needing_a_gpu = [row for row in rows if row.detail == "no CUDA device"]
    assert [row.what.partition(": ")[2] for row in needing_a_gpu] == ["extra memory", "synchronisations a step"]
    assert [row for row in rows if row.found is None] == needing_a_gpu
    found = {row.what.partition(": ")[2]: row for row in rows}
    assert {"3 words", "1 word", "8 words", "store_per_block, store_per_head", "store_reserved"} <= set(found)
    assert ("branch: both" in found) == (name != "hunyuan")
    assert 0 < found["largest error"].found <= 1.0
    assert found["largest error"].detail.startswith("flash_attention_for_cpu, ")
    assert found["bytes of the output that differ"].found == 0
    assert len(set(titles(rows))) == len(rows)


def test_without_a_device_the_same_rows_say_that_nothing_was_measured(name, measured):
    rows = list(model_rows(name, None))
    assert titles(rows) == titles(measured)
    assert {(row.found, row.detail) for row in rows} == {(None, "no CUDA device")}


def test_a_networks_real_size_is_that_of_the_video_and_the_model(name):
    spec = SPECS[name]
    case = spec.made(tiny=False, device="meta", dtype=torch.bfloat16)  # shapes without any memory
    frames, width, height = VIDEOS[name]
    assert f"{frames} frames {width}x{height}" in spec.size
    grid = case.model.grid(replace(case.model.recommended, frames=frames, width=width, height=height))
    assert case.grid == grid
    low, high = BILLIONS[name]
    assert low < sum(parameter.numel() for parameter in case.network.parameters()) / 1e9 < high
    with torch.no_grad():
        assert case.step().dtype == torch.bfloat16


@pytest.mark.parametrize("model", capture_gpu.FEWER_LAYERS)
def test_backends_are_measured_one_by_one_and_then_reset(model):
    before = _AttentionBackendRegistry.get_active_backend()
    rows = {row.what: row for row in backend_rows(model, TINY)}
    assert _AttentionBackendRegistry.get_active_backend() == before
    title = SPECS[model].title
    native = rows[f"{title}, native: 3 words"]
    assert native.found is not None
    assert "0 bytes of the output differ; flash_attention_for_cpu, " in native.detail
    missing = rows[f"{title}, _native_cudnn: 3 words"]
    assert missing.found is None
    assert "No viable backend" in missing.detail
    assert len(rows) == 4


@pytest.mark.parametrize("model", ["wan", "cogvideox"])
def test_a_backend_is_in_use_inside_of_its_context_only(model, monkeypatch):
    monkeypatch.setitem(capture_gpu.BACKENDS, "_native_math", SDPBackend.MATH)
    case = bench(model, TINY).case
    with backend(case, "_native_math"):
        assert origin(case).kernel == "no fused operator"
    assert origin(case).kernel == "flash_attention_for_cpu"


def test_compiled_networks_are_measured():
    rows = list(compiled_rows(TINY))
    assert titles(rows) == titles(compiled_rows(None))
    assert len(rows) == 3
    for row in rows:
        assert row.found is not None, row.detail
        assert "0 bytes of the output differ" in row.detail


def test_a_row_that_cannot_be_measured_says_why_and_leaves_the_others(monkeypatch):
    real = capture_gpu.cost

    def no_memory_for_8_words(variant, plain, case):
        if variant.words == 8:
            raise torch.OutOfMemoryError("out of memory\nmore about it")
        return real(variant, plain, case)

    monkeypatch.setattr(capture_gpu, "cost", no_memory_for_8_words)
    rows = {row.what: row for row in model_rows("wan", TINY)}
    assert rows["Wan 1.3B: 8 words"].detail == "OutOfMemoryError: out of memory"
    assert rows["Wan 1.3B: 8 words"].found is None
    assert rows["Wan 1.3B: 1 word"].found is not None


def test_synchronisations_are_counted_by_the_warnings_of_torch(monkeypatch):
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def step():
        assert modes == ["warn"]
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    assert capture_steps._synchronisations(step, "cuda") == 2
    assert modes == ["warn", "default"]


def test_nothing_is_measured_when_the_time_is_up():
    rows = list(model_rows("wan", replace(TINY, until=time.monotonic())))
    assert {(row.found, row.detail) for row in rows} == {(None, "the time limit was reached")}


def test_a_model_that_does_not_fit_says_why(monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setitem(SPECS, "wan", replace(SPECS["wan"], build=too_large))
    assert {(row.found, row.detail) for row in compiled_rows(TINY)} == {(None, "out of memory")}


def test_the_table_keeps_what_was_measured_before_it_was_cut_short(tmp_path, monkeypatch, capsys):
    def first(_folder):
        yield Row("first", 1.5, 2.0, "%", "3 s / 2 s")
        yield Row("second", None, 2.0, "%", "no CUDA device")
        raise KeyboardInterrupt

    def other(_folder):
        yield Row("other", 1.0, None)

    monkeypatch.setattr(sys, "argv", ["bench", str(tmp_path / "bench.json"), "first"])
    with pytest.raises(KeyboardInterrupt):
        print_table((first, other), "", "torch 2")
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["versions"] == "torch 2"
    assert [row["what"] for row in written["rows"]] == ["first", "second"]
    assert "not measured: no CUDA device" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["bench", str(tmp_path / "bench.json"), "frist"])
    with pytest.raises(SystemExit, match="parts: found frist; expected some of first, other"):
        print_table((first, other), "", "torch 2")
