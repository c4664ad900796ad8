"""Which device a model is to run on, and whether there is such a one. Imports torch, but no model."""

import torch

from generator.errors import ModelError, first_line
from generator.settings import ModelSettings


def device_of(settings: ModelSettings) -> torch.device:
    """Return the device that the settings name; `auto` is a GPU if there is one.

    Raises:
        ModelError: if it does not exist, or is a CPU and something is to be moved off it.

    """
    device = _named(settings.device)
    if settings.offload != "none" and device.type == "cpu":
        raise ModelError(
            f"offload: found {settings.offload!r}, but the device is a CPU: there is no GPU memory to save. "
            "Use a GPU (--device cuda), or omit it"
        )
    return device


def _named(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name} cannot be used: {first_line(error)}. Try `cpu` or `auto`") from error
    return device
