"""One batch: its plan, its videos one after the other, and the documents that say how it went."""
