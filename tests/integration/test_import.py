"""`attnwatch import`: writes manifests for older batches and, on request, converts their tensors."""

import hashlib
import json

import numpy as np
import pytest

from attnwatch.batches.discover import find_videos
from attnwatch.batches.videos import open_attention, read_video
from attnwatch.contract.manifest import read_manifest
from attnwatch.tensors.reader import AttentionReader
from tests.legacy_support import GRID, LAYOUTS, OldBatch
from tests.support import attnwatch, blob_maps, called

QUICK = ("--set", "static_duration=0.2", "--set", "quality=fast")


@pytest.fixture
def imported(capsys):
    """Return a function that imports a batch and returns the command's output."""

    def run(batch, *flags, code=0):
        found, said, complaints = called(capsys, "import", *flags, batch.folder)
        assert found == code, said + complaints
        return said

    return run


def manifest_of(batch, number=1):
    video = batch.video(number)
    return read_manifest(video.with_name(f"{video.stem}.complete.json"))


def old_files(batch):
    files = [path for path in (batch.folder / "attention_maps").rglob("*") if path.is_file()]
    files += batch.folder.glob("videos/**/video_*.mp4")
    return {path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("flags", [(), ("--convert",)])
def test_an_imported_video_reads_the_same_maps_and_the_old_files_stay(imported, tmp_path, layout, flags):
    batch = OldBatch(tmp_path, layout)
    maps = blob_maps(GRID, steps=2, layers=2, heads=3, dtype=np.float16)
    batch.add(words=("two men", "kiss"), maps=maps, blocks=2, heads=3, steps=(0, 5), aggregate=True)
    before = old_files(batch)
    assert "1 manifest written" in imported(batch, *flags)
    assert old_files(batch) == before
    manifest = manifest_of(batch)
    assert (manifest.video, manifest.video_id) == (batch.video(), batch.video_id())
    assert manifest.output_directory == batch.outputs()
    assert manifest.document.generation.prompt == "a two men"
    with open_attention(manifest) as reader:
        assert type(reader) is AttentionReader if flags else True
        assert list(reader.words) == ["two_men", "kiss"]
        word = reader.words["kiss"]
        assert (word.shape, word.step_numbers) == (maps.shape, (0, 5))
        np.testing.assert_allclose(word.frames(), maps.astype(np.float64).mean(axis=(0, 1, 2)), rtol=2e-6)
    assert list(find_videos(tmp_path)) == [manifest.path]


@pytest.mark.parametrize("flags", [(), ("--convert",)])
def test_videos_rendered_before_the_import_are_not_rendered_again(imported, tmp_path, flags):
    batch = OldBatch(tmp_path)
    batch.add()
    assert attnwatch(tmp_path, "--once", *QUICK).returncode == 0
    imported(batch, *flags)
    assert batch.receipt()["manifest"] == "video_001.complete.json"
    assert "0 videos to render, 1 up to date" in attnwatch(tmp_path, "--once", *QUICK).stderr
    assert "0 manifests written: found no older video without one" in imported(batch)


def test_an_unfinished_video_gets_no_manifest(imported, tmp_path):
    batch = OldBatch(tmp_path)
    batch.add(age=0)
    assert "expected no change for 10 s; try again later" in imported(batch, code=1)
    assert not list(tmp_path.rglob("*.complete.json"))


def test_without_a_certain_video_the_manifest_names_an_absent_one(imported, tmp_path):
    batch = OldBatch(tmp_path, 3)
    tensors = batch.add(source=False)
    assert "no overlay: found no videos video_*_p00_*_s01.mp4" in imported(batch)
    (path,) = find_videos(tmp_path)
    assert path == batch.folder / f"videos/{tensors.name}.complete.json"
    assert not read_video(path).video.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pt.gz"])
def test_pickles_of_a_trusted_batch_are_converted(imported, tmp_path, suffix):
    torch = pytest.importorskip("torch")
    import gzip

    batch = OldBatch(tmp_path)
    tensors = batch.add()
    for path in (tensors / "token_kiss").glob("*.npy"):
        values = torch.from_numpy(np.load(path))
        target = path.with_name(f"{path.stem}{suffix}")
        with gzip.open(target, "wb") if suffix == ".pt.gz" else target.open("wb") as file:
            torch.save(values, file)
        path.unlink()
    batch.make_old(3600)
    assert "--trust-pickle" in imported(batch, code=1)
    imported(batch, "--trust-pickle")
    with AttentionReader(manifest_of(batch)) as reader:
        expected = blob_maps(GRID, dtype=np.float16).astype(np.float32).mean(axis=(0, 1, 2))
        np.testing.assert_allclose(reader.words["kiss"].frames(), expected, rtol=1e-6)


@pytest.mark.parametrize("saved", ["bfloat16", "sparse", "with gradients"])
def test_pickled_tensors_that_numpy_cannot_hold_are_converted(imported, tmp_path, saved):
    torch = pytest.importorskip("torch")
    change = {
        "bfloat16": lambda values: values.bfloat16(),
        "sparse": lambda values: values.to_sparse(),
        "with gradients": lambda values: values.float().requires_grad_(),
    }[saved]
    batch = OldBatch(tmp_path)
    for path in (batch.add() / "token_kiss").glob("*.npy"):
        torch.save(change(torch.from_numpy(np.load(path))), path.with_suffix(".pt"))
        path.unlink()
    batch.make_old(3600)
    imported(batch, "--trust-pickle")
    with AttentionReader(manifest_of(batch)) as reader:
        expected = blob_maps(GRID, dtype=np.float16).astype(np.float32).mean(axis=(0, 1, 2))
        np.testing.assert_allclose(reader.words["kiss"].frames(), expected, rtol=1e-2)


@pytest.mark.parametrize(
    ("data", "found"),
    [(b"no pickle", "no pickle of one tensor"), (b"", "no pickle of one tensor"), ({"a": 1}, "dict")],
)
def test_a_pickle_of_anything_else_is_named_without_advice_to_load_it_unprotected(imported, tmp_path, data, found):
    torch = pytest.importorskip("torch")
    batch = OldBatch(tmp_path)
    path = next((batch.add() / "token_kiss").glob("*.npy"))
    wrong = path.with_suffix(".pt")
    if isinstance(data, bytes):
        wrong.write_bytes(data)
    else:
        torch.save(data, wrong)
    path.unlink()
    batch.make_old(3600)
    said = imported(batch, "--trust-pickle", code=1)
    assert f"{wrong}: found {found}" in said
    assert "expected one tensor; write it again as .npy" in said
    assert "weights_only" not in said


def test_even_a_trusted_pickle_cannot_run_a_program(imported, tmp_path):
    pytest.importorskip("torch")
    batch = OldBatch(tmp_path)
    trap = tmp_path / "trap"
    batch.add_pickles(f"touch {trap}")
    batch.make_old(3600)
    assert "its pickles were not converted" in imported(batch, "--trust-pickle", code=1)
    assert not trap.exists()


def test_a_manifest_may_refer_only_to_tensors_of_its_own_batch(imported, tmp_path):
    batch = OldBatch(tmp_path / "batch")
    batch.add()
    imported(batch)
    path = manifest_of(batch).path
    document = json.loads(path.read_text())
    (tmp_path / "attention_maps" / "x").mkdir(parents=True)
    (batch.folder / "attention_maps" / "out").symlink_to(tmp_path)
    for wrong in ("../../../attention_maps/x", "../../attention_maps/../..", "../other", "../../attention_maps/out"):
        path.write_text(json.dumps({**document, "attention": [wrong]}))
        run = attnwatch("check", path)
        assert run.returncode == 1, wrong
