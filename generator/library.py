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
from generator.capture.replacing import Function
from generator.capture.several import Wanted, capture_together
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
from generator.settings import AttentionSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """One recorded video of a call of a pipeline."""

    prompt: str
    recorder: Recorder
    schedule: Schedule
    described: Document


class VideoMaps:
    """Attention to each word in one video, by slug (FORMAT.md, "Slugs")."""

    def __init__(self, settings: AttentionSettings, video: _Call | None = None) -> None:
        self.settings = settings
        self.last = video

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


class Maps(VideoMaps):
    """The maps of each video of a `with` block; taken as those of one video, these are of the last call."""

    def __init__(self, settings: AttentionSettings) -> None:
        super().__init__(settings)
        self.began = False
        """Whether a call was made; ``last`` is None until it has ended well."""
        self._videos: list[VideoMaps] = []
        self._together = 1

    @property
    def videos(self) -> tuple[VideoMaps, ...]:
        """The maps of every video, in the order in which the calls were made and returned them."""
        return tuple(self._videos)

    def clear(self) -> None:
        """Forget the maps of all videos, which otherwise fill the memory."""
        self._videos.clear()
        self.last = None

    def begin_call(self) -> None:
        """Note that a call begins; until it has ended well, there are no maps of it."""
        self.began, self.last, self._together = True, None, 1

    def end_call(self, videos: Sequence[_Call]) -> None:
        """Add the videos of a call."""
        self.last, self._together = videos[-1], len(videos)
        self._videos += [VideoMaps(self.settings, video) for video in videos]

    @property
    def _call(self) -> _Call:
        if self.last is None and self.began:
            raise CaptureError(
                "nothing was recorded: the last call of the pipeline failed, or has not ended. Call it again"
            )
        if self._together > 1:
            raise UsageError(
                f"found {self._together} videos of the last call; expected a choice of one. Take their maps from "
                f"`videos`, such as maps.videos[-{self._together}] for the first of them"
            )
        return super()._call


@contextmanager
def capture(
    pipe: DiffusionPipeline,
    words: str | Iterable[str] | Mapping[str, Sequence[int]] = (),
    words_at: Mapping[str, Sequence[int]] | None = None,
    **settings: object,
) -> Iterator[Maps]:
    """Record the attention to ``words`` in each video that ``pipe`` makes inside the context.

    The video is the same to the last bit. Afterwards, ``pipe`` is as before. Words are looked for in the text that the
    pipeline's text encoder is really given; embeddings that are passed to the pipeline must be encoded inside the
    context too, or the positions of the words be given.
    Other pipelines may be captured, or called without capture, at the same time and in other threads.

    Args:
        pipe: a loaded text-to-video pipeline of a supported family
        words: words or phrases of the prompt, of which every occurrence is recorded; or positions among the text tokens
            by name, such as ``{"kiss": [3, 4]}``, which nothing checks
        words_at: positions by name, besides ``words``
        settings: what is stored, by the names of ``attention_analysis`` in SETTINGS.md: ``store_per_head=True``

    Yields:
        The maps of the last call, and in ``videos`` those of each video of all calls;
        `generator.outputs.video.write_video` takes them.

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
    wanted = asked(words, maps.settings.track, maps.settings.track_negative, words_at)

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
    """Record one call with the arguments ``given``, and hand its videos to ``maps`` at its end."""
    maps.begin_call()
    heard.begin_call()
    prompts = _prompts(model, given, heard, wanted)
    negatives = _negatives(model, given, heard, len(prompts))
    sampling = model.sampling_of(given)
    _refuse_other_length(model, given)
    model.check(sampling)
    wanted.refuse_absent(prompts, negatives)
    videos = [
        Wanted(
            wanted.locate(prompt, negative, model.clean, model.tokenise),
            {CONDITIONAL: prompt, UNCONDITIONAL: negative},
        )
        for prompt, negative in zip(prompts, negatives, strict=True)
    ]
    samplings = [replace(sampling, negative_prompt=negative) for negative in negatives]
    for video, its_sampling in zip(videos, samplings, strict=True):
        check_attention(maps.settings, VideoShape.of(model, its_sampling, video.words))
    with capture_together(model, videos, model.grid(sampling), keep_of(maps.settings), heard) as recorders:
        yield
    for recorder in recorders:
        if recorder.unfinished is not None:
            log.warning("the attention of this video is incomplete: %s", recorder.unfinished)
    schedule = model.schedule()
    maps.end_call(
        [
            _Call(prompt, recorder, schedule, describe_call(model, prompt, its_sampling, _seed(given, number)))
            for number, (prompt, recorder, its_sampling) in enumerate(zip(prompts, recorders, samplings, strict=True))
        ]
    )


def _prompts(model: VideoModel, given: Mapping[str, Any], heard: Heard, wanted: Asked) -> list[str]:
    """Return the prompt of each video of a call, or the text that its embeddings were made of."""
    if given.get("prompt") is not None or given.get("prompt_embeds") is None:
        return _each(model, given, _texts(given, "prompt"))
    embeddings = given["prompt_embeds"]
    found = [text_of(model, heard, embeddings[number : number + 1]) for number in range(len(embeddings))]
    if None in found and not wanted.positions:
        raise UsageError(
            "prompt_embeds: found embeddings that were not made inside the `with` block, so nothing tells which tokens "
            "they belong to. Expected a prompt, or embeddings that `pipe.encode_prompt` returns inside the block; or "
            'give the positions of the words among the tokens, such as words={"kiss": [3, 4]}'
        )
    return _each(model, given, [prompt or "" for prompt in found])


def _negatives(model: VideoModel, given: Mapping[str, Any], heard: Heard, videos: int) -> list[str]:
    """Return the negative prompt of each video."""
    if given.get("negative_prompt"):
        texts = _texts(given, "negative_prompt")
        return texts * videos if len(texts) == 1 else _each(model, given, texts)
    embeddings = given.get("negative_prompt_embeds")
    if not isinstance(embeddings, torch.Tensor):
        return [""] * videos
    found = [text_of(model, heard, embeddings[number : number + 1]) or "" for number in range(len(embeddings))]
    return found * videos if len(found) == 1 else _each(model, given, found)


def _each(model: VideoModel, given: Mapping[str, Any], texts: list[str]) -> list[str]:
    """Repeat each text as often as the call makes videos of it."""
    asked_for = given.get("num_videos_per_prompt") or given.get("num_images_per_prompt") or 1
    return [text for text in texts for _ in range(1 if model.one_video_per_prompt else asked_for)]


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    """Return the prompts of a call."""
    found = given.get(name)
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{name}: found {found!r:.80}; expected a text, or a list of texts")
    return texts


def _refuse_other_length(model: VideoModel, given: Mapping[str, Any]) -> None:
    found = given.get("max_sequence_length", model.text_keys)
    if found != model.text_keys:
        raise UsageError(
            f"max_sequence_length: found {found}; expected {model.text_keys}, as {model.name} needs. "
            f"Pass max_sequence_length={model.text_keys}"
        )


def _seed(given: Mapping[str, Any], video: int) -> int | None:
    """Return the seed of a video; there is one generator for all, or one for each."""
    found = given.get("generator")
    found = found[min(video, len(found) - 1)] if isinstance(found, list) else found
    return found.initial_seed() if isinstance(found, torch.Generator) else None
