"""Loads diffusers pipelines: the embedded model, a local folder, or a model of the Hugging Face hub."""

import logging
import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import diffusers
import huggingface_hub
import torch
import transformers
from huggingface_hub import constants

from generator.errors import ModelError, first_line
from generator.models import tiny
from generator.models.additions import add_weights
from generator.models.choosing import Choice, choose
from generator.models.contract import VideoModel
from generator.models.device import device_of
from generator.models.inputs import Config, Given
from generator.models.memory import arrange
from generator.models.outline import outline
from generator.models.registry import FAMILIES, unknown
from generator.settings import ModelSettings

log = logging.getLogger(__name__)

PROMPTS_ALONE = Given()
PATIENCE = 2.0
"""Seconds to wait for the hub's answer before only downloaded models are used."""


def load(settings: ModelSettings, given: Given = PROMPTS_ALONE) -> VideoModel:
    """Load a pipeline: ``tiny``, a folder in diffusers format, or a model of the Hugging Face hub.

    Args:
        settings: the model
        given: what its videos are made from besides prompts

    Raises:
        ModelError: if the model or the device does not exist, the model's family is not supported, or it makes videos
            from something else than is given.

    """
    device = device_of(settings)
    dtype = _dtype(settings.dtype, device)
    _quieten()
    source = str(tiny.FOLDER) if settings.id == tiny.NAME else settings.id
    local = _is_local(source)
    chosen = _choice(settings, source, given, local=local)
    family = chosen.family
    try:
        # Half precision in the VAE is visible, but some pipelines pass it latents in the type of the other networks.
        vae = torch.float32 if family.float32_vae else dtype
        dtypes = {"default": dtype, "vae": vae, "image_encoder": torch.float32}
        pipe = getattr(diffusers, chosen.name).from_pretrained(
            source, revision=settings.revision, dtype=dtypes, local_files_only=local
        )
        add_weights(pipe, settings, _is_local)
        arrange(pipe, settings, device)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ModelError(f"model {settings.id} cannot be loaded: {first_line(error)}") from error
    pipe.set_progress_bar_config(disable=True)
    recommended = None
    if settings.id == tiny.NAME:
        recommended = tiny.SAMPLING
        _compute_in_one_thread(device)
    return family(pipe, settings.id, _revision(settings, source), recommended)


def _compute_in_one_thread(device: torch.device) -> None:
    """On a CPU, compute in one thread, unless the environment asks for some number of them.

    The tensors of the embedded model are so small that a second thread saves no time. Where other programs use the
    cores, each of its thousands of operations would wait for the slowest thread: a video then takes many times as long.
    """
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def load_outline(settings: ModelSettings, given: Given = PROMPTS_ALONE) -> VideoModel | None:
    """Load the pipeline in a folder without its weights: enough to check what is asked of it.

    None if it cannot be had without them, which does not mean that the whole model cannot be loaded.

    Raises:
        ModelError: if it is no pipeline of a supported family, or makes videos from something else than is given.

    """
    _quieten()
    chosen = _choice(settings, settings.id, given, local=True)
    try:
        pipe = outline(settings.id, chosen.name)
    except (OSError, ValueError, TypeError, AttributeError, ImportError, RuntimeError) as error:
        log.info("model %s: its weights are needed to check more (%s)", settings.id, first_line(error))
        return None
    return chosen.family(pipe, settings.id)


def adapt(pipe: diffusers.DiffusionPipeline) -> VideoModel:
    """Adapt a pipeline that the caller has loaded.

    Raises:
        ModelError: if its family is not supported.

    """
    for kind in type(pipe).__mro__:
        if kind.__name__ in FAMILIES:
            return FAMILIES[kind.__name__](pipe, str(pipe.name_or_path or kind.__name__))
    raise unknown(type(pipe).__name__, type(pipe).__name__)


def _is_local(source: str) -> bool:
    """Whether to use only what is on this machine: a folder, or the hub's cache if the hub cannot be reached.

    The hub's own client would retry for half a minute before it says so.
    """
    if Path(source).is_dir() or constants.HF_HUB_OFFLINE:
        return True
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=PATIENCE).close()  # noqa: S310 - https, or as set
    except HTTPError:  # it answered
        return False
    except OSError as error:
        log.warning("%s cannot be reached (%s): using only downloaded models", constants.ENDPOINT, first_line(error))
        return True
    return False


def _choice(settings: ModelSettings, source: str, given: Given, *, local: bool) -> Choice:
    """Choose class and adapter by the model's index and what is given, before loading anything large."""
    options = {"revision": settings.revision, "local_files_only": local}
    try:
        index = diffusers.DiffusionPipeline.load_config(source, **options)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {settings.id}: found no pipeline there ({first_line(error)}). Expected `{tiny.NAME}`, a folder "
            "with a model_index.json, or the name of a model on the Hugging Face hub and a network connection"
        ) from error

    def read(component: str) -> Config:
        library, kind = index.get(component) or (None, None)
        if library != "diffusers" or kind is None:
            return {}
        try:
            config: Config = getattr(diffusers, kind).load_config(source, subfolder=component, **options)
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(f"model {settings.id}: {component} cannot be read: {first_line(error)}") from error
        return config

    return choose(settings.id, index, given, read)


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _revision(settings: ModelSettings, source: str) -> str | None:
    """Return the loaded version: the hub's commit, or the digest of the embedded model's weights."""
    if settings.id == tiny.NAME:
        return tiny.revision()
    if Path(source).is_dir():
        return settings.revision
    index = huggingface_hub.try_to_load_from_cache(source, "model_index.json", revision=settings.revision)
    return Path(index).parent.name if isinstance(index, str) else settings.revision


def _quieten() -> None:
    """Silence the libraries' progress bars and messages: the batch shows its own progress."""
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
