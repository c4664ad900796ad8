"""Recognises animated WebP pictures, the one common kind of moving picture that FFmpeg does not decode.

The layout is that of https://developers.google.com/speed/webp/docs/riff_container: a RIFF header, then for anything but
a plain still picture a chunk `VP8X` whose flags say whether the file is an animation.
"""

_FLAGS = 20  # position of the flags of VP8X
_ANIMATION = 0x02
HEAD = _FLAGS + 1
"""Number of bytes at the beginning of a file that decide."""


def is_animated_webp(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is an animated WebP picture."""
    is_extended = (head[:4], head[8:12], head[12:16]) == (b"RIFF", b"WEBP", b"VP8X")
    return is_extended and len(head) >= HEAD and bool(head[_FLAGS] & _ANIMATION)
