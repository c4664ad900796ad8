"""From the attention maps of one video to its attention videos."""

RENDERER_VERSION = 1  # a higher one asks for new pictures of everything
