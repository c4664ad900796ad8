"""Tells which guidance branches a call of a denoising network computes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from generator.capture.heard import Heard
from generator.capture.maps import BRANCHES, CONDITIONAL, UNCONDITIONAL
from generator.capture.taps import NetworkCall
from generator.errors import CaptureError
from generator.models.contract import VideoModel


class Branches:
    """The branches of each call of one video.

    Most pipelines name a call, or compute both branches in one batch. Of the others, all encode the prompt before the
    negative prompt, so a branch is known by its text. If both have the same text, or one that was not heard, it is
    known by the order: all of these pipelines call the conditional branch first.
    """

    def __init__(self, model: VideoModel, heard: Heard) -> None:
        """Tell the branches of ``model``, whose ``encode_prompt`` was ``heard``."""
        self.source = ""
        """How they are known: ``cache_context``, ``halves`` or ``parts of the batch``, ``text``, ``order of calls``."""
        self._model = model
        self._heard = heard
        self._known: dict[str, Tensor] = {}

    def of(self, call: NetworkCall, begun: Mapping[str, int]) -> tuple[str, ...]:
        """Return the branches of a call's samples, in order; none if it is an extra call, which is not recorded.

        Args:
            call: the call
            begun: number of begun steps of each branch

        Raises:
            CaptureError: if its samples are not one video and its guidance branches.

        """
        names, name, batch = self._model.branch_names, call.branch, call.batch / call.videos
        if name is not None and names.get(name, name) is None:
            return ()
        named = None if name is None else names.get(name)
        if named is not None and batch == 1:
            self.source = "cache_context"
            return (named,)
        own = batch - self._model.extra_samples
        if self._model.guidance_in_one_batch and (own == 1 or (own == len(BRANCHES) and self._guided(begun))):
            self.source = "halves of the batch" if own == batch else "parts of the batch"
            return (CONDITIONAL,) if own == 1 else (UNCONDITIONAL, CONDITIONAL)
        if name is None and batch == 1:
            return (self._by_text(call.text, begun),)
        raise CaptureError(
            f"found a batch of {call.batch} latent videos; expected {call.videos} and its guidance branches. "
            "Generate as many videos in a call as its prompts say"
        )

    def _guided(self, begun: Mapping[str, int]) -> bool:
        """Whether the pipeline uses guidance; a dynamic scale may drop to 1 in later steps."""
        return begun[UNCONDITIONAL] > 0 or self._model.is_guided()

    def _by_text(self, text: Tensor | None, begun: Mapping[str, int]) -> str:
        """Find the branch by its text; the pipeline passes the same tensor in each step."""
        for branch, known in self._known.items():
            if known is text:
                return branch
        prompts = self._heard.prompts[: len(BRANCHES)]
        equal = [branch for branch, prompt in zip(BRANCHES, prompts, strict=False) if _is_same(prompt, text)]
        if text is not None and len(equal) == 1:
            self.source = "text"
            self._known[equal[0]] = text
            return equal[0]
        if not prompts and begun[UNCONDITIONAL] == 0:
            raise CaptureError(
                "a denoising network was called outside of `cache_context`, which names the guidance branch, with a "
                "text that the pipeline did not encode. Use a pipeline of diffusers 0.42"
            )
        self.source = "order of calls"
        is_second = len(prompts) == len(BRANCHES) and begun[CONDITIONAL] > begun[UNCONDITIONAL]
        return UNCONDITIONAL if is_second else CONDITIONAL


def _is_same(prompt: Tensor, text: Tensor | None) -> bool:
    """Whether a text is what ``encode_prompt`` returned, as it is or in another data type."""
    if text is None or prompt.shape != text.shape:
        return False
    return prompt is text or torch.equal(prompt.to(text), text)
