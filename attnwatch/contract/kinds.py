"""Kinds of outputs: names, settings and requirements of the attention videos of a word."""

from enum import StrEnum
from typing import Self

from attnwatch.settings import Visualization


class OutputKind(StrEnum):
    """A kind of output. Its value is `kind` in receipts and the last part of the file's stem.

    Attributes:
        setting: the switch in `Visualization` that asks for it.
        per_frame: whether it has one picture per video frame.
        needs_source: whether it is skipped if the source video is absent.

    """

    setting: str
    per_frame: bool
    needs_source: bool

    def __new__(cls, name: str, setting: str, per_frame: bool, needs_source: bool) -> Self:
        """Build a member from one of the rows below."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.setting, kind.per_frame, kind.needs_source = setting, per_frame, needs_source
        return kind

    OVERLAY = "overlay", "generate_overlay", True, True
    ATTENTION = "attention", "generate_attention_only", True, False
    STATIC = "static", "generate_aggregated", False, False
    EVOLUTION = "evolution", "generate_step_evolution", False, False

    def is_requested(self, settings: Visualization) -> bool:
        """Whether the settings ask for outputs of this kind."""
        return bool(getattr(settings, self.setting))

    def file_name(self, video_id: str, slug: str) -> str:
        """Return the name of the output of this kind for one word of a video."""
        return f"{video_id}_{slug}_{self}.mp4"


def only(kind: OutputKind, settings: Visualization) -> Visualization:
    """Return the settings, changed to ask only for one kind of output."""
    return settings.model_copy(update={other.setting: other is kind for other in OutputKind})
