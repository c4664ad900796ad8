"""Writes attention to tensor files while it is captured, with the names and shapes of FORMAT.md.

Steps are held in memory until they exceed the limit for a single file; from then on, each step is written to a separate
file as soon as it is complete. Memory thus holds at most `MOST_IN_ONE_FILE` bytes of maps, or one step if that is
larger.

Probabilities in float16 have a relative error of 2^-11 down to 6e-5 and an absolute error of at most 3e-8 below that;
none is out of range. The aggregated map is always float32.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import Tensor

from generator.capture.maps import CONDITIONAL, UNCONDITIONAL, StepMaps
from generator.capture.recorder import Recorder
from generator.outputs.describe import Schedule, StoredStep, describe_steps
from generator.outputs.files import confirm, make_folder
from generator.outputs.manifest import FORMAT, Document, describe_words
from generator.outputs.tensor_file import Stored, write_tensors
from generator.outputs.video import AttentionFiles

log = logging.getLogger(__name__)

AXES = "step,layer,head,frame,height,width"
MOST_IN_ONE_FILE = 64 * 2**20
"""Limit in bytes for storing all steps in a single file."""


class AttentionStore:
    """The tensor files of one video."""

    def __init__(self, folder: Path, stem: str, recorder: Recorder, prompt: str, *, compress: bool = False) -> None:
        """Write the maps of ``recorder`` to ``<stem>.safetensors``, or to files in ``<stem>/``, both in ``folder``.

        Files of an earlier attempt are removed.
        """
        self.recorder = recorder
        self.steps: list[StoredStep] = []
        self._single = folder / stem
        self._prompt = prompt
        self._suffix = ".safetensors.zst" if compress else ".safetensors"
        self._incomplete: dict[str, StepMaps] = {}
        self._held: list[dict[str, StepMaps]] = []
        self._held_bytes = 0
        self._written: list[Path] = []
        self.discard()

    def append(self, maps: StepMaps) -> None:
        """Add the maps of a step in one branch; the step is stored once all its branches are there."""
        if any(other.index != maps.index for other in self._incomplete.values()):
            self._incomplete.clear()  # a cache skipped one branch of that step
        self._incomplete[maps.branch] = maps
        branches = self._branches
        if len(self._incomplete) < len(branches):
            return
        step = {branch: self._incomplete.pop(branch) for branch in branches}
        branch = branches[0] if len(branches) == 1 else "both"
        self.steps.append(StoredStep(maps.index, maps.denoiser, branch))
        self._hold(step)

    def finish(self, schedule: Schedule, described: Mapping[str, object]) -> AttentionFiles:
        """Write the steps that are still in memory, and the means.

        Args:
            schedule: timestep and sigma of all denoising steps
            described: how the video was made; statistics of the capture are added

        Raises:
            OutputError: if a file cannot be written.

        """
        paths = self._finish()
        if not paths:
            log.warning(
                "the video has no attention map: a cache of the network skipped attention in every step that was to be "
                "stored, and store_aggregated_attention is off. Switch that on, or the cache off with `disable_cache`"
            )
        return AttentionFiles(
            paths=paths,
            tokens=self._described(CONDITIONAL) if paths else (),
            negative_tokens=self._described(UNCONDITIONAL) if paths else (),
            grid=asdict(self.recorder.grid),
            denoising=describe_steps(self.steps, schedule),
            generation={**described, "capture": self.recorder.summary()},
        )

    def discard(self) -> None:
        """Remove all tensor files of this video."""
        confirm()
        shutil.rmtree(self._single, ignore_errors=True)
        for suffix in (".safetensors", ".safetensors.zst"):
            self._single.with_name(f"{self._single.name}{suffix}").unlink(missing_ok=True)

    def _finish(self) -> tuple[Path, ...]:
        means = self._means()
        if not (self._written or self._held or means):
            return ()  # nothing was captured
        if not self._written:
            path = self._single.with_name(f"{self._single.name}{self._suffix}")
            make_folder(path.parent)
            self._write(path, {**self._joined(self._held), **means}, [step.index for step in self.steps])
            return (path,)
        if means:
            path = self._single / f"aggregated{self._suffix}"
            self._write(path, means, [])
            self._written.append(path)
        return tuple(self._written)

    def _described(self, branch: str) -> list[Document]:
        """Describe the words that have maps of their own in a branch."""
        return describe_words(self.recorder.words, negative=branch == UNCONDITIONAL) if branch in self._branches else []

    @property
    def _branches(self) -> tuple[str, ...]:
        return self.recorder.keep.branches

    def _hold(self, step: dict[str, StepMaps]) -> None:
        self._held.append(step)
        self._held_bytes += sum(maps.maps.nbytes for maps in step.values())
        if self._written or self._held_bytes > MOST_IN_ONE_FILE:
            make_folder(self._single)
            for each in self._held:
                self._write_step(each)
            self._held.clear()

    def _write_step(self, step: dict[str, StepMaps]) -> None:
        index = next(iter(step.values())).index
        path = self._single / f"step_{index:03}{self._suffix}"
        self._write(path, self._joined([step]), [index])
        self._written.append(path)

    def _joined(self, steps: Sequence[dict[str, StepMaps]]) -> dict[str, Stored]:
        """Join the maps of ``steps`` along the first axis, by tensor name."""
        if not steps:
            return {}
        return {
            name: Stored.joined([_array(step[branch].maps[place]) for step in steps])
            for branch in self._branches
            for place, name in enumerate(self.recorder.names(branch))
        }

    def _means(self) -> dict[str, Stored]:
        """Return the means over all steps, layers and heads, by tensor name."""
        means = {}
        for branch in self._branches:
            aggregated = self.recorder.aggregated(branch)
            if aggregated is not None:
                for place, name in enumerate(self.recorder.names(branch)):
                    means[f"{name}.aggregated"] = Stored.whole(_array(aggregated[place]))
        return means

    def _write(self, path: Path, tensors: Mapping[str, Stored], steps: Sequence[int]) -> None:
        """Write one file, with the metadata that make it self-explanatory."""
        metadata = {
            "format": FORMAT,
            "axes": AXES,
            "steps": json.dumps(list(steps)),
            "prompt": self._prompt,
            "grid": json.dumps(asdict(self.recorder.grid)),
            "tokens": json.dumps(self._described(CONDITIONAL), ensure_ascii=False),
        }
        if negative := self._described(UNCONDITIONAL):
            metadata["negative_tokens"] = json.dumps(negative, ensure_ascii=False)
        write_tensors(path, tensors, metadata)


def _array(maps: Tensor) -> np.ndarray:
    """Return a CPU tensor as an array without copying it."""
    return maps.numpy()
