"""Several videos, and several words of each, beside each other in one picture: in sync, with captions, on one scale."""
