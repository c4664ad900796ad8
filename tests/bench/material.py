"""Benchmark inputs: videos with texture and motion like generated ones, and attention that moves."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.support import write_manifest, write_tensors

STEPS, STRIDE = 50, 4


def write_video(path: Path, width: int, height: int, frames: int) -> None:
    """Write a video that pans over a picture with detail at all scales (1/f), with a moving disc and a little grain."""
    rng = np.random.default_rng(7)
    wide = _one_over_f(rng, height + 64, width + 256)
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(16), options={"crf": "18", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            left, top = 3 * index % 256, index % 64
            picture = wide[top : top + height, left : left + width].copy()
            centre = width * (0.2 + 0.6 * index / frames)
            disc = (rows - height / 2) ** 2 + (columns - centre) ** 2 < (height / 6) ** 2
            picture[disc] = 0.5 * picture[disc] + (100, 60, 20)
            picture += rng.normal(0, 1.5, picture.shape)
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _one_over_f(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float64]:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    channels = []
    for _ in range(3):
        spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / frequency
        channel = np.fft.irfft2(spectrum, (height, width))
        channels.append(128 + 45 * (channel - channel.mean()) / channel.std())
    return np.stack(channels, axis=-1)


def attention(
    width: int, height: int, frames: int, *, layers: int = 1, heads: int = 1, steps: int = STEPS
) -> npt.NDArray[np.float16]:
    """Return `[step, layer, head, frame, row, column]`: a moving blob, plus noise that steps partly share."""
    grid = ((frames - 1) // STRIDE + 1, height // 16, width // 16)
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[: grid[1], : grid[2]]
    blob = np.stack(
        [
            np.exp(-((rows - grid[1] / 2) ** 2 + (columns - grid[2] * (0.2 + 0.6 * t / grid[0])) ** 2) / 20)
            for t in range(grid[0])
        ]
    )
    maps = np.empty((steps, layers, heads, *grid), np.float16)
    common = 0.002 * rng.random(grid)
    for index in np.ndindex(steps, layers, heads):
        maps[index] = 0.01 * blob + common + 0.001 * rng.random(grid, dtype=np.float32)
    return maps


def write_case(folder: Path, size: tuple[int, int], frames: int, words: int, videos: int = 1) -> list[Path]:
    """Write `videos` finished videos with `words` tracked words each; return their manifests."""
    manifests = []
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / "video_001.mp4"
    maps = attention(*size, frames)
    for number in range(1, videos + 1):
        video = folder / f"video_{number:03d}.mp4"
        if video == first:
            write_video(video, *size, frames)
        else:
            video.write_bytes(first.read_bytes())
        tensors = f"vid{number:03d}.safetensors"
        write_tensors(folder / tensors, {f"word{index}": np.roll(maps, 3 * index, axis=-1) for index in range(words)})
        manifests.append(write_manifest(folder / f"video_{number:03d}.complete.json", attention=[tensors]))
    return manifests
