"""The kept text attention layers, and the check that a step calls every layer exactly once."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from generator.capture.layers import TextLayers
from generator.capture.maps import Keep
from generator.errors import CaptureError


@dataclass
class Model:
    """Two denoising networks; ``counts`` are their numbers of layers."""

    counts: tuple[int, int] = (3, 3)
    is_cached: bool = False
    names: tuple[str, str] = ("high", "low")

    def text_attention(self):
        return [
            SimpleNamespace(denoiser=name, name=f"{name}.{number}")
            for name, count in zip(self.names, self.counts, strict=True)
            for number in range(count)
        ]

    def denoisers(self):
        return dict.fromkeys(self.names, SimpleNamespace(is_cache_enabled=self.is_cached))


def calls(*counts):
    return {f"low.{number}": count for number, count in enumerate(counts)}


def test_kept_layers_have_places_in_the_order_of_the_settings():
    layers = TextLayers(Model(), Keep(layers=(2, 0)))
    assert (layers.count, layers.kept) == (3, (2, 0))
    assert [layers.place("low", f"low.{number}") for number in range(3)] == [1, None, 0]


def test_all_layers_are_kept_by_default():
    assert TextLayers(Model(), Keep()).kept == (0, 1, 2)


def test_networks_with_different_numbers_of_layers_are_refused():
    with pytest.raises(CaptureError, match="found high 3, low 2; expected the same number in each network"):
        TextLayers(Model((3, 2)), Keep())


@pytest.mark.parametrize("is_cached", [False, True])
def test_a_step_in_which_every_layer_was_called_once_has_no_skipped_layers(is_cached):
    assert TextLayers(Model(is_cached=is_cached), Keep()).skipped("low", 0, calls(1.0, 1.0, 1.0)) == []


@pytest.mark.parametrize("counts", [(1.0, 0.5), (1.0, 0.5, 0.0)])
def test_a_cache_may_skip_layers_or_samples(counts):
    assert TextLayers(Model(is_cached=True), Keep()).skipped("low", 0, calls(*counts)) == ["low.1", "low.2"]


@pytest.mark.parametrize(("counts", "is_cached"), [((1.0, 0.0, 1.0), False), ((1.0, 2.0, 0.0), True)])
def test_layers_skipped_without_a_cache_or_called_twice_are_an_error(counts, is_cached):
    layers = TextLayers(Model(is_cached=is_cached), Keep())
    with pytest.raises(
        CaptureError, match=rf"denoising step 7: .* in each of the 3 layers of low.* low\.1 \({counts[1]:g} times"
    ):
        layers.skipped("low", 7, calls(*counts))
