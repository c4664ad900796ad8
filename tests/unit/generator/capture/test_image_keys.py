import pytest
import torch

from generator.capture.attention import AttentionCall, row_log_sums
from generator.capture.image_keys import ImageKeys


def call(keys, seed, log_sum=None):
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    return AttentionCall(query, torch.randn(2, 3, keys, 8, generator=generator), log_sum=log_sum)


def scores(made):
    return made.query.double() @ made.key.double().mT * made.factor


@pytest.mark.parametrize("mask", [None, torch.zeros(1, 1, 5, 7), torch.rand(2, 1, 1, 7) > 0.3])
def test_the_log_sum_of_a_row_includes_the_mask(mask):
    made = call(7, 1)
    added = 0 if mask is None else mask if mask.dtype != torch.bool else torch.zeros(1).masked_fill(~mask, -torch.inf)
    found = row_log_sums(AttentionCall(made.query, made.key, mask))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), (scores(made) + added).logsumexp(-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_told", [True, False])
def test_the_mass_with_the_keys_of_the_image_is_that_of_one_softmax_over_both(is_told):
    text, image = call(7, 1), call(4, 2)
    if is_told:
        text, image = (AttentionCall(one.query, one.key, log_sum=row_log_sums(one)) for one in (text, image))
    keys = ImageKeys(lambda _: None)
    alone = scores(text).softmax(-1)[..., 2:4].sum(-1)[None].float()
    keys.note("layer", image)
    keys.add("layer", "cond", slice(0, 2), text, alone)
    keys.add("other", "cond", slice(0, 2), text, alone)  # it has no keys of an image
    both = torch.cat([scores(text), scores(image)], -1).softmax(-1)[..., 2:4].sum(-1)
    found = keys.summary("cond", ["kiss"])["kiss"]
    assert found["without"] == pytest.approx(float(alone.mean()), abs=1e-6)
    assert found["with"] == pytest.approx(float(both.mean()), abs=1e-6)
    assert keys.count == 4
    assert keys.summary("uncond", ["kiss"]) == {}


def test_only_the_samples_of_a_branch_count():
    text, image = call(7, 1), call(4, 2)
    keys = ImageKeys(lambda _: None)
    keys.note("layer", image)
    one = text.part(slice(1, 2), slice(None))
    found = scores(one).softmax(-1)[..., :1].sum(-1)[None].float()
    keys.add("layer", "cond", slice(1, 2), one, found)
    both = torch.cat([scores(text), scores(image)], -1).softmax(-1)[1, ..., 0]
    assert keys.summary("cond", ["kiss"])["kiss"]["with"] == pytest.approx(float(both.mean()), abs=1e-6)
