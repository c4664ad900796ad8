"""How much attention words would keep if text and image shared one softmax.

Some models attend to the image that a video begins with in a call of its own, with keys of its own, in the modules that
attend to the text. These keys never count as text: a map is that of the softmax over the text alone. What a word would
have in one softmax over the keys of both follows from the log-sum-exp L of either: P / (1 + exp(L_image - L_text)).
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from generator.capture.attention import AttentionCall, row_log_sums

LogSums = Callable[[AttentionCall], Tensor | None]
"""Returns the log-sum-exp of a call's rows, ``[sample, head, row]``, if some kernel tells it."""


class ImageKeys:
    """Mean mass of each word without and with the keys of the image, over all rows, heads, layers and steps."""

    def __init__(self, log_sums: LogSums) -> None:
        self.count = 0
        """Number of keys of the image; 0 if the model has none of its own."""
        self._log_sums = log_sums
        self._noted: tuple[str, AttentionCall] | None = None
        self._totals: dict[str, Tensor] = {}
        self._layers: dict[str, int] = {}

    def note(self, layer: str, call: AttentionCall) -> None:
        """Note a layer's call on the keys of the image, which comes just before that on the text."""
        self.count, self._noted = call.key.shape[2], (layer, call)

    def add(self, layer: str, branch: str, samples: slice, text: AttentionCall, found: Tensor) -> None:
        """Add the words' probabilities in the call on the text.

        Args:
            layer: name of the layer
            branch: guidance branch of the samples
            samples: which samples of the call ``text`` contains
            text: the call on the text
            found: the probabilities, ``[name, sample, head, row]``

        """
        if self._noted is None or self._noted[0] != layer:
            return
        image = self._noted[1].part(samples, slice(None))
        share = (self._of(text) - self._of(image)).sigmoid_()
        means = (found.mean((1, 2, 3)), (found * share).mean((1, 2, 3)))
        total = found.new_zeros((2, len(found))) if branch not in self._totals else self._totals[branch]
        for place, mean in enumerate(means):
            total[place] += mean.to(total.device)
        self._totals[branch] = total
        self._layers[branch] = self._layers.get(branch, 0) + 1

    def summary(self, branch: str, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the mean mass of each name in a branch, ``without`` and ``with`` the keys of the image."""
        if branch not in self._totals:
            return {}
        without, together = (self._totals[branch] / self._layers[branch]).tolist()
        return {
            name: {"without": alone, "with": both} for name, alone, both in zip(names, without, together, strict=True)
        }

    def _of(self, call: AttentionCall) -> Tensor:
        found = call.log_sum if call.log_sum is not None else self._log_sums(call)
        return row_log_sums(call) if found is None else found
