"""From the attention maps of one video to its attention videos."""
