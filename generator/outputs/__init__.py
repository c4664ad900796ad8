"""The files of a video: the encoded frames, the tensor files and, last, the manifest.

Scripts import `write_video` from here. The generator also imports ``store``, ``manifest``, ``files`` and ``video``.
"""

from generator.outputs.video import write_video

__all__ = ["write_video"]
