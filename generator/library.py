"""Records attention in a user's script: a ``with`` block around the script's own call of a diffusers pipeline.

with capture(pipe, words=["kiss"]) as maps:
    frames = pipe("a romantic kiss").frames[0]
write_video("outputs/mine/videos/prompt_001/video_001.mp4", frames, fps=16, attention=maps)
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline

from generator.capture.budget import VideoShape, check_attention, keep_of
from generator.capture.entry import calls_recorded
from generator.capture.heard import Heard, hearing
from generator.capture.maps import CONDITIONAL, UNCONDITIONAL
from generator.capture.placement import text_of
from generator.capture.recorder import Recorder
from generator.capture.recorder import capture as recording
from generator.capture.replacing import Function
from generator.config import attention_settings
from generator.errors import CaptureError, UsageError, did_you_mean
from generator.models import load as models
from generator.models.contract import VideoModel
from generator.models.parallel import refuse_split_networks
from generator.outputs.describe import Schedule, describe_call
from generator.outputs.manifest import Document
from generator.outputs.store import AttentionStore
from generator.outputs.video import AttentionFiles
from generator.prompts.asked import Asked, asked
from generator.settings import AttentionSettings, Sampling

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """One recorded call of a pipeline."""

    prompt: str
    recorder: Recorder
    schedule: Schedule
    described: Document


class Maps:
    """Attention to each word in the last call of a pipeline, by slug (FORMAT.md, "Slugs")."""

    def __init__(self, settings: AttentionSettings) -> None:
        self.settings = settings
        self.last: _Call | None = None
        self.began = False
        """Whether a call was made; ``last`` is None until it has ended well."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all maps (FORMAT.md, "Tensors").

        In the unconditional branch, ``uncond/blurry`` is a word of the negative prompt, and ``uncond@kiss`` whatever
        has the positions of a word of the prompt.
        """
        return tuple(name for branch in self._recorder.keep.branches for name in self._recorder.names(branch))

    @property
    def incomplete(self) -> str | None:
        """Why the maps do not show the whole video, such as an interrupted pipeline; None if they do."""
        return self._recorder.unfinished

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the map of a word in all stored steps: ``[step, layer, head, frame, height, width]``."""
        branch, place = self._place(name)
        steps = [step.maps[place].numpy() for step in self._recorder.steps if step.branch == branch]
        if not steps and self.incomplete:
            raise CaptureError(self.incomplete)
        if not steps:
            raise KeyError(f"{name}: single steps were not stored, only their mean: see `aggregated`")
        return np.stack(steps)

    def aggregated(self, name: str) -> np.ndarray | None:
        """Return the mean over all steps, layers and heads, ``[frame, height, width]``; None if it was not stored."""
        branch, place = self._place(name)
        found = self._recorder.aggregated(branch)
        return None if found is None else found[place].numpy()

    def write(self, folder: Path, stem: str) -> AttentionFiles:
        """Write tensor files to ``folder``; their names begin with ``stem``."""
        call = self._call
        store = AttentionStore(folder, stem, call.recorder, call.prompt, compress=self.settings.compress_attention)
        for step in call.recorder.steps:
            store.append(step)
        return store.finish(call.schedule, call.described)

    @property
    def _call(self) -> _Call:
        if self.last is None and self.began:
            raise CaptureError(
                "nothing was recorded: the last call of the pipeline failed, or has not ended. Call it again"
            )
        if self.last is None:
            raise CaptureError("nothing was recorded yet: call the pipeline inside the `with` block first")
        return self.last

    @property
    def _recorder(self) -> Recorder:
        return self._call.recorder

    def _place(self, name: str) -> tuple[str, int]:
        """Return the branch of a map and its index among the maps of that branch."""
        if name not in self.names:
            raise KeyError(f"{name}: unknown map. {did_you_mean(name, self.names)}")
        names = {branch: self._recorder.names(branch) for branch in self._recorder.keep.branches}
        branch = next(branch for branch in names if name in names[branch])
        return branch, names[branch].index(name)


