"""A tiny pipeline with random weights, loaded once, replaces the embedded model in all tests of this folder."""

import sys
from dataclasses import replace

import pytest

SMALL = {"width": 64, "height": 48, "frames": 5, "steps": 2}


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """Folder of a pipeline whose tokenizer takes any text."""
    from tests.random_wan import build

    folder = tmp_path_factory.mktemp("random-weights")
    build().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(random_weights):
    import torch

    from generator.models import load as models
    from generator.models import tiny
    from generator.settings import ModelSettings

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "FOLDER", random_weights)
        return models.load(ModelSettings(device="cpu"))


@pytest.fixture
def sampling(model):
    return replace(model.recommended, **SMALL)


@pytest.fixture
def words(model):
    """Return a function that locates the tracked words of a template's first prompt."""
    from generator.prompts.template import Template
    from generator.prompts.tokens import locate

    return lambda template: locate(Template(template).variation(1), model.clean, model.tokenise)


@pytest.fixture(autouse=True)
def _attention_backend_as_before():
    """Undo `set_attention_backend`, which also chooses the backend of all other networks of the process."""
    attention_dispatch = sys.modules.get("diffusers.models.attention_dispatch")
    if attention_dispatch is None:
        yield
        return
    registry = attention_dispatch._AttentionBackendRegistry
    before = registry.get_active_backend()[0]
    yield
    registry.set_active_backend(before)
