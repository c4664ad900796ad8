import base64

from attnwatch.render.colormap import colormap_rgb
from attnwatch.web.maps.tables import tables


def test_the_tables_are_those_of_the_renderer():
    found = tables()
    assert next(iter(found.colormaps)) == found.settings["colormap"] == "viridis"
    for name, table in found.colormaps.items():
        colours = base64.b64decode(table)
        assert len(colours) == 3 * 256
        assert list(colours[-3:]) == [round(255 * value) for value in colormap_rgb(name)[-1].tolist()]
    white = base64.b64decode(found.diverging)[3 * 127 : 3 * 128]
    assert min(white) > 240
    assert len(found.hues) == 6
