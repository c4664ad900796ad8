"""The size of the attention maps, the refusal of too many bytes, and the suggestions for keeping less."""

from dataclasses import replace

import pytest

from generator.capture.budget import VideoShape, as_kept, as_text, attention_bytes, check_attention
from generator.errors import ModelError, SettingsError
from generator.models.contract import LatentGrid
from generator.settings import AttentionSettings

WAN = VideoShape(words=1, steps=50, layers=30, heads=12, grid=LatentGrid(21, 30, 52, 4, causal_first_frame=True))
CELLS = 21 * 30 * 52
STEPS_ONLY = {"store_aggregated_attention": False}


def size(shape=WAN, **settings):
    return attention_bytes(AttentionSettings(**settings), shape)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, CELLS * (50 * 2 + 4)),
        (STEPS_ONLY, CELLS * 50 * 2),
        ({"store_attention": False}, CELLS * 4),
        ({**STEPS_ONLY, "storage_dtype": "float32"}, CELLS * 50 * 4),
        ({**STEPS_ONLY, "storage_interval": 3}, CELLS * 17 * 2),
        ({**STEPS_ONLY, "store_per_head": True}, CELLS * 50 * 2 * 12),
        ({**STEPS_ONLY, "store_per_block": True, "store_per_head": True}, CELLS * 50 * 2 * 12 * 30),
        ({**STEPS_ONLY, "store_per_block": True, "layers": (0, 29)}, CELLS * 50 * 2 * 2),
        ({**STEPS_ONLY, "layers": (0, 29)}, CELLS * 50 * 2),
        ({**STEPS_ONLY, "branch": "both"}, CELLS * 50 * 2 * 2),
        ({**STEPS_ONLY, "store_reserved": True}, CELLS * 50 * 2 * 3),
        ({**STEPS_ONLY, "spatial_downsample_factor": 4}, 21 * 8 * 13 * 50 * 2),
    ],
)
def test_the_computed_size_equals_that_of_the_tensors(settings, expected):
    assert size(**settings) == expected


def test_the_size_is_proportional_to_the_number_of_words():
    assert size(replace(WAN, words=3)) == 3 * size()


def check(shape=WAN, **settings):
    check_attention(AttentionSettings(**settings), shape)


def test_maps_within_the_limit_are_accepted():
    check(max_attention_bytes=size())


def test_too_many_bytes_are_refused_with_changes_that_would_fit():
    with pytest.raises(SettingsError) as refused:
        check(store_per_head=True, store_per_block=True, max_attention_bytes="100 MB")
    message = str(refused.value)
    assert "would take 1.1 GiB, more than max_attention_bytes (95.4 MiB)" in message
    offers = [line.strip() for line in message.splitlines()[1:]]
    assert offers == [
        "storage_interval: 13 (90.1 MiB)",
        "spatial_downsample_factor: 4 (75 MiB)",
        "store_per_head: false (93.9 MiB)",
        "store_per_block: false (37.6 MiB)",
        "store_per_head: false, store_per_block: false (3.2 MiB)",
        "store_attention: false (128 KiB)",
    ]


def test_every_suggested_change_fits():
    settings = {"store_per_head": True, "storage_dtype": "float32", "max_attention_bytes": "5MB"}
    with pytest.raises(SettingsError) as refused:
        check(**settings)
    assert "storage_dtype: float16" not in str(refused.value)
    assert "store_per_head: false (6" not in str(refused.value)
    assert "store_attention: false (128 KiB)" in str(refused.value)


def test_several_changes_are_suggested_where_none_is_enough_alone():
    with pytest.raises(SettingsError) as refused:
        check(store_per_head=True, store_per_block=True, max_attention_bytes="3 kB")
    said, *offers = str(refused.value).splitlines()
    assert said.endswith("Raise the limit, or make several changes, because none is enough alone; the most are:")
    changes = "store_per_block: false, store_per_head: false, spatial_downsample_factor: 8, store_attention: false"
    assert offers == [f"  {changes} (2.3 KiB)"]


def test_fewer_words_are_suggested_where_nothing_less_can_be_kept():
    with pytest.raises(SettingsError, match=r"Raise the limit, or track fewer words: .* of 9 takes 20\.7 KiB$"):
        check(replace(WAN, words=9), max_attention_bytes="3 kB")


@pytest.mark.parametrize("limit", ["1 kB", "100 kB", "1 MB"])
def test_keeping_nothing_is_never_suggested(limit):
    with pytest.raises(SettingsError) as refused:
        check(**STEPS_ONLY, max_attention_bytes=limit)
    assert "store_attention: false" not in str(refused.value)


def test_no_change_is_suggested_twice():
    with pytest.raises(SettingsError) as refused:
        check(store_per_head=True, max_attention_bytes="10 MB")
    offers = str(refused.value).splitlines()[1:]
    assert [offer.count("store_per_head: false") for offer in offers].count(1) == 1
    assert not any("store_per_block" in offer for offer in offers)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {"layers": (0, 30, 31)},
            "found 30, 31; the model has 30 text attention layers. .* numbers from 0 to 29",
        ),
        ({"branch": "both", "shape": replace(WAN, is_guided=False)}, "branch: found 'both', but the unconditional"),
    ],
)
def test_layers_and_branches_that_the_model_lacks_are_refused(settings, complaint):
    with pytest.raises(ModelError, match=complaint):
        check(**settings)


def test_the_shape_is_read_from_a_real_model(model, sampling, words):
    two = words("a (kiss) and a (dog)")
    assert not VideoShape.of(model, replace(sampling, guidance_scale=1.0), two).is_guided
    shape = VideoShape.of(model, sampling, two)
    assert shape == VideoShape(words=2, steps=2, layers=4, heads=4, grid=model.grid(sampling))
    negative = VideoShape.of(model, sampling, [*two, replace(two[0], negative=True)])
    assert negative == replace(shape, negative_words=1)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1000, "1000 B"), (2**10, "1 KiB"), (3_276_000, "3.1 MiB"), (2 * 2**30, "2 GiB"), (10**13, "9.1 TiB")],
)
def test_sizes_are_formatted_for_people(count, text):
    assert as_text(count) == text


def test_the_kept_parts_are_summarised():
    assert as_kept(AttentionSettings(), WAN) == "1 word, 50 steps, the mean of layers, the mean of heads"
    settings = AttentionSettings(store_attention=False, store_per_block=True, layers=(1, 2))
    assert as_kept(settings, replace(WAN, words=2)) == "2 words, their mean over all steps, 2 layers, the mean of heads"
