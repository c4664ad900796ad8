"""Records several videos that one call of a pipeline makes at once, each by a recorder of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from generator.capture.attention import AttentionCall
from generator.capture.heard import Heard
from generator.capture.maps import Keep
from generator.capture.recorder import Recorder
from generator.capture.taps import NetworkCall, tapped
from generator.models.contract import LatentGrid, VideoModel
from generator.prompts.tokens import TrackedWord


@dataclass(frozen=True)
class Wanted:
    """The tracked words of one video, and the prompt of each branch."""

    words: Sequence[TrackedWord]
    prompts: Mapping[str, str]


class _Several:
    """Passes what a model does to the recorder of each video."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = recorders

    @property
    def is_listening(self) -> bool:
        """Whether any recorder is."""
        return any(recorder.is_listening for recorder in self._recorders)

    def fail(self, error: Exception) -> None:
        """Let each recorder fail."""
        for recorder in self._recorders:
            recorder.fail(error)

    def begin(self, call: NetworkCall) -> None:
        """Tell each recorder which video of the call is its own."""
        for number, recorder in enumerate(self._recorders):
            if recorder.is_listening:
                recorder.begin(replace(call, video=number, videos=len(self._recorders)))

    def end(self) -> None:
        """Let each recorder keep its maps."""
        for recorder in self._recorders:
            recorder.end()

    def see(self, layer: str, call: AttentionCall) -> None:
        """Let each recorder take its own samples."""
        for recorder in self._recorders:
            if recorder.is_listening:
                recorder.see(layer, call)


@contextmanager
def capture_together(
    model: VideoModel, videos: Sequence[Wanted], grid: LatentGrid, keep: Keep, heard: Heard
) -> Iterator[list[Recorder]]:
    """Record the attention in all videos of the one call that is made inside the context.

    Args:
        model: the model that generates the videos
        videos: what is tracked in each, in the order in which the pipeline returns them
        grid: the latent grid of each
        keep: what to keep of each
        heard: what the text encoder is given

    Raises:
        CaptureError: as `generator.capture.recorder.capture`.

    """
    recorders = [
        Recorder(model, video.words, grid, keep, prompts=video.prompts, on_maps=None, heard=heard) for video in videos
    ]
    with tapped(model, _Several(recorders)):
        yield recorders
    for recorder in recorders:
        recorder.conclude()
