"""Names of videos, and files that pose as videos, with which FFmpeg would open something else."""

import contextlib
import socket
from collections.abc import Iterator

OWN, SECRET = (10, 250, 10), (250, 10, 10)  # colours of the video that may be read, and of the one that may not

NAMES = (
    "file:{secret}",
    "concat:{secret}|{secret}",
    "subfile,,start,0,end,0,,:{secret}",
    "async:{secret}",
    "crypto:{secret}",
    "data:video/mp4;base64,AAAA",
    "http:/127.0.0.1:{port}/a.mp4",
    "http://127.0.0.1:{port}/a.mp4",
    "tcp://127.0.0.1:{port}",
    "pipe:0",
    "fd:",
    "ffconcat:{secret}",
    "a%d.mp4",
    "-",
    "a.m3u8",
    "a.sdp",
)

LISTS = {
    "concat": "ffconcat version 1.0\nfile '{secret}'\n",
    "concat-relative": "ffconcat version 1.0\nfile secret.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{secret}\n#EXT-X-ENDLIST\n",
    "hls-http": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.mp4\n#EXT-X-ENDLIST\n",
    "dash": (
        '<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet><Representation id="1" bandwidth="1">'
        "<BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ),
    "sdp": (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {port} RTP/AVP 96\r\n"
        "a=rtpmap:96 H264/90000\r\n"
    ),
    "rtsp": "RTSPtext\nrtsp://127.0.0.1:{port}/a\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{secret}"/></svg>',
}


class Server:
    """A port of this machine that something may connect to."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.port: int = listening.getsockname()[1]
        self._connections = 0

    @property
    def connections(self) -> int:
        """How often something has connected so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listening.accept()[0].close()
                self._connections += 1
        return self._connections


@contextlib.contextmanager
def listening() -> Iterator[Server]:
    """Listen on a port for the duration of the context."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield Server(listening)
