"""The embedded model, loaded once: everything here runs the real pipeline."""

import logging
from dataclasses import replace

import pytest

SMALL = {"width": 64, "height": 48, "frames": 5, "steps": 2}


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder of its own, so that no test depends on what the user's holds."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def model(cache):
    import torch

    from generator import models
    from generator.settings import ModelSettings

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        return models.load(ModelSettings(device="cpu"))


@pytest.fixture
def sampling(model):
    return replace(model.recommended, **SMALL)


@pytest.fixture
def words(model):
    """Find the tracked words of a template's first prompt."""
    from generator.prompts import Template
    from generator.tokens import locate

    return lambda template: locate(Template(template).variation(1), model.clean, model.tokenise)


@pytest.fixture(autouse=True)
def _logging_as_before():
    """What the command line does to logging ends with the test."""
    root, own = logging.getLogger(), logging.getLogger("generator")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = before
