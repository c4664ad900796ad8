"""The committed batch of version 1 of the contract can still be read and rendered."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attnwatch.batches.discover import find_manifests
from attnwatch.cli.check import check
from attnwatch.contract.manifest import read_manifest, verify
from attnwatch.tensors.reader import AttentionReader
from tests.support import attnwatch, decode, read_receipt

GOLDEN = Path(__file__).parent / "golden"
MANIFESTS = {str(path.relative_to(GOLDEN)): path for path in find_manifests(GOLDEN)}
WORDS = {
    "foreign/clips/dog.complete.json": ["two_dogs"],
    "foreign/steps/video_001.complete.json": ["kiss"],
    "golden_20261122_091959/videos/prompt_001/video_001.complete.json": ["kiss"],
    "golden_20261122_091959/videos/prompt_002/video_001.complete.json": ["kiss", "man"],
}
SHAPES = {
    "foreign/clips/dog.complete.json": (3, 1, 1, 3, 6, 8),
    "foreign/steps/video_001.complete.json": (3, 2, 2, 3, 6, 8),
    "golden_20261122_091959/videos/prompt_001/video_001.complete.json": (3, 1, 1, 3, 3, 4),
    "golden_20261122_091959/videos/prompt_002/video_001.complete.json": (3, 1, 1, 3, 3, 4),
}


def test_the_golden_files_are_small():
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 200_000


def test_every_manifest_is_found():
    assert set(MANIFESTS) == set(WORDS)


@pytest.mark.parametrize("name", WORDS)
def test_a_golden_video_loads(name):
    manifest = read_manifest(MANIFESTS[name])
    verify(manifest, video_may_be_absent=False)
    with AttentionReader(manifest) as attention:
        assert list(attention.words) == WORDS[name]
        for word in attention.words.values():
            assert word.shape == SHAPES[name]
            frames = word.frames()
            assert frames.min() >= 0
            assert 0 < frames.max() <= 1
            steps = np.mean([step.mean() for step in word.steps()], axis=0)
            np.testing.assert_allclose(steps, frames, rtol=2e-3, atol=1e-6)


def test_the_golden_batch_passes_the_check():
    documents = dict(check(GOLDEN))
    assert len(documents) == len(WORDS) + 2
    assert [problem for problems in documents.values() for problem in problems] == []


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Render a copy of the golden batch."""
    copy = tmp_path_factory.mktemp("golden") / "outputs"
    shutil.copytree(GOLDEN, copy)
    done = attnwatch(copy, "--once", "--set", "static_duration=0.5")
    assert done.returncode == 0, done.stderr
    return copy


@pytest.mark.parametrize("name", WORDS)
def test_a_golden_video_renders(rendered, name):
    manifest = rendered / name
    identifier = {
        "foreign/clips/dog.complete.json": "clips_dog",
        "foreign/steps/video_001.complete.json": "steps_vid001",
    }
    identifier = identifier.get(name) or f"{manifest.parent.name}_vid001"
    expected = {
        f"{identifier}_{word}_{kind}.mp4" for word in WORDS[name] for kind in ("attention", "overlay", "static")
    }
    assert {path.name for path in (manifest.parent / "attention_videos").glob("*.mp4")} == expected
    source = decode(manifest.parent / json.loads(manifest.read_text())["video"])
    for output in read_receipt(manifest)["outputs"]:
        frames = decode(manifest.parent / "attention_videos" / output["file"])
        assert {(frame.width, frame.height) for frame in frames} == {(64, 48)}
        if output["kind"] != "static":
            assert [frame.time for frame in frames] == [frame.time for frame in source]
