"""Settings of the watcher that a generator's configuration may hold: only their kinds are known here.

The watcher knows their allowed values. Their kinds are checked, so that a mistake is found before hours of generation
and not after them. None is the watcher's own default.
"""

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from generator.settings.values import Whole, no_boolean


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _kind(expected: str) -> WrapValidator:
    """Word every error as ``expected ...``."""

    def check(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"expected {expected}") from None

    return WrapValidator(check)


_Switch = Annotated[bool, _kind("true or false")] | None
_AnyNumber = Annotated[float, BeforeValidator(no_boolean), _kind("a number")] | None
_AnyInteger = Annotated[Whole, _kind("a whole number")] | None
_Name = Annotated[str, _kind("a name")] | None
_Pair = Annotated[tuple[float, float], _kind("two numbers, such as [12, 8]")] | None
_Choice = (
    Annotated[
        int | str | tuple[int, ...],
        BeforeValidator(no_boolean),
        _kind("a number, a range such as 0-9, or a list of numbers"),
    ]
    | None
)


class VisualizationSwitches(_Block):
    """Settings that are keys of ``attention_analysis`` itself."""

    auto_generate_per_video: _Switch = None
    auto_generate_videos: _Switch = None


class VisualizationParams(_Block):
    """Settings below ``attention_analysis.visualization_params``."""

    generate_attention_only: _Switch = None
    generate_overlay: _Switch = None
    generate_aggregated: _Switch = None
    generate_step_evolution: _Switch = None
    generate_combined: _Switch = None
    sheet: _Name = None
    audio: _Switch = None
    measures: _Switch = None
    colormap: _Name = None
    overlay: _Name = None
    overlay_alpha: _AnyNumber = None
    upsampling: _Name = None
    normalization: _Name = None
    vmin: _AnyNumber = None
    vmax: _AnyNumber = None
    clip: _Pair = None
    invert: _Switch = None
    nonfinite: _Name = None
    threshold: _AnyNumber = None
    interpolation_steps: _AnyInteger = None
    steps: _Choice = None
    layers: _Choice = None
    heads: _Choice = None
    rotation: _Name = None
    figsize: _Pair = None
    include_colorbar: _Switch = None
    caption: _Name = None
    static_duration: _AnyNumber = None
    fps: _AnyNumber = None
    quality: _Name = None
    per_video_fps: _AnyNumber = None
    per_video_quality: _Name = None
    batch_fps: _AnyNumber = None
    batch_quality: _Name = None
    visualization_timeout: _AnyNumber = None
    fail_on_visualization_error: _Switch = None
