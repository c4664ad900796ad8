"""Colour scales of whole batches while these grow: what was measured of a video is measured once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.stamps import Stamp
from attnwatch.errors import AttnwatchError, ConfigError
from attnwatch.library.maps import open_maps
from attnwatch.render.maps import Scale, ends
from attnwatch.render.scales import widest
from attnwatch.settings import Visualization
from attnwatch.web.documents import ScaleDocument
from attnwatch.web.maps.asked import Asked, check_cost
from attnwatch.web.maps.kept import Kept

_MOST = 50_000  # videos, each with a word and a selection, of which the ends are kept: 20 MB


_Key: TypeAlias = tuple[str, str, tuple[Stamp | None, ...], "_Word"]


class BatchScales:
    """Measures the scale that the renderer's `normalization: batch` would use."""

    def __init__(self) -> None:
        self._known = Kept[_Key, Scale | None](_MOST)

    def scale(self, manifests: Iterable[Manifest], word: str, asked: Asked, clip: str | None = None) -> ScaleDocument:
        """Return the ends of a word's scale over some videos; 0 and 0 if none of them has it.

        Args:
            manifests: the videos; those without the word, or that cannot be read, do not count.
            word: slug of the word.
            asked: the step, layers and heads.
            clip: percentiles to use as ends of each video, such as `1,99`; None: minimum and maximum.

        Raises:
            ConfigError: there is too much to be read, or the percentiles are invalid.

        """
        measured = _Word(word, asked, _percentiles(clip))
        videos = {key: manifest for manifest in manifests if (key := _key(manifest, measured)) is not None}
        check_cost(sum(measured.bytes(manifest) for key, manifest in videos.items() if key not in self._known))
        found = [self._known.get(key, partial(measured.ends, manifest)) for key, manifest in videos.items()]
        scale = widest(scale for scale in found if scale is not None)
        return ScaleDocument(low=scale.low, high=scale.high)


@dataclass(frozen=True)
class _Word:
    """A word whose scale is measured."""

    slug: str
    asked: Asked
    clip: tuple[float, float] | None

    def bytes(self, manifest: Manifest) -> int:
        """Return how much has to be read of a video; 0 if it does not count."""
        try:
            with open_maps(manifest) as reader:
                return self.asked.bytes(reader.words[self.slug]) if self.slug in reader.words else 0
        except (AttnwatchError, OSError):
            return 0

    def ends(self, manifest: Manifest) -> Scale | None:
        """Return the ends of a video's scale; None if it does not count."""
        settings = Visualization(clip=self.clip, nonfinite="mask")
        try:
            with open_maps(manifest) as reader:
                return ends(reader.words[self.slug].frames(self.asked.part), settings)
        except (AttnwatchError, OSError, KeyError):
            return None


def _key(manifest: Manifest, word: _Word) -> _Key | None:
    """Return what changes whenever the ends may; None if the files cannot be looked at."""
    try:
        return str(manifest.path), manifest.sha256, tuple(manifest.stamps().values()), word
    except OSError:
        return None


def _percentiles(clip: str | None) -> tuple[float, float] | None:
    if not clip:
        return None
    try:
        low, high = map(float, clip.split(","))
        return Visualization(clip=(low, high)).clip
    except ValueError as error:
        raise ConfigError(f"clip: found {clip!r}; expected two ascending percentiles, such as 1,99") from error
