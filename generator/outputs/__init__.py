"""The files of one video: tensors, the video itself and, last, its manifest.

In scripts of your own: `from generator.outputs import write_video`.
"""

from generator.outputs.video import write_video

__all__ = ["write_video"]
