"""The noise levels of a pipeline's scheduler, and their shift."""

from typing import Any

from generator.errors import ModelError

SHIFTS = ("flow_shift", "shift")
"""Names that schedulers give to the shift of their noise levels."""


def levels(scheduler: Any) -> list[tuple[float, float | None]]:  # noqa: ANN401 - of diffusers
    """Return timestep and sigma of each denoising step; not every scheduler has sigmas."""
    timesteps = [float(timestep) for timestep in scheduler.timesteps]
    if not hasattr(scheduler, "sigmas"):
        return [(timestep, None) for timestep in timesteps]
    return list(zip(timesteps, map(float, scheduler.sigmas[: len(timesteps)]), strict=True))


def shifted(scheduler: Any, shift: float) -> Any:  # noqa: ANN401 - of diffusers
    """Return a scheduler like this one with another shift."""
    return type(scheduler).from_config(scheduler.config, **dict.fromkeys(_shifts(scheduler), shift))


def require_shift(model: str, scheduler: Any, shift: float | None) -> None:  # noqa: ANN401 - of diffusers
    """Raise ModelError for a shift that the scheduler does not take."""
    if shift is not None and not _shifts(scheduler):
        raise ModelError(
            f"flow_shift {shift:g}: the scheduler of {model}, {type(scheduler).__name__}, has none. Omit it"
        )


def _shifts(scheduler: Any) -> list[str]:  # noqa: ANN401 - of diffusers
    """Return the settings that shift the noise levels; none if the scheduler computes the shift itself."""
    config = scheduler.config
    return [] if config.get("use_dynamic_shifting") else [name for name in SHIFTS if name in config]
