"""From the attention maps of one video to its attention videos."""

RENDERER_VERSION = 2  # a higher one asks for new pictures of everything