@contextmanager
def capture(
    pipe: DiffusionPipeline, words: str | Iterable[str] | Mapping[str, Sequence[int]] = (), **settings: object
) -> Iterator[Maps]:
    """Record the attention to ``words`` in each call of ``pipe`` inside the context, one video per call.

    The video is the same to the last bit. Afterwards, ``pipe`` is as before. Words are looked for in the text that the
    pipeline's text encoder is really given; embeddings that are passed to the pipeline must be encoded inside the
    context too, or the positions of the words be given.
    Other pipelines may be captured, or called without capture, at the same time and in other threads.

    Args:
        pipe: a loaded text-to-video pipeline of a supported family
        words: words or phrases of the prompt, of which every occurrence is recorded; or positions among the text tokens
            by name, such as ``{"kiss": [3, 4]}``, which nothing checks
        settings: what is stored, by the names of ``attention_analysis`` in SETTINGS.md: ``store_per_head=True``

    Yields:
        The maps of the last call; `generator.outputs.video.write_video` takes them.

    Raises:
        UsageError: if the pipeline's family is not supported, a setting is wrong, a word is not in the prompt, or the
            pipeline is captured already; in a call, also if another recorded call is using its networks.
        ModelError: if a denoising network is split over several processes; also in a call, if it was split since.
        CaptureError: if attention could not be recorded correctly, if words are not certain to be in the text that the
            network receives, or if the pipeline was not called.

    """
    model = models.adapt(pipe)
    refuse_split_networks(model)
    maps = Maps(attention_settings(settings))
    wanted = asked(words, maps.settings.track, maps.settings.track_negative)

    def recorded(call: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        given = signature(call).bind(*args, **kwargs)
        given.apply_defaults()
        with _recording(model, wanted, maps, given.arguments, heard):
            return call(*args, **kwargs)

    with hearing(model) as heard, calls_recorded(pipe, recorded):
        yield maps
    if not maps.began:
        raise CaptureError("the pipeline was not called inside the `with` block, so nothing was recorded")


@contextmanager
def _recording(model: VideoModel, wanted: Asked, maps: Maps, given: Mapping[str, Any], heard: Heard) -> Iterator[None]:
    """Record one call with the arguments ``given``, and hand it to ``maps`` at its end."""
    maps.began, maps.last = True, None
    heard.begin_call()
    prompt, sampling = _prompt(model, given, heard, wanted), _sampling(model, given, heard)
    _refuse_other_length(model, given)
    model.check(sampling)
    tracked = wanted.locate(prompt, sampling.negative_prompt, model.clean, model.tokenise)
    check_attention(maps.settings, VideoShape.of(model, sampling, tracked))
    with recording(
        model,
        tracked,
        model.grid(sampling),
        keep_of(maps.settings),
        prompts={CONDITIONAL: prompt, UNCONDITIONAL: sampling.negative_prompt},
        heard=heard,
    ) as recorder:
        yield
    if recorder.unfinished is not None:
        log.warning("the attention of this video is incomplete: %s", recorder.unfinished)
    maps.last = _Call(prompt, recorder, model.schedule(), describe_call(model, prompt, sampling, _seed(given)))


def _sampling(model: VideoModel, given: Mapping[str, Any], heard: Heard) -> Sampling:
    negative = (
        _only(given, "negative_prompt")
        if given.get("negative_prompt")
        else text_of(model, heard, given.get("negative_prompt_embeds")) or ""
    )
    return replace(model.sampling_of(given), negative_prompt=negative)


def _prompt(model: VideoModel, given: Mapping[str, Any], heard: Heard, wanted: Asked) -> str:
    """Return the prompt of a call, or the text that its embeddings were made of."""
    if given.get("prompt") is not None or given.get("prompt_embeds") is None:
        return _only(given, "prompt")
    prompt = text_of(model, heard, given["prompt_embeds"])
    if prompt is None and not wanted.positions:
        raise UsageError(
            "prompt_embeds: found embeddings that were not made inside the `with` block, so nothing tells which tokens "
            "they belong to. Expected a prompt, or embeddings that `pipe.encode_prompt` returns inside the block; or "
            'give the positions of the words among the tokens, such as words={"kiss": [3, 4]}'
        )
    return prompt or ""


def _only(given: Mapping[str, Any], name: str) -> str:
    """Return the only prompt of a call."""
    found = given.get(name)
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(found, str) or (given.get("num_videos_per_prompt") or 1) != 1:
        raise UsageError(
            f"{name}: found {found!r:.80} and num_videos_per_prompt {given.get('num_videos_per_prompt')}; expected one "
            "text and one video. Make one video per call"
        )
    return found


def _refuse_other_length(model: VideoModel, given: Mapping[str, Any]) -> None:
    found = given.get("max_sequence_length", model.text_keys)
    if found != model.text_keys:
        raise UsageError(
            f"max_sequence_length: found {found}; expected {model.text_keys}, as {model.name} needs. "
            f"Pass max_sequence_length={model.text_keys}"
        )


def _seed(given: Mapping[str, Any]) -> int | None:
    found = given.get("generator")
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    return found.initial_seed() if isinstance(found, torch.Generator) else None
