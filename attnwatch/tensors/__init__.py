"""From tensor files to float32 attention maps. `reader` is what the other packages import."""
