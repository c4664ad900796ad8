"""From one call of text attention to the probabilities of the tracked words: which rows, which keys, which samples."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from generator.capture.attention import AttentionCall, Columns, word_probabilities
from generator.capture.maps import Keep
from generator.capture.self_check import SelfCheck
from generator.errors import CaptureError
from generator.models.contract import LatentGrid, TextPlace, VideoModel
from generator.prompts.tokens import TrackedWord

PADDING, END = "__padding__", "__eos__"


class TrackedColumns:
    """Knows where the tracked words of a video are among a model's keys, and where the video is among its rows.

    ``names`` are the tensors of FORMAT.md in the order of the first axis of all maps: the words' slugs, then the
    reserved ones.
    """

    def __init__(
        self,
        model: VideoModel,
        words: Sequence[TrackedWord],
        grid: LatentGrid,
        keep: Keep,
        prompts: Mapping[str, str],
    ) -> None:
        self.names = tuple(word.slug for word in words) + ((PADDING, END) if keep.reserved else ())
        self.samples = grid.frames if model.frame_by_frame else 1
        """Samples of attention that make one video."""
        self.check = SelfCheck() if keep.self_check else None
        self._model = model
        self._grid = grid
        self._positions = {branch: _positions(model, words, keep, prompts.get(branch)) for branch in keep.branches}
        self._columns: dict[tuple[str, int, int], Columns] = {}

    def is_of_image(self, call: AttentionCall) -> bool:
        """Tell whether keys are those of an image: image-to-video models have them apart from the text."""
        return self._model.text_place is TextPlace.APART and call.key.shape[2] != self._model.text_keys

    def probabilities(self, call: AttentionCall, samples: slice, branch: str, layer: str) -> Tensor:
        """Compute ``[name, sample, head, row]`` of one video in one branch; samples are its frames, or there is one.

        Raises:
            CaptureError: if the video is not the one that was announced.

        """
        part = self._rows_of_video(call, samples, layer)
        columns = self._columns_of(branch, part)
        found = word_probabilities(part, columns)
        if self.check is not None:
            self.check.compare(part, columns, found)
        if PADDING in self.names and self._model.text_place is TextPlace.APART:
            padding = self.names.index(PADDING)
            found[padding] = (1.0 - found[padding]).clamp_(min=0.0)
        return found

    def _rows_of_video(self, call: AttentionCall, samples: slice, layer: str) -> AttentionCall:
        rows = {
            TextPlace.APART: slice(None),
            TextPlace.FIRST: slice(self._model.text_keys, None),
            TextPlace.LAST: slice(0, self._grid.size),
        }[self._model.text_place]
        part = call.part(samples, rows)
        found, tokens = len(part.query), part.query.shape[2]
        if found != self.samples or (not self._model.frame_by_frame and tokens != self._grid.size):
            raise CaptureError(
                f"{layer}: found {found} samples x {tokens} latent tokens; expected {self.samples} x "
                f"{self._grid.size // self.samples}. Make one video at a time, of the size that capture was told"
            )
        return part

    def _columns_of(self, branch: str, part: AttentionCall) -> Columns:
        """Find the keys of all names; a position that the keys end before has no mass."""
        rows, keys = part.query.shape[2], part.key.shape[2]
        wanted = (branch, rows, keys)
        if wanted not in self._columns:
            first = rows if self._model.text_place is TextPlace.LAST else 0
            positions = [[first + at for at in name if first + at < keys] for name in self._positions[branch]]
            self._columns[wanted] = Columns.of(positions, part.query.device)
        return self._columns[wanted]


def _positions(
    model: VideoModel, words: Sequence[TrackedWord], keep: Keep, prompt: str | None
) -> tuple[tuple[int, ...], ...]:
    """List the text positions of all names, in their order.

    Where the keys are text only, the mass of the padding is what the other tokens leave of 1: these are listed in
    its place. They are fewer, and the sum of hundreds of equal numbers would be less exact.
    """
    positions = tuple(word.positions for word in words)
    if not keep.reserved:
        return positions
    if prompt is None:
        raise CaptureError("the mass of the padding is to be kept, which needs the prompt of each branch; found none")
    sequence = model.tokenise(model.clean(prompt))
    apart = model.text_place is TextPlace.APART
    return (*positions, tuple(range(sequence.length)) if apart else sequence.padding, sequence.end)
