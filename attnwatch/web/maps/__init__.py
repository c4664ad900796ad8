"""What the page draws maps with: the maps themselves, colour scales of batches, and the renderer's own tables."""
