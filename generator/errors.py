"""Every error that the generator raises on purpose.

    GeneratorError
    ├── UsageError            nothing was started: correct the call and try again (exit code 2)
    │   ├── SettingsError     a flag, an environment variable or a key of the configuration file
    │   ├── TemplateError     the prompt template; shows the place with a caret
    │   ├── ModelError        a model that cannot be loaded, is of no known family or cannot do what is asked
    │   ├── TokenError        a tracked word that has no position in the text encoder's sequence
    │   └── ResumeError       a batch that cannot be taken up again as asked
    └── RunError              generation began and something went wrong (exit code 1)
        ├── CaptureError      attention that was not captured as it should have been
        ├── PipelineError     the pipeline itself failed, for example for lack of memory
        ├── VideoError        a video that is not one, such as frames that are not numbers
        └── OutputError       a file or a folder that cannot be written

A message says what was found, what was expected and what to do about it.
"""


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception of any library says, or else its name."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


class GeneratorError(Exception):
    """Base of every error that the generator raises on purpose."""


class UsageError(GeneratorError):
    """What was asked for cannot be done; nothing was started."""


class SettingsError(UsageError):
    """A setting has an unknown name or a value that it cannot have."""


class TemplateError(UsageError):
    """A prompt template that cannot be read."""


class ModelError(UsageError):
    """A model that cannot be loaded, is of no known family or cannot do what is asked."""


class TokenError(UsageError):
    """A tracked word that has no position of its own in the text encoder's sequence."""


class ResumeError(UsageError):
    """A batch that cannot be taken up again as asked."""


class RunError(GeneratorError):
    """Something went wrong after generation began."""


class CaptureError(RunError):
    """Attention that was not captured as it should have been."""


class PipelineError(RunError):
    """A pipeline raised an exception of its own while it made a video."""


class VideoError(RunError):
    """A pipeline returned something that cannot be shown as a video."""


class OutputError(RunError):
    """A file or a folder that cannot be written."""
