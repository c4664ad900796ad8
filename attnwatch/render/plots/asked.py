"""What a figure is asked to show, and how large."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from attnwatch.errors import ConfigError
from attnwatch.validation import validated

GridKind = Literal["frames", "steps", "layers", "heads", "paths"]
ScaleKind = Literal["shared", "each"]
AveragedAxis = Literal["layers", "heads"]

_COLUMN = 4.5  # inches; narrower figures are for one column of a page
_MOST_PIXELS = 20_000  # along one side: a figure of so many takes 1 GB
_TALLEST = 1.5  # height divided by width, roughly, of the tallest figure


class Asked(BaseModel):
    """What a figure shows, beside the settings of pictures. The names are those of the options and parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    grid: GridKind | None = Field(
        default=None,
        description="several pictures: `frames` has words as rows, `steps` denoising steps, and moments as columns; "
        "`layers` and `heads` are of one moment; `paths` has the way of the centre of attention over one frame",
    )
    moments: int | None = Field(default=None, ge=1, le=50, description="number of evenly spaced moments")
    scale: ScaleKind = Field(
        default="shared", description="one colour scale for the whole figure, or one for each word, step, layer or head"
    )
    size: float = Field(default=7.0, ge=1, le=30, description="width of the figure in inches")
    dpi: int = Field(default=300, ge=30, le=2400, description="pixels per inch of the pictures in the figure")
    title: bool = Field(default=True, description="whether to print the prompt and what is shown above the pictures")
    averaged: tuple[AveragedAxis, ...] = Field(default=(), description="axes of which a grid shows the mean")

    @property
    def is_narrow(self) -> bool:
        """Whether the figure is for one column of a page."""
        return self.size < _COLUMN

    @classmethod
    def of(cls, **values: Any) -> "Asked":  # noqa: ANN401 - a user's own
        """Check what a user asks for.

        Raises:
            ConfigError: a value is invalid, or the picture would be too large; the name is that of the parameter.

        """
        asked = cls(**validated(cls, values, ""))
        if (pixels := asked.size * asked.dpi * _TALLEST) > _MOST_PIXELS:
            raise ConfigError(
                f"dpi: found {asked.dpi} at a size of {asked.size:g} inches, up to {pixels:,.0f} pixels; expected at "
                f"most {_MOST_PIXELS:,}; choose fewer pixels per inch, or a smaller size"
            )
        return asked
