"""The examples in the README work and its links lead somewhere."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support import Batch, attnwatch, blob_maps, write_source_video

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run_example(heading, replaced=None):
    """Run the Python example below a heading, parts of it replaced, and return the names that it defines."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for part, other in (replaced or {}).items():
        assert part in code
        code = code.replace(part, other)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_example_of_a_foreign_writer_makes_a_batch_that_is_rendered(tmp_path, monkeypatch):
    folder = tmp_path / "outputs/mine/videos/prompt_001"
    write_source_video(folder / "video_001.mp4", frames=17)
    monkeypatch.chdir(tmp_path)
    run_example("The contract")
    run = attnwatch("outputs", "--once", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in (folder / "attention_videos").glob("*.mp4")} == {
        f"prompt_001_vid001_kiss_{kind}.mp4" for kind in ("attention", "overlay", "static")
    }


def test_the_example_of_a_notebook_reads_maps_and_renders(tmp_path, monkeypatch):
    manifest = Batch.make(tmp_path / "outputs").add_full(words=("kiss", "cat"))
    monkeypatch.chdir(tmp_path)
    names = run_example("In a notebook")
    assert list(names["batch"]) == ["prompt_001_vid001"]
    np.testing.assert_array_equal(names["last"], blob_maps()[-1, 0, 0])
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        f"prompt_001_vid001_{word}_{kind}.mp4"
        for word in ("kiss", "cat")
        for kind in ("attention", "overlay", "static")
    }
    assert not (manifest.parent / "attention_videos").exists()


def test_the_script_example_makes_a_batch_that_is_rendered(tmp_path, monkeypatch):
    """It runs as it stands there, with the embedded model in the place of a large one, and of its size."""
    monkeypatch.chdir(tmp_path)
    from generator.models import tiny

    small = "num_frames=5, width=64, height=48, num_inference_steps=2"
    names = run_example(
        "In your own script",
        {
            '"Wan-AI/Wan2.1-T2V-1.3B-Diffusers"': repr(str(tiny.FOLDER)),
            "torch.bfloat16": "torch.float32",
            '"cuda"': '"cpu"',
            "num_frames=81": small,
        },
    )
    assert names["last"].shape == (1, 1, 2, 6, 8)
    checked, rendered = (
        attnwatch(*arguments, cwd=tmp_path) for arguments in (["check", "outputs"], ["outputs", "--once"])
    )
    assert checked.returncode == 0, checked.stderr
    assert rendered.returncode == 0, rendered.stderr
    assert {path.name for path in (tmp_path / "outputs").rglob("attention_videos/*.mp4")} == {
        f"prompt_001_vid001_{word}_{kind}.mp4"
        for word in ("kiss", "flowers")
        for kind in ("attention", "overlay", "static")
    }


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_what_the_readme_links_to_exists(target):
    assert (ROOT / target).exists()
