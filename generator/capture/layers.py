"""The text attention layers of each denoising network: which are kept, and whether each was called exactly once."""

from collections import Counter
from collections.abc import Mapping

from generator.capture.maps import Keep
from generator.errors import CaptureError
from generator.models.contract import VideoModel


class TextLayers:
    """The text attention layers of a model, the same number in each denoising network.

    ``kept`` lists the kept layers by number, in the order of the layer axis of all maps.
    """

    def __init__(self, model: VideoModel, keep: Keep) -> None:
        self._model = model
        self.count = layer_count(model)
        self._names = _names_by_denoiser(model)
        self.kept = _kept(keep, self.count)

    def place(self, denoiser: str, layer: str) -> int | None:
        """Return the place of a layer among the kept ones; None if it is not kept."""
        number = self._names[denoiser].index(layer)
        return self.kept.index(number) if number in self.kept else None

    def skipped(self, denoiser: str, step: int, calls: Mapping[str, float]) -> list[str]:
        """Return the layers that a cache skipped in a step; none if every layer was called exactly once.

        Args:
            denoiser: name of the denoising network
            step: number of the denoising step
            calls: number of calls of each layer, as a fraction if only some samples were computed

        Raises:
            CaptureError: if a layer was called more than once, or was skipped although no cache is on.

        """
        layers = self._names[denoiser]
        wrong = [layer for layer in layers if calls.get(layer, 0.0) != 1.0]
        is_cached = getattr(self._model.denoisers()[denoiser], "is_cache_enabled", False)
        if not wrong or (is_cached and all(calls.get(layer, 0.0) < 1.0 for layer in wrong)):
            return wrong
        counts = ", ".join(f"{layer} ({calls.get(layer, 0.0):g} times)" for layer in wrong)
        raise CaptureError(
            f"denoising step {step}: expected one call of text attention in each of the {len(layers)} layers of "
            f"{denoiser}, found otherwise: {counts}. Something skips layers or replaced their attention processors; "
            "switch it off, or generate without capture (store_attention: false and store_aggregated_attention: false)"
        )


def layer_count(model: VideoModel) -> int:
    """Return the number of text attention layers of each denoising network.

    Raises:
        CaptureError: if the numbers differ, or there are none.

    """
    counts = Counter(layer.denoiser for layer in model.text_attention())
    if len(set(counts.values())) != 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none at all"
        raise CaptureError(f"layers of text attention: found {found}; expected the same number in each network")
    return next(iter(counts.values()))


def _names_by_denoiser(model: VideoModel) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for layer in model.text_attention():
        names.setdefault(layer.denoiser, []).append(layer.name)
    return names


def _kept(keep: Keep, count: int) -> tuple[int, ...]:
    kept = tuple(range(count)) if keep.layers is None else keep.layers
    wrong = [layer for layer in kept if not 0 <= layer < count]
    if wrong or not kept:
        raise CaptureError(
            f"layers to keep: found {', '.join(map(str, wrong)) or 'none'}; expected numbers from 0 to {count - 1}, "
            f"since the model has {count} text attention layers"
        )
    return kept
