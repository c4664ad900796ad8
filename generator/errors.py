"""All errors that the generator raises on purpose.

    GeneratorError
    ├── UsageError            nothing was started: correct the call and try again (exit code 2)
    │   ├── SettingsError     a flag, an environment variable or a key of the configuration file
    │   ├── TemplateError     the prompt template; the message shows the place with a caret
    │   ├── PromptsError      a file of prompts; the message names the line
    │   ├── ImageError        an image that a video is to be made from cannot be used
    │   ├── ModelError        a model that cannot be loaded, has an unknown family or cannot do what is asked
    │   ├── TokenError        a tracked word without a position in the text encoder's sequence
    │   ├── ResumeError       a batch that cannot be resumed as asked
    │   └── DocumentError     a JSON document of a batch that cannot be read
    └── RunError              generation started and something went wrong (exit code 1)
        ├── CaptureError      attention that was not captured correctly
        ├── PipelineError     the pipeline itself failed, for example for lack of memory
        ├── VideoError        invalid frames, such as frames with NaN
        └── OutputError       a file or a folder that cannot be written

Each message says what was found, what was expected and what to do about it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or the exception's class name if the message is empty."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to ``name``; None if none reaches ``cutoff`` (1: equal)."""
    return next(iter(get_close_matches(name, list(known), 1, cutoff)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest known name, or lists all known names if none is near."""
    near = nearest(name, known)
    return f"Did you mean `{near}`?" if near else f"Known: {', '.join(sorted(known))}"


class GeneratorError(Exception):
    """Base class of all errors that the generator raises on purpose."""


class UsageError(GeneratorError):
    """The request cannot be fulfilled; nothing was started."""


class SettingsError(UsageError):
    """A setting has an unknown name or an invalid value."""


class TemplateError(UsageError):
    """A prompt template cannot be parsed."""


class PromptsError(UsageError):
    """A file of prompts cannot be read, or one of its lines is wrong."""


class ImageError(UsageError):
    """An image that a video is to be made from cannot be used."""


class ModelError(UsageError):
    """A model cannot be loaded, has an unknown family or cannot do what is asked."""


class TokenError(UsageError):
    """A tracked word has no position of its own in the text encoder's sequence."""


class ResumeError(UsageError):
    """A batch cannot be resumed as asked."""


class DocumentError(UsageError):
    """A JSON document of a batch cannot be read, or is not what was expected."""


class RunError(GeneratorError):
    """Something went wrong after generation started."""


class CaptureError(RunError):
    """Attention was not captured correctly."""


class PipelineError(RunError):
    """The pipeline raised an exception while it made a video."""


class VideoError(RunError):
    """The pipeline returned frames that cannot be shown as a video."""


class OutputError(RunError):
    """A file or a folder cannot be written."""
