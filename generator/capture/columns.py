"""Selects the rows, keys and samples of a text attention call that belong to a video and its tracked words."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall, Columns, word_probabilities
from generator.capture.cost import captured_calls, slice_of, warn_of_whole_rows
from generator.capture.image_keys import ImageKeys
from generator.capture.kernel_report import KernelReport
from generator.capture.maps import Keep
from generator.capture.placement import Placement
from generator.capture.second_pass import SecondPass
from generator.capture.self_check import SelfCheck
from generator.errors import CaptureError
from generator.models.contract import LatentGrid, TextPlace, VideoModel


class TrackedColumns:
    """Locates the tracked words among a model's keys, and the latent tokens of the video among its rows."""

    def __init__(self, model: VideoModel, grid: LatentGrid, keep: Keep, placement: Placement) -> None:
        self.samples = grid.frames if model.frame_by_frame else 1
        """Number of attention samples that make up one video."""
        self.check = SelfCheck() if keep.self_check else None
        self.report = KernelReport()
        self._second_pass = SecondPass()
        self._image_keys = ImageKeys(self._second_pass.log_sum)
        self._captured_calls = captured_calls(model, keep)
        self._model = model
        self._grid = grid
        self._placement = placement
        self._reserved = keep.reserved
        self._columns: dict[tuple[str, int, int, torch.device], Columns] = {}

    def is_of_image(self, call: AttentionCall) -> bool:
        """Whether the keys belong to an image: image-to-video models attend to it separately from the text."""
        return self._model.text_place is TextPlace.APART and call.key.shape[2] != self._placement.text_keys

    def notes_image(self, layer: str, call: AttentionCall) -> bool:
        """Return whether the keys belong to an image; then the call is noted for the one on the text that follows."""
        if not self.is_of_image(call):
            return False
        self._image_keys.note(layer, call)
        return True

    def summary(self, branches: Iterable[str]) -> dict[str, object]:
        """Return what computed the attention, and what the keys of an image would change."""
        found = self.report.summary()
        if not self._image_keys.count:
            return found
        mass = {branch: self._image_keys.summary(branch, self._placement.names(branch)) for branch in branches}
        return {**found, "image_keys": {"count": self._image_keys.count, "mass": mass}}

    def probabilities(self, call: AttentionCall, samples: slice, branch: str, layer: str) -> Tensor:
        """Compute ``[name, sample, head, row]`` of one video in one branch; samples are its frames, or there is one.

        Raises:
            CaptureError: if the video does not have the expected size.

        """
        part = self._with_log_sum(self._rows_of_video(call, samples, layer))
        columns = self._columns_of(branch, part)
        found = word_probabilities(part, columns)
        if self.check is not None:
            self.check.compare(part, columns, found)
        if self._reserved and self._model.text_place is TextPlace.APART:
            found[-2] = (1.0 - found[-2]).clamp_(min=0.0)  # the padding, from all the other tokens
        self._image_keys.add(layer, branch, samples, part, found)
        return found

    def take_error(self, like: Tensor) -> Tensor:
        """Return the largest error that the self-check found since the last call, on the device of ``like``, or 0."""
        return like.new_zeros(()) if self.check is None else self.check.take_error(like.device)

    def note_error(self, error: Tensor) -> None:
        """Pass an error that has arrived on the host to the self-check."""
        if self.check is not None:
            self.check.note_error(error.item())

    def _with_log_sum(self, call: AttentionCall) -> AttentionCall:
        """Add the log-sum-exp to a call whose own kernel did not tell it, if another kernel does."""
        if call.log_sum is not None:
            self.report.add(call, "kernel")
            return call
        log_sum = self._second_pass.log_sum(call)
        self.report.add(call, "whole rows" if log_sum is None else "second pass")
        if log_sum is None and call.ran is not None:
            rows = call.query.shape[:3].numel() * self._captured_calls
            warn_of_whole_rows(slice_of(call), rows, call.ran.kernel)
        return replace(call, log_sum=log_sum)

    def _rows_of_video(self, call: AttentionCall, samples: slice, layer: str) -> AttentionCall:
        part = call.part(samples, self._latent_tokens())
        part = part.part(slice(None), self._model.latent_rows(part.query.shape[2], self._grid))
        found, tokens = len(part.query), part.query.shape[2]
        if found != self.samples or (not self._model.frame_by_frame and tokens != self._grid.size):
            raise CaptureError(
                f"{layer}: found {found} samples x {tokens} latent tokens; expected {self.samples} x "
                f"{self._grid.size // self.samples}. Generate one video at a time, of the size passed to capture"
            )
        return part

    def text_keys(self, keys: Tensor) -> Tensor:
        """Select the keys of the text from all keys of a sample, ``[head, key, dim]``."""
        text = {
            TextPlace.APART: slice(None),
            TextPlace.FIRST: slice(self._placement.text_keys),
            TextPlace.LAST: slice(self._grid.size, None),
        }[self._model.text_place]
        return keys[:, text]

    def _latent_tokens(self) -> slice:
        """Return the rows that are not text."""
        return {
            TextPlace.APART: slice(None),
            TextPlace.FIRST: slice(self._placement.text_keys, None),
            TextPlace.LAST: slice(0, self._grid.size),
        }[self._model.text_place]

    def _columns_of(self, branch: str, part: AttentionCall) -> Columns:
        """Find the keys of all names; positions beyond the last key have no mass."""
        rows, keys = part.query.shape[2], part.key.shape[2]
        wanted = (branch, rows, keys, part.query.device)  # a network may be split over several devices
        if wanted not in self._columns:
            first = rows if self._model.text_place is TextPlace.LAST else 0
            positions = [[first + at for at in name if first + at < keys] for name in self._placement.positions(branch)]
            self._columns[wanted] = Columns.of(positions, part.query.device)
        return self._columns[wanted]
