"""Colours on a lattice, as tiles of a picture, and their conversions in float64 (ITU-T H.273, section 8.3)."""

import itertools

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from attnwatch.render.planes import samples

MATRICES = {
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.BT2020: (0.2627, 0.0593),
}
COLOURS = np.array(list(itertools.product(np.linspace(0, 255, 6), repeat=3)))
"""R, G and B: `[colour, 3]`, 0..255."""

_TILE, _ACROSS = 16, 18  # pixels, and tiles in a row
_SIZE = (_TILE * _ACROSS, _TILE * len(COLOURS) // _ACROSS)


def to_yuv(rgb, matrix, *, bits=8, full=False):
    """Return Y, U and V of R, G and B, 0..255: `[colour, 3]`, not rounded."""
    red_weight, blue_weight = MATRICES[matrix]
    red, green, blue = rgb.T / 255
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    zeros, spans = _levels(bits, full)
    differences = (luma, (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight))
    return np.stack(differences, axis=-1) * spans + zeros


def to_rgb(yuv, matrix, *, bits=8, full=False):
    """Return R, G and B, 0..255, of Y, U and V: `[colour, 3]`, not rounded."""
    red_weight, blue_weight = MATRICES[matrix]
    zeros, spans = _levels(bits, full)
    luma, to_blue, to_red = ((yuv - zeros) / spans).T
    blue, red = luma + (2 - 2 * blue_weight) * to_blue, luma + (2 - 2 * red_weight) * to_red
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return 255 * np.stack([red, green, blue], axis=-1).clip(0, 1)


def _levels(bits, full):
    """Return the zeros and the spans of Y, U and V."""
    unit, highest = 1 << (bits - 8), (1 << bits) - 1
    zeros = np.array([0, 128, 128] if full else [16, 128, 128]) * unit
    return zeros, np.array([highest] * 3 if full else [219 * unit, 224 * unit, 224 * unit])


def coded(matrix, *, bits=8, full=False):
    """Return the whole Y, U and V that a file of the lattice contains: `[colour, 3]`."""
    return np.rint(to_yuv(COLOURS, matrix, bits=bits, full=full)).clip(0, (1 << bits) - 1)


def yuv_picture(yuv, pixel_format="yuv420p", *, matrix, full=False):
    """Return a picture with a tile of each colour."""
    frame = av.VideoFrame(*_SIZE, pixel_format)
    frame.colorspace, frame.color_range = matrix, ColorRange.JPEG if full else ColorRange.MPEG
    kind = np.uint8 if frame.format.components[0].bits == 8 else np.dtype("<u2")
    for plane, values in zip(frame.planes, yuv.T, strict=True):
        samples(plane, kind)[:] = _tiles(values)[:: _SIZE[1] // plane.height, :: _SIZE[0] // plane.width]
    return frame


def rgb_picture():
    """Return a picture with a tile of each colour of the lattice."""
    picture = np.stack([_tiles(channel) for channel in COLOURS.T], axis=-1)
    return av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")


def _tiles(values):
    return np.kron(values.reshape(-1, _ACROSS), np.ones((_TILE, _TILE)))


def errors(found, expected):
    """Return how far the middles of tiles are from the colours, in levels: bias of each channel, and the largest one.

    Args:
        found: a frame of 8-bit YUV, or RGB `[row, column, 3]`.
        expected: what each tile should be, `[colour, 3]`.

    """
    channels = [samples(plane, np.uint8) for plane in found.planes] if isinstance(found, av.VideoFrame) else None
    differences = []
    for channel, wanted in zip(channels or np.moveaxis(found, -1, 0), expected.T, strict=True):
        side = channel.shape[1] // _ACROSS
        rows = channel.reshape(-1, side, _ACROSS, side)[:, side // 4 : -side // 4, :, side // 4 : -side // 4]
        tiles = rows.swapaxes(1, 2).reshape(len(wanted), -1)
        differences.append(tiles.astype(float) - wanted[:, None])
    return [one.mean() for one in differences], max(np.abs(one).max() for one in differences)
