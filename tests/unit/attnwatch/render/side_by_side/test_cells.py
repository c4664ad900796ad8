"""Pictures of cells, before they are encoded."""

from fractions import Fraction
from types import SimpleNamespace

import pytest
from av.video.reformatter import Colorspace

from attnwatch.render.colours import Colours
from attnwatch.render.side_by_side.cells import Cells, Look
from attnwatch.render.timeline import SourceFrame
from attnwatch.settings import Visualization
from tests.unit.attnwatch.render import lattice


@pytest.mark.parametrize("times", [1, 2], ids=["as large", "twice as large"])
def test_a_video_with_another_matrix_than_the_cells_keeps_its_colours(times):
    own, other = Colorspace.ITU601, Colorspace.ITU709
    yuv = lattice.coded(own)
    picture = lattice.yuv_picture(yuv, matrix=own)
    timeline = SimpleNamespace(colours=Colours.of_matrix(own), time_base=Fraction(1, 16))
    source = SimpleNamespace(timeline=timeline, frames=lambda: iter([SourceFrame(0, 1, picture)]))
    look = Look(Visualization(), Colours.of_matrix(other), alone=False)
    size = (times * picture.width, times * picture.height)
    cells = Cells(SimpleNamespace(source=source, alignment=None), [None], size, look, rate=Fraction(16))
    bias, largest = lattice.errors(cells.next()[0], lattice.to_yuv(lattice.to_rgb(yuv, own), other))
    assert bias == pytest.approx([0, 0, 0], abs=0.1)
    assert largest <= 1
