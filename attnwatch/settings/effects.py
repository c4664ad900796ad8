"""Which settings of pictures have an effect on what is made by a single command; all have one on renderings."""

_MAPS = frozenset(
    {"steps", "layers", "heads", "nonfinite", "upsampling", "interpolation_steps", "rotation", "vmin", "vmax", "clip"}
)
"""Which maps are meant, how they are enlarged, and the scale."""

_COLOURS = frozenset({"colormap", "overlay", "overlay_alpha", "invert", "threshold", "normalization"})
_FILM = frozenset({"fps", "per_video_fps", "quality", "per_video_quality", "audio"})

ON_EXPORTS = _MAPS
ON_STILLS = _MAPS | _COLOURS
ON_COMPOSITIONS = _MAPS | _COLOURS | _FILM
