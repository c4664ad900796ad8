"""Watch a folder of generated videos and render where the model attended for each tracked word.

As a library:

    batch = attnwatch.open("outputs/demo_20260102_030405")
    video = batch["prompt_001_vid001"]
    video.attention("kiss", step=-1)  # numpy float32 [frame, y, x]
    video.overlay("kiss")  # a notebook shows it
    video.figure("kiss", at=1.5).save("kiss.pdf")  # for a paper
"""

TYPE_CHECKING = False  # importing nothing, so that the program soon handles interrupts; see `attnwatch.__main__`

if TYPE_CHECKING:
    from attnwatch.errors import AttnwatchError
    from attnwatch.library import (
        Batch,
        BatchComparison,
        Clip,
        Video,
        compose,
        open,  # noqa: A004 - read as `attnwatch.open`
        render_video,
    )
else:

    def __getattr__(name):  # noqa: ANN001, ANN202 - type checkers read the imports above
        """Import the library on first use: the watcher itself needs neither numpy nor av."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module("attnwatch.errors" if name == "AttnwatchError" else "attnwatch.library"), name)


__all__ = ["AttnwatchError", "Batch", "BatchComparison", "Clip", "Video", "compose", "open", "render_video"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
