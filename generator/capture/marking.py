"""Proves that the recorded keys are those of the tracked words, by marking.

Probabilities can be exact and yet those of the wrong token: a layout of the text that a model's adapter takes for
granted is nowhere else compared with what the network does. So the embeddings of one tracked word are changed, nothing
else, and the network is called up to its first attention to the text. The recorded keys must answer, each more than
every other key of the text. Where nothing mixes tokens on the way, the others do not answer at all.

This costs a part of one layer for each word, before the first video of a batch is denoised.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.capture.columns import TrackedColumns
from generator.capture.heard import Heard
from generator.capture.placement import Placement
from generator.capture.probing import first_attention
from generator.capture.taps import TEXT, NetworkCall
from generator.errors import CaptureError
from generator.models.contract import Arguments, VideoModel
from generator.prompts.tokens import TrackedWord

Proven = dict[str, float]
"""By branch, the largest answer of another key of the text, relative to the smallest one of a word's own keys."""

_proven: WeakKeyDictionary[VideoModel, Proven] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Part:
    """The samples of one branch, number ``number`` in a call of a network."""

    call: NetworkCall
    branch: str
    number: int
    batch: int
    """Number of videos in the call, also those of further guidance."""

    def turned(self, text: Tensor, positions: Sequence[int]) -> Tensor:
        """Return embeddings ``[sample, position, channel]`` with the opposite sign at some positions of the branch."""
        each = len(text) // self.batch
        mine = slice(self.number * each, (self.number + 1) * each)
        changed = text.clone()
        rows = changed[mine, list(positions)]
        # The padding of some models is 0. Their first operation may be a normalisation, so all values differ in sign.
        signs = 1 - 2 * (torch.arange(rows.shape[-1], device=rows.device) % 2)
        changed[mine, list(positions)] = torch.where(rows.any(-1, keepdim=True), -rows, signs.to(rows.dtype))
        return changed


class Marking:
    """Proves where the tracked words of each branch are; marks them once for each loaded model."""

    def __init__(self, model: VideoModel, placement: Placement, columns: TrackedColumns, heard: Heard) -> None:
        self._model = model
        self._placement = placement
        self._columns = columns
        self._heard = heard

    def summary(self) -> Proven:
        """Return what is proven (`Proven`)."""
        proven = _proven.get(self._model, {})
        return {branch: answer for branch, answer in proven.items() if self._placement.words_of(branch)}

    @torch.no_grad()
    def prove(self, branches: Sequence[str], call: NetworkCall) -> None:
        """Prove the places of the words of the branches that a call computes, before it is computed.

        Raises:
            CaptureError: if a word is not certain to be somewhere in the text (`Placement.prove`), or if another key
                than those of a word answers as much as these.

        """
        self._placement.prove(branches, call)
        proven = _proven.setdefault(self._model, {})
        for number, branch in enumerate(branches):
            words = self._placement.words_of(branch)
            if words and branch not in proven:
                part = _Part(call, branch, call.sample(number), call.batch)
                before = self._keys(part, call.arguments)
                proven[branch] = max(self._answer(part, word, before) for word in words)

    def _answer(self, part: _Part, word: TrackedWord, before: Tensor) -> float:
        """Mark one word; return how much the other keys answer, relative to its own."""
        after = self._keys(part, self._marked(part, word))
        changes = (after - before).float().norm(dim=-1).norm(dim=0)
        keys = [key for key in self._placement.keys_of(part.branch, word) if key < len(changes)]
        is_own = torch.zeros(len(changes), dtype=torch.bool, device=changes.device)
        is_own[keys] = True
        least = float(changes[is_own].min()) if keys else 0.0
        others = changes.masked_fill(is_own, 0.0)
        most = float(others.max())
        if least <= most:
            raise CaptureError(
                f"tracked word {word.text!r}: changing what the network receives of it changes key "
                f"{int(others.argmax())} of the text by {most:.2g}, and the recorded keys, {keys}, by {least:.2g} or "
                "more; expected these to change most. Capture does not know how this pipeline passes its text to the "
                "network: use a pipeline of diffusers 0.42, or generate without capture"
            )
        return most / least

    def _marked(self, part: _Part, word: TrackedWord) -> Arguments:
        """Return the arguments of a call with other embeddings of a word."""
        stage, network, arguments = self._heard.stage, self._model.text_stage, part.call.arguments
        if network is None or stage is None:
            text = part.call.text
            if text is None:
                return arguments
            return {**arguments, TEXT: part.turned(text, word.positions).view_as(arguments[TEXT])}
        name = next(name for name, value in stage.arguments.items() if value is stage.text)
        output = network(**{**stage.arguments, name: part.turned(stage.text, word.positions)})
        self._heard.stage = stage
        return {**arguments, TEXT: output[0]}

    def _keys(self, part: _Part, arguments: Arguments) -> Tensor:
        """Return the text keys of a branch in the first text attention, ``[head, key, dim]``."""
        target, seen = part.number * self._columns.samples, 0

        def wanted(found: AttentionCall) -> AttentionCall | None:
            nonlocal seen
            if self._columns.is_of_image(found):
                return None
            first, seen = seen, seen + len(found.key)
            return replace(found, key=found.key[target - first]) if first <= target < seen else None

        network = self._model.denoisers()[part.call.denoiser]
        found = first_attention(network, lambda: part.call.again(arguments), wanted)
        if found is None:
            raise CaptureError(
                f"{part.call.denoiser}: none of its layers attends to the text, so nothing can be recorded. Use a "
                "pipeline of diffusers 0.42, or generate without capture"
            )
        return self._columns.text_keys(found.key)
