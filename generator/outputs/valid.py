"""Refuses what `attnwatch check` would refuse, before anything is written."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generator.errors import VideoError
from generator.settings.values import MAX_ID_BYTES, file_name

MAX_FPS = 1000
"""Highest frame rate that FORMAT.md allows."""

_Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Generation(BaseModel):
    """The fields of ``generation`` with a fixed meaning (FORMAT.md)."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, protected_namespaces=())

    prompt: str | None = None
    negative_prompt: str | None = None
    template: str | None = None
    prompt_id: str | None = None
    variation: _Count | None = None
    choices: list[str] | None = None
    seed: int | None = None
    model: str | None = None
    model_revision: str | None = None
    width: _Count | None = None
    height: _Count | None = None
    frames: _Count | None = None
    fps: Annotated[float, Field(gt=0, le=MAX_FPS)] | None = None
    steps: _Count | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    versions: dict[str, str] | None = None
    capture: dict[str, Any] | None = None
    image: Any = None
    """As FORMAT.md says, or what other writers mean by it; so is the next one."""
    last_image: Any = None


def check_call(
    fps: float,
    video_id: str | None,
    generation: Mapping[str, object] | None,
    visualization: Mapping[str, object] | None,
) -> None:
    """Check the arguments of `write_video` that go into the manifest.

    Raises:
        VideoError: for a value that the watcher would refuse, or that JSON cannot hold.

    """
    if not 0 < fps <= MAX_FPS:
        raise VideoError(f"fps: found {fps}; expected frames per second above 0 and at most {MAX_FPS}")
    try:
        if video_id is not None:
            file_name(video_id, most_bytes=MAX_ID_BYTES)
    except ValueError as error:
        raise VideoError(f"video_id: found {video_id!r}; {error}") from error
    for name, fields in (("generation", generation), ("visualization", visualization)):
        _refuse_unwritable(name, fields or {})
    try:
        Generation.model_validate(generation or {})
    except ValidationError as error:
        details = error.errors()[0]
        place = ".".join(map(str, ("generation", *details["loc"])))
        problem = details["msg"].replace("Input should be", "expected")
        raise VideoError(f"{place}: found {details['input']!r:.80}; {problem} (FORMAT.md)") from None


def _refuse_unwritable(name: str, fields: Mapping[str, object]) -> None:
    for key, value in fields.items():
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise VideoError(
                f"{name}.{key}: found {value!r:.80}, which JSON cannot hold ({error}); expected text, finite numbers, "
                "true, false, null, lists or objects of Python's own types"
            ) from None
