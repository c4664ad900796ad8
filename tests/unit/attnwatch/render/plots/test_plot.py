"""Files: text is text, pictures have the asked number of pixels, and the same figure gives the same bytes."""

import re
import shutil
import subprocess
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from attnwatch.errors import ConfigError
from attnwatch.render.plots.plot import Plot
from tests.support import Batch, only_video
from tests.unit.attnwatch.render.text.samples import drawable

PROMPT = "a kiss for $5 and 自行车"


@pytest.fixture(scope="module")
def plot(tmp_path_factory):
    batch = Batch.make(tmp_path_factory.mktemp("plot") / "outputs")
    batch.add(generation={"prompt": PROMPT})
    return only_video(batch).figure("kiss", size=3.3)


def test_text_in_svg_is_text(plot, tmp_path):
    tree = ET.parse(plot.save(tmp_path / "kiss.svg"))
    found = ["".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {drawable(PROMPT), "video", "“kiss”", "attention probability"} <= set(found)


def test_fonts_in_pdf_are_embedded_as_truetype(plot, tmp_path):
    data = plot.save(tmp_path / "kiss.pdf").read_bytes()
    assert b"/FontFile2" in data
    assert b"/Type3" not in data
    assert len(re.findall(rb"/Subtype /Image", data)) == 3  # the frame, the overlay, the colour bar
    assert b"/SMask" not in data  # journals refuse transparency


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext (poppler-utils)")
def test_text_in_pdf_is_found_by_readers(plot, tmp_path):
    path = plot.save(tmp_path / "kiss.pdf")
    run = ["pdftotext", str(path), "-"]
    found = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout
    assert {drawable(PROMPT), "video", "“kiss”", "attention probability"} <= set(found.splitlines())


def test_png_has_the_pixels_per_inch_that_were_asked_for(plot, tmp_path):
    pixels = mpl.image.imread(plot.save(tmp_path / "kiss.png"))
    assert pixels.shape[:2] == (round(plot.get_figheight() * 300), 990)
    assert (np.asarray(mpl.image.imread(plot.save(tmp_path / "again.PNG"))) == pixels).all()


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_file_is_the_same_each_time_and_replaces_an_earlier_one(plot, tmp_path, suffix):
    path = tmp_path / f"kiss.{suffix}"
    path.write_text("before")
    first = plot.save(path).read_bytes()
    assert plot.save(str(path)).read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]
    about = "prompt_001_vid001: attention to kiss; 0.25 s"
    assert any(about.encode(encoding) in first for encoding in ("utf-8", "utf-16-be"))


def test_what_matplotlib_saves_has_text_and_pixels_of_the_same_kind(plot, tmp_path):
    plot.savefig(tmp_path / "kiss.svg")
    assert "<text" in (tmp_path / "kiss.svg").read_text()
    assert mpl.rcParams["svg.fonttype"] == "path"


def test_a_notebook_shows_the_figure(plot):
    data, metadata = plot._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert metadata == {"width": 330}
    assert isinstance(plot, mpl.figure.Figure)
    assert isinstance(plot, Plot)


def test_another_suffix_is_refused_with_those_that_can_be_written(plot, tmp_path):
    with pytest.raises(ConfigError, match=r"^found figure.jpg; expected a name that ends in .png, .pdf or .svg"):
        plot.save(tmp_path / "figure.jpg")
    assert list(tmp_path.iterdir()) == []
