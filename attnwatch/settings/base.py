"""What the settings of both kinds have in common."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class Concern(Enum):
    """What a setting of a batch is about, beside pictures; part of its annotation."""

    OPERATION = "what is done when; not in fingerprints, because pictures are the same"
    RESOURCES = "what a rendering may use: like `OPERATION`, and a batch can lower it, but not raise it"
    SHEETS = "pictures of a whole batch; not in fingerprints of its videos"


@dataclass(frozen=True)
class Accepts:
    """What a setting accepts, in words, where its type does not say so; part of its annotation."""

    text: str


class Settings(BaseModel):
    """Base of the settings: they cannot be changed, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_boolean(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any value
        """Refuse true and false where another type is expected; Python would accept them as 1 and 0."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise PydanticCustomError("boolean", "a value other than true or false")
        return value
