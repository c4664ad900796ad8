"""Opens a video for FFmpeg in such a way that it reads that one file and nothing else.

FFmpeg takes names for more than files: `file:`, `concat:` and `http:` are protocols, `%d` stands for a sequence, and
playlists name further files. Here it never learns a name: it gets an open file, formats that are complete in one file,
and no way to open another one.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import PurePath
from typing import BinaryIO, Never

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from attnwatch.errors import VideoError
from attnwatch.media.webp import HEAD, is_animated_webp
from attnwatch.system.shortage import shortage_behind

# Demuxers that read one file only. Left out are playlists (hls, dash, concat, ...), numbered pictures (image2),
# devices, and formats that are text (subtitles, sdp).
_FORMATS = (
    "mov,matroska,avi,mpegts,mpegtsraw,mpeg,mpegvideo,flv,live_flv,asf,asf_o,ogg,nut,ivf,mxf,gxf,rm,wtv,dv,nsv,3dostr,"
    "h264,hevc,vvc,evc,obu,m4v,mjpeg,mjpeg_2000,vc1,vc1test,dirac,dnxhd,h261,h263,cavsvideo,avs2,avs3,apv,yuv4mpegpipe,"
    "gif,gif_pipe,apng,webp,webp_pipe,png_pipe,jpeg_pipe,jpegls_pipe,jpegxl_anim,jpegxl_pipe,jpegxs_pipe,j2k_pipe,"
    "bmp_pipe,tiff_pipe,exr_pipe,dpx_pipe,ppm_pipe,pgm_pipe,pam_pipe,pbm_pipe,qoi_pipe,sgi_pipe,fits,cine,amv,swf"
)
_ALONE = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "",
    "enable_drefs": "0",  # of MOV: references to tracks in other files
    "use_absolute_path": "0",
}
_BUFFER = 64 * 2**10  # bytes per call into Python: twice what FFmpeg asks for by itself, and larger is slower
_MOST_READ = 2**20  # bytes per call: FFmpeg asks for a whole packet at once, and it would be in memory twice


@contextlib.contextmanager
def open_video(file: BinaryIO, name: str, *, decodes: bool = True) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video for the duration of the context; yield its container and its first video stream.

    The position of the file neither matters nor changes, so that it can be opened several times at once.

    Args:
        file: a regular file, open for reading.
        name: name of the file, for errors.
        decodes: whether pictures will be decoded. Otherwise it is opened in a twentieth of the time, and what only
            pictures tell, such as their pixel format, is unknown.

    Raises:
        VideoError: FFmpeg cannot read it, here or within the context.
        OSError: the machine, or a limit of this process, lets FFmpeg have no thread or open file.

    """
    try:
        with _opened(file, name, {} if decodes else {"skip_frame": "all"}) as container:
            yield container, _video_stream(container, name)
    except MemoryError:  # FFmpeg's is one too; it says nothing about the file
        raise
    except av.FFmpegError as error:
        if error.errno is not None and shortage_behind(error) is not None:  # it says nothing about the file either
            remedy = "raise the limits of processes and open files (ulimit -u, -n)"
            raise OSError(error.errno, f"FFmpeg cannot work ({error.strerror}); {remedy}", name) from error
        if is_animated_webp(os.pread(file.fileno(), HEAD, 0)):
            raise VideoError(
                f"{name}: found an animated WebP picture, which FFmpeg cannot decode; expected MP4, WebM, MKV, GIF or "
                "animated PNG; save it as one of these"
            ) from error
        raise unusable(name, f"data that FFmpeg cannot read ({error.strerror})") from error


def unusable(name: str, found: str) -> VideoError:
    """Return the error for a video that cannot be used as it is."""
    return VideoError(f"{name}: found {found}; expected a complete video; generate it again")


def _opened(file: BinaryIO, name: str, options: dict[str, str]) -> InputContainer:
    try:
        return av.open(
            _Reader(file, name),
            mode="r",
            options=options,
            container_options=_ALONE,
            buffer_size=_BUFFER,
            metadata_errors="replace",
            io_open=_refuse,
        )
    except av.ArgumentError as error:  # how FFmpeg says that a format is not on the list
        raise VideoError(
            f"{name}: found a playlist, a list of pictures or another format that is not read ({error.strerror}); "
            "expected a video that is complete in one file; write it as MP4, WebM or MKV"
        ) from error


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    if not container.streams.video:
        raise unusable(name, "no video stream")
    # A picture attached to the file, such as a cover, comes first in some formats.
    streams = container.streams.video
    stream = next((one for one in streams if not one.disposition & Disposition.attached_pic), streams[0])
    if stream.codec_context is None:
        raise unusable(name, "a video stream in a codec that FFmpeg has no decoder for")
    return stream


def _refuse(url: str, *_: object) -> Never:
    raise VideoError(
        f"found a video that refers to another file ({url!r}); expected one that is complete in one file; write it anew"
    )


class _Reader:
    """Reads a file at a position of its own.

    Attributes:
        name: what FFmpeg takes for the name of the file. Only the suffix is real: some raw formats are known by it.

    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._descriptor = file.fileno()
        self._position = 0
        suffix = PurePath(name).suffix
        self.name = f"video{suffix}" if suffix[1:].isalnum() else "video"

    def read(self, size: int) -> bytes:
        data = os.pread(self._descriptor, min(size, _MOST_READ), self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: os.fstat(self._descriptor).st_size,
        }[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position
