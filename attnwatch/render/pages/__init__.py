"""Pages around pictures: figures, captions and the evolution over the steps, drawn once and pasted into every frame.

Text and lines are drawn in luma only, black on white; colours come from pictures, which are pasted in the codec's own
colour space, so the colour bar of a page has exactly the colours of its map.
"""
