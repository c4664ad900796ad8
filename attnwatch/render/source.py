"""Decodes the frames and timestamps of a video, or provides timestamps alone if the video is absent."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from attnwatch.contract.documents import ManifestDocument
from attnwatch.errors import VideoError
from attnwatch.render.compose import PIXEL_FORMAT
from attnwatch.render.webp import HEAD, is_animated_webp

# Codes of ITU-T H.273, table 4; both 5 (BT.470BG) and 6 (SMPTE 170M) denote the BT.601 matrix.
_TAGGED_MATRIX = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601}
_HD_LINES = 720
_DEFAULT_RATE, _LOWEST_RATE = Fraction(16), Fraction(1, 1000)
_LATENT_CELL = 16  # pixels per latent token if the manifest does not state the size


@dataclass(frozen=True)
class Timeline:
    """Size, timing and colour matrix of a video, shared by all of its outputs.

    Attributes:
        width: width in pixels, even.
        height: height in pixels, even.
        frames: number of frames.
        rate: frames per second.
        time_base: seconds per unit of `pts`.
        matrix: colour matrix of the source and therefore of the outputs.

    """

    width: int
    height: int
    frames: int
    rate: Fraction
    time_base: Fraction
    matrix: Colorspace


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a video; `picture` is yuv420p, or None if the video is absent."""

    pts: int
    duration: int
    picture: av.VideoFrame | None


class AbsentSource:
    """Timestamps for an absent video; size and frame count come from the manifest, else from the latent grid."""

    def __init__(self, document: ManifestDocument, grid: tuple[int, int, int]) -> None:
        stated = document.generation
        width, height = stated.width or grid[2] * _LATENT_CELL, stated.height or grid[1] * _LATENT_CELL
        rate = max(_LOWEST_RATE, Fraction(stated.fps).limit_denominator(1001)) if stated.fps else _DEFAULT_RATE
        frames = stated.frames or _video_frames(document, grid[0])
        self.timeline = Timeline(
            width=_even(width),
            height=_even(height),
            frames=frames,
            rate=rate,
            time_base=1 / rate,
            matrix=_default_matrix(height),
        )

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the timestamps, one unit of the time base apart."""
        return (SourceFrame(index, 1, None) for index in range(self.timeline.frames))


class VideoSource:
    """A video file; each call of `frames` decodes it from start to end.

    Raises:
        VideoError: the file contains no decodable video.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with av.open(str(path)) as container:
                self.timeline = self._timeline(container)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(self._message(f"data that FFmpeg cannot read ({error})")) from error

    def _timeline(self, container: "av.container.InputContainer") -> Timeline:
        if not container.streams.video:
            raise VideoError(self._message("no video stream"))
        stream = container.streams.video[0]
        context = stream.codec_context
        frames = sum(1 for packet in container.demux(stream) if packet.size)
        if frames == 0:
            raise VideoError(self._message("a video stream of 0 frames"))
        rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
        return Timeline(
            width=_even(context.width),
            height=_even(context.height),
            frames=frames,
            rate=Fraction(rate),
            time_base=Fraction(stream.time_base or 1 / rate),
            matrix=_TAGGED_MATRIX.get(context.colorspace, _default_matrix(context.height)),
        )

    def frames(self) -> Iterator[SourceFrame]:
        """Decode and yield all frames as limited-range yuv420p.

        Raises:
            VideoError: the data is damaged, or the header rotates the picture.

        """
        timeline, converter = self.timeline, VideoReformatter()
        usual = max(1, round(1 / (timeline.rate * timeline.time_base)))
        with av.open(str(self._path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            try:
                for index, frame in enumerate(container.decode(stream)):
                    if frame.rotation:
                        raise VideoError(self._rotated(frame.rotation))
                    pts = index * usual if frame.pts is None else frame.pts
                    yield SourceFrame(pts, frame.duration or usual, _limited_yuv420(frame, converter, timeline.matrix))
            except av.FFmpegError as error:
                raise VideoError(self._undecodable(error)) from error

    def _rotated(self, degrees: int) -> str:
        # It is unknown whether the maps refer to the picture as stored or as displayed.
        found = f"a header that rotates the picture by {degrees} degrees"
        return f"{self._path}: found {found}; expected a video stored upright; encode it again without rotation"

    def _undecodable(self, error: av.FFmpegError) -> str:
        with self._path.open("rb") as file:
            if not is_animated_webp(file.read(HEAD)):
                return self._message(f"damaged data ({error})")
        found = "an animated WebP picture, which FFmpeg cannot decode"
        return f"{self._path}: found {found}; expected MP4, WebM, MKV, GIF or animated PNG; save it as one of these"

    def _message(self, found: str) -> str:
        return f"{self._path}: found {found}; expected a complete video; generate it again"


def _limited_yuv420(frame: av.VideoFrame, converter: VideoReformatter, matrix: Colorspace) -> av.VideoFrame:
    if frame.format.name == PIXEL_FORMAT and frame.color_range != ColorRange.JPEG:
        return frame
    target = matrix if frame.format.is_rgb else None
    return converter.reformat(
        frame, format=PIXEL_FORMAT, dst_colorspace=target, dst_color_range=ColorRange.MPEG, threads=1
    )


def _video_frames(document: ManifestDocument, latent_frames: int) -> int:
    grid = document.grid
    if grid is None:
        return latent_frames
    if grid.causal_first_frame:
        return grid.temporal_stride * (latent_frames - 1) + 1
    return grid.temporal_stride * latent_frames


def _default_matrix(height: int) -> Colorspace:
    return Colorspace.ITU601 if height < _HD_LINES else Colorspace.ITU709


def _even(size: int) -> int:
    """Round down to an even size, as 4:2:0 requires; dropping the last row or column shifts nothing."""
    return max(2, size // 2 * 2)
