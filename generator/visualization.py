"""What a batch may ask of the watcher: names and kinds of values.

They belong to the watcher, which knows what each may be. Here only their kind is checked, so that a slip is found
before hours of generation and not after them.
"""

from typing import Any

from pydantic import TypeAdapter, ValidationError

SWITCHES = frozenset({"auto_generate_per_video", "auto_generate_videos"})
"""Those that stand in the block about attention itself."""

_KINDS: dict[Any, str] = {
    bool: "generate_attention_only generate_overlay generate_aggregated generate_step_evolution "
    "include_colorbar invert fail_on_visualization_error",
    float: "overlay_alpha static_duration fps per_video_fps batch_fps vmin vmax threshold visualization_timeout",
    int: "interpolation_steps",
    str: "colormap quality per_video_quality batch_quality normalization",
    int | str | tuple[int, ...]: "steps layers heads",
    tuple[float, float]: "figsize clip",
}
_NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a name",
    tuple[float, float]: "two numbers, such as [12, 8]",
    int | str | tuple[int, ...]: "a number, a range such as 0-9, or a list of numbers",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()} | dict.fromkeys(SWITCHES, bool)

PARAMS = frozenset(_KIND_OF) - SWITCHES
"""Those that stand in ``visualization_params``."""


def wrong_kind(name: str, value: object) -> str | None:
    """Say what kind of value was expected, if this is of another. Null is any setting's default."""
    kind = _KIND_OF[name]
    if value is None:
        return None
    if isinstance(value, bool) and kind is not bool:
        return _NAMES[kind]
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return _NAMES[kind]
    return None
