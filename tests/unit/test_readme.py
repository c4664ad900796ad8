"""The documents at the top of the repository are true: examples run, links lead somewhere, named files exist."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.support import Batch, attnwatch, blob_maps, write_source_video

ROOT = Path(__file__).parents[2]
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("*.md"))}
README = DOCUMENTS["README.md"]
TEXTS = {".py", ".js", ".html", ".yaml", ".service", ".sbatch"}
LINK = re.compile(r"\]\((?!http)([^)]+)\)")


def run_example(heading, replaced=None):
    """Run the Python example below a heading, with parts of it replaced; return the names that it defines."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for part, other in (replaced or {}).items():
        assert part in code
        code = code.replace(part, other)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_example_of_a_foreign_writer_makes_a_video_that_is_rendered(tmp_path, monkeypatch):
    folder = tmp_path / "outputs/mine/videos/prompt_001"
    write_source_video(folder / "video_001.mp4", frames=17)
    monkeypatch.chdir(tmp_path)
    run_example("The contract")
    run = attnwatch("outputs", "--once", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in (folder / "attention_videos").glob("*.mp4")} == {
        f"prompt_001_vid001_kiss_{kind}.mp4" for kind in ("attention", "overlay", "static")
    }


def test_the_notebook_example_reads_maps_and_renders(tmp_path, monkeypatch):
    manifest = Batch.make(tmp_path / "outputs").add_full(words=("red", "cat"))
    monkeypatch.chdir(tmp_path)
    names = run_example("In a notebook")
    assert list(names["batch"]) == ["prompt_001_vid001"]
    np.testing.assert_array_equal(names["last"], blob_maps()[-1, 0, 0])
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        f"prompt_001_vid001_{word}_{kind}.mp4" for word in ("red", "cat") for kind in ("attention", "overlay", "static")
    }
    assert not (manifest.parent / "attention_videos").exists()


def test_the_script_example_makes_a_video_that_is_rendered(tmp_path, monkeypatch):
    """Run the example with the embedded model, and sizes that suit it, instead of a large one."""
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


def anchors(text):
    """Return the anchors of a document's headings, as GitHub derives them."""
    return set(map(anchor_of, re.findall(r"^#+ (.*)$", text, re.MULTILINE)))


def anchor_of(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    ("document", "target"),
    [(name, target) for name, text in DOCUMENTS.items() for target in sorted(set(LINK.findall(text)))],
)
def test_links_lead_to_files_and_headings_that_exist(document, target):
    file, _, anchor = target.partition("#")
    path = ROOT / (file or document)
    assert path.exists()
    assert not anchor or anchor in anchors(path.read_text(encoding="utf-8"))


def test_the_contents_of_the_guide_are_all_of_its_sections_in_order():
    contents, _, rest = DOCUMENTS["GUIDE.md"].partition("\n## ")
    listed = re.findall(r"\[([^]]*)\]\(#([^)]*)\)", contents)
    headings = re.findall(r"^##+ (.*)$", f"## {rest}", re.MULTILINE)
    assert [title for title, _ in listed] == headings
    assert [anchor for _, anchor in listed] == [anchor_of(heading) for heading in headings]
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize("folder", ["attnwatch", "generator", "configs", "systemd"])
def test_sections_of_documents_that_programs_and_examples_name_exist(folder):
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS)
    named = {found for text in texts for found in re.findall(r"\b([A-Z]+\.md)#([\w-]+)", text)}
    assert not [found for found in named if found[1] not in anchors(DOCUMENTS[found[0]])]


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_and_folders_in_backticks_exist(document):
    named = set(re.findall(r"`([a-z_]+/[\w./-]*)`", DOCUMENTS[document]))
    places = (ROOT, ROOT / "attnwatch", ROOT / "generator")
    assert len(named) > 3
    assert not [path for path in sorted(named) if not any((place / path).exists() for place in places)]


def test_every_folder_of_both_packages_is_in_the_architecture():
    folders = {
        path.parent.name for package in ("attnwatch", "generator") for path in ROOT.glob(f"{package}/*/__init__.py")
    }
    assert not [folder for folder in folders if f"`{folder}/`" not in DOCUMENTS["ARCHITECTURE.md"]]


def test_the_readme_fits_on_a_few_screens():
    assert len(README.splitlines()) <= 200


def test_the_changelog_begins_with_the_version_of_the_package():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(r"^## (\S+)", DOCUMENTS["CHANGELOG.md"], re.MULTILINE)[1] == version


def test_a_source_distribution_has_every_document():
    included = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").split()
    assert not [name for name in DOCUMENTS if name != "README.md" and name not in included]
