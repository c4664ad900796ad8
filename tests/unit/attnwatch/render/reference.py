"""An independent float64 reference for rendered pictures: numpy bilinear interpolation and matplotlib colours."""

import matplotlib
import numpy as np


def bilinear(maps, height, width):
    """Enlarge `[rows, columns]` bilinearly, with half-pixel centres and clamped edges."""
    maps = np.repeat(np.repeat(maps, 1 + (maps.shape[0] == 1), 0), 1 + (maps.shape[1] == 1), 1)
    rows, columns = maps.shape
    y = np.clip((np.arange(height) + 0.5) * rows / height - 0.5, 0, rows - 1)
    x = np.clip((np.arange(width) + 0.5) * columns / width - 0.5, 0, columns - 1)
    top, left = np.minimum(y.astype(int), rows - 2), np.minimum(x.astype(int), columns - 2)
    fy, fx = (y - top)[:, None], (x - left)[None, :]
    upper = maps[top][:, left] * (1 - fx) + maps[top][:, left + 1] * fx
    lower = maps[top + 1][:, left] * (1 - fx) + maps[top + 1][:, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def lanczos(maps, height, width):
    """Enlarge `[rows, columns]` with a Lanczos kernel of three lobes, with half-pixel centres and clamped edges."""
    return _lanczos_rows(_lanczos_rows(maps, height).T, width).T


def _lanczos_rows(maps, size):
    beyond = np.pad(maps, ((3, 3), (0, 0)), mode="edge")
    rows = []
    for position in (np.arange(size) + 0.5) * len(maps) / size - 0.5:
        first = int(np.floor(position)) - 2
        distance = position - np.arange(first, first + 6)
        weights = np.sinc(distance) * np.sinc(distance / 3)
        rows.append(weights @ beyond[first + 3 : first + 9] / weights.sum())
    return np.array(rows)


def nearest(maps, height, width):
    """Enlarge `[rows, columns]` by showing, at each pixel, the cell that its centre is in."""
    rows, columns = (
        np.floor((np.arange(size) + 0.5) * cells / size).astype(int)
        for size, cells in zip((height, width), maps.shape, strict=True)
    )
    return maps[np.ix_(rows, columns)]


def coloured(share, colormap):
    """Return the RGB levels, 0..255, of values 0..1."""
    return matplotlib.colormaps[colormap](share)[..., :3] * 255


def rgb_of(frame):
    """Convert a limited-range frame to float64 RGB with the matrix in its tag, interpolating chroma bilinearly."""
    kr, kb = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114)}[int(frame.colorspace)]
    planes = []
    for plane in frame.planes:
        flat = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(flat[: plane.height, : plane.width].astype(np.float64))
    luma = (planes[0] - 16) / 219
    blue, red = (upsample((plane - 128) / 224, luma.shape) for plane in planes[1:])
    r = luma + 2 * (1 - kr) * red
    b = luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    return np.clip(np.stack([r, g, b], axis=-1) * 255, 0, 255)


def upsample(plane, shape):
    """Enlarge a chroma plane bilinearly."""
    return bilinear(plane, *shape)


def psnr(picture, expected):
    """Return the peak signal-to-noise ratio in dB for 8-bit levels."""
    return 10 * np.log10(255**2 / np.mean((picture - expected) ** 2))
