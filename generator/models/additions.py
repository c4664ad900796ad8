"""Adds LoRAs and textual inversions to a loaded pipeline."""

import warnings
from collections.abc import Callable
from typing import Any

import diffusers
from diffusers.loaders import TextualInversionLoaderMixin
from diffusers.utils import constants

from generator.errors import ModelError, first_line
from generator.models.sources import Addition
from generator.settings import ModelSettings

LOCAL_ADVICE = "Expected weights that were trained for this model"
HUB_ADVICE = "Check the name and the network, and name the file: USER/NAME/FILE"
_FAILURES = (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError)
"""What diffusers raises for files that it does not understand, or that do not fit."""


def add_weights(pipe: diffusers.DiffusionPipeline, settings: ModelSettings, is_offline: Callable[[str], bool]) -> None:
    """Load the LoRAs and textual inversions of the settings into a pipeline.

    Args:
        pipe: the pipeline
        settings: the settings
        is_offline: whether the hub cannot be asked for a repository

    Raises:
        ModelError: if one cannot be loaded, or does not fit the model.

    """
    if settings.embeddings and not isinstance(pipe, TextualInversionLoaderMixin):
        raise ModelError(
            f"embeddings: {type(pipe).__name__} takes no textual inversions; AnimateDiff does. Omit --embeddings"
        )
    for text in settings.embeddings:
        addition = Addition.embedding(text)
        _load(settings, "embeddings", addition, pipe.load_textual_inversion, is_offline, token=addition.token)
    if settings.lora:
        _refuse_without_peft()
        _add_loras(pipe, settings, is_offline)


def _add_loras(pipe: diffusers.DiffusionPipeline, settings: ModelSettings, is_offline: Callable[[str], bool]) -> None:
    if not hasattr(pipe, "load_lora_weights"):
        raise ModelError(f"lora: {type(pipe).__name__} takes no LoRA. Omit --lora")
    loras = [Addition.lora(text) for text in settings.lora]
    names = [f"lora_{number}" for number in range(1, len(loras) + 1)]
    for name, lora in zip(names, loras, strict=True):
        _load(settings, "lora", lora, pipe.load_lora_weights, is_offline, adapter_name=name)
        loaded = {each for adapters in pipe.get_list_adapters().values() for each in adapters}
        if name not in loaded:
            raise ModelError(
                f"lora {lora.source}: none of its weights belongs to {settings.id}, a {type(pipe).__name__}. Expected "
                "a LoRA that was trained for this model"
            )
    pipe.set_adapters(names, [lora.weight for lora in loras])


def _load(
    settings: ModelSettings,
    setting: str,
    addition: Addition,
    load: Callable[..., Any],
    is_offline: Callable[[str], bool],
    **options: object,
) -> None:
    source, file = (addition.source, None) if addition.is_local else addition.repository
    if not addition.is_local:
        _refuse_missing(setting, addition)
        options["local_files_only"] = is_offline(source)
    if file is not None:
        options["weight_name"] = file
    try:
        with warnings.catch_warnings():
            # The second LoRA is meant to be one more.
            warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
            load(source, **options)
    except _FAILURES as error:
        advice = LOCAL_ADVICE if addition.is_local else HUB_ADVICE
        reason = first_line(error).rstrip(".")
        raise ModelError(
            f"{setting} {addition.source} cannot be loaded into {settings.id}: {reason}. {advice}"
        ) from error


def _refuse_missing(setting: str, addition: Addition) -> None:
    """Raise ModelError if a source can only be a file, which is not there."""
    repository, file = addition.repository
    is_path = addition.source.startswith((".", "/", "~")) or repository.count("/") != 1
    if is_path or (file is None and repository.endswith((".safetensors", ".bin", ".pt"))):
        raise ModelError(
            f"{setting} {addition.source}: found no such file or folder. Expected one, or a repository of the Hugging "
            "Face hub: USER/NAME, or USER/NAME/FILE"
        )


def _refuse_without_peft() -> None:
    if not constants.USE_PEFT_BACKEND:
        raise ModelError(
            f"lora: needs the module peft {constants.MIN_PEFT_VERSION} or newer, which is not installed: "
            f"pip install 'peft>={constants.MIN_PEFT_VERSION}'"
        )
