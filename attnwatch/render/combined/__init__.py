"""Several words in one overlay: each has a hue, which a legend names, and hues mix where words overlap."""
