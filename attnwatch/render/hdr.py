"""Maps pictures of high dynamic range (ITU-R BT.2100: PQ and HLG) to BT.709, so that 8 bits can show them.

Values up to about half of reference white stay as they are, brighter ones are compressed instead of cut off.
"""

from functools import lru_cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, ColorTrc

from attnwatch.render.planes import samples
from attnwatch.tensors.reduction import Float32Array

_WHITE = 203.0  # cd/m2: reference white, BT.2408-7 section 2.1
_PEAK = 1000.0  # cd/m2: the display that most HDR is graded for; brighter values are shown as white
_UNSPECIFIED = 2  # code of an untagged matrix
_BAND = 32  # rows at a time: of a whole picture of 4K, all that lies between the signal and the levels takes 450 MB
_CODES, _SPARE_BITS = 1 << 12, 4  # a signal of 12 bits, in 16
_ROOTS = 1 << 12  # square roots of light, from 0 to 1
_LIMITED_WHITE = 255 << 8  # what swscale makes, in 16 bits, of white of limited range
_DISPLAY_GAMMA = 2.4  # BT.1886
_SYSTEM_GAMMA = 1.2  # of HLG at 1,000 cd/m2: BT.2100-2, table 5
_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020

# From BT.2020 to BT.709 primaries, linear light: BT.2087-0, section 2, inverted.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128  # SMPTE ST 2084, as in BT.2100-2, table 4
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

_Float64Array = npt.NDArray[np.float64]


def to_bt709(frame: av.VideoFrame, transfer: ColorTrc) -> av.VideoFrame:
    """Return a frame with the transfer PQ or HLG as BT.709 RGB of 8 bits, at the same size.

    The primaries are taken for those of BT.2020, as BT.2100 has it.
    """
    matrix = Colorspace.BT2020 if frame.colorspace == _UNSPECIFIED else None
    white = _white(frame)
    wide = frame.reformat(format="rgb48le", src_colorspace=matrix, threads=1)
    shown = av.VideoFrame(frame.width, frame.height, "rgb24")
    source, target = samples(wide.planes[0], np.uint16, 3), samples(shown.planes[0], np.uint8, 3)
    for top in range(0, frame.height, _BAND):
        band = slice(top, top + _BAND)
        target[band] = _levels(source[band].reshape(-1, frame.width, 3), transfer, white).reshape(-1, 3 * frame.width)
    return shown


def _white(frame: av.VideoFrame) -> int:
    """Return what white is in the 16 bits that swscale makes of a frame, which is not always the highest value."""
    if frame.format.is_rgb:
        return (1 << 16) - 1
    if frame.color_range != ColorRange.JPEG:
        return _LIMITED_WHITE
    bits = frame.format.components[0].bits
    return ((1 << bits) - 1) << (16 - bits)


def _levels(rgb: npt.NDArray[np.integer[Any]], transfer: ColorTrc, white: int) -> npt.NDArray[np.uint8]:
    """Return the levels of BT.709, 8 bits, of the signal of some rows, 16 bits, up to white: `[rows, width, 3]`."""
    signal = np.right_shift(rgb, _SPARE_BITS, dtype=np.uint16)
    light = _pq_light(signal, white) if transfer == ColorTrc.SMPTE2084 else _hlg_light(signal, white)
    colour = np.clip(light @ _TO_BT709.T, 0, 1)
    return np.asarray(_display_levels()[np.rint(np.sqrt(colour) * (_ROOTS - 1)).astype(np.uint16)])


def _pq_light(signal: npt.NDArray[np.integer[Any]], white: int) -> Float32Array:
    """Return the compressed linear light of a PQ signal, 1 for white: `[height, width, 3]`."""
    return np.asarray(_pq_to_light(white)[signal] * _pq_gain(white)[signal.max(axis=2)][..., None])


def _hlg_light(signal: npt.NDArray[np.integer[Any]], white: int) -> Float32Array:
    """Return the compressed linear light of an HLG signal, 1 for white: `[height, width, 3]`."""
    scene = _hlg_to_scene(white)[signal]
    display = scene * np.power(scene @ _LUMA, _SYSTEM_GAMMA - 1)[..., None] * np.float32(_PEAK / _WHITE)
    brightest = np.clip(display.max(axis=2) * (_WHITE / _PEAK), 0, 1)
    gain = _gain_by_root()[np.rint(np.sqrt(brightest) * (_ROOTS - 1)).astype(np.uint16)]
    return np.asarray(display * gain[..., None])


def _signals(white: int) -> _Float64Array:
    """Return the signal, 0..1, by its code: the middle of the values in 16 bits that have this code."""
    values = (np.arange(_CODES) << _SPARE_BITS) + ((1 << _SPARE_BITS) - 1) / 2
    values[0] = 0  # black is black
    return np.minimum(values / white, 1)


@lru_cache(maxsize=2)
def _pq_to_light(white: int) -> Float32Array:
    return np.asarray(pq_to_nits(_signals(white)) / _WHITE, np.float32)


@lru_cache(maxsize=2)
def _pq_gain(white: int) -> Float32Array:
    """Return the factor for a pixel by its brightest code."""
    return _gain(pq_to_nits(_signals(white)))


@lru_cache(maxsize=1)
def _gain_by_root() -> Float32Array:
    """Return the factor for a pixel by the square root of its brightest channel, which the peak makes 1."""
    return _gain(_PEAK * (np.arange(_ROOTS) / (_ROOTS - 1)) ** 2)


def _gain(nits: _Float64Array) -> Float32Array:
    return np.asarray(compressed(nits) / np.maximum(nits, 1e-9), np.float32)


@lru_cache(maxsize=2)
def _hlg_to_scene(white: int) -> Float32Array:
    """Return linear scene light, 0..1, by HLG code: the inverse of BT.2100-2, table 5."""
    a, b, c, knee = 0.17883277, 0.28466892, 0.55991073, 0.5
    signal = _signals(white)
    return np.asarray(np.where(signal <= knee, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12), np.float32)


@lru_cache(maxsize=1)
def _display_levels() -> npt.NDArray[np.uint8]:
    """Return the 8-bit level by the square root of linear light, so that dark tones have enough entries."""
    root = np.arange(_ROOTS) / (_ROOTS - 1)
    return np.rint(255 * root ** (2 / _DISPLAY_GAMMA)).astype(np.uint8)


def pq_to_nits(signal: _Float64Array) -> _Float64Array:
    """Return the luminance in cd/m2 of a PQ signal, 0..1."""
    root = np.power(signal, 1 / _M2)
    return 10_000 * np.power(np.maximum(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1)


def nits_to_pq(nits: _Float64Array) -> _Float64Array:
    """Return the PQ signal, 0..1, of a luminance in cd/m2."""
    power = np.power(nits / 10_000, _M1)
    return np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


def compressed(nits: _Float64Array) -> _Float64Array:
    """Compress luminances up to the peak to at most reference white: the EETF of BT.2390-11, section 5.4.1."""
    top = nits_to_pq(np.array(_PEAK))
    share, most = np.minimum(nits_to_pq(nits) / top, 1), nits_to_pq(np.array(_WHITE)) / top
    knee = 1.5 * most - 0.5
    t = np.clip((share - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_to_nits(np.where(share < knee, share, spline) * top)
