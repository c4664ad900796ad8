"""Kinds of outputs: names, settings and requirements of attention videos."""

from enum import StrEnum
from typing import Literal, Self

from attnwatch.settings import Visualization


class OutputKind(StrEnum):
    """A kind of output. Its value is `kind` in receipts and the last part of the file's stem.

    Attributes:
        setting: the switch in `Visualization` that asks for it.
        per_frame: whether it has one picture per video frame.
        source: whether the source video is not shown, shown if it is there, or needed.

    """

    setting: str
    per_frame: bool
    source: Literal["unused", "used", "needed"]

    def __new__(cls, name: str, setting: str, per_frame: bool, source: Literal["unused", "used", "needed"]) -> Self:
        """Build a member from one of the rows below."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.setting, kind.per_frame, kind.source = setting, per_frame, source
        return kind

    OVERLAY = "overlay", "generate_overlay", True, "needed"
    ATTENTION = "attention", "generate_attention_only", True, "unused"
    STATIC = "static", "generate_aggregated", False, "unused"
    EVOLUTION = "evolution", "generate_step_evolution", False, "used"
    COMBINED = "combined", "generate_combined", True, "used"

    @property
    def needs_source(self) -> bool:
        """Whether it is skipped if the source video is absent."""
        return self.source == "needed"

    @property
    def shows_source(self) -> bool:
        """Whether it shows the source video if that is there."""
        return self.source != "unused"

    @property
    def per_word(self) -> bool:
        """Whether each word has one, and not the whole video."""
        return self is not OutputKind.COMBINED

    def is_requested(self, settings: Visualization) -> bool:
        """Whether the settings ask for outputs of this kind."""
        return bool(getattr(settings, self.setting))

    def file_name(self, video_id: str, slug: str) -> str:
        """Return the name of the output of this kind for a video, and for one of its words if each has one."""
        return f"{video_id}_{slug}_{self}.mp4" if self.per_word else f"{video_id}_{self}.mp4"


def only(kind: OutputKind, settings: Visualization) -> Visualization:
    """Return the settings, changed to ask only for one kind of output."""
    return settings.model_copy(update={other.setting: other is kind for other in OutputKind})
