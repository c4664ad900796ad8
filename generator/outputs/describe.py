"""What a manifest tells of how a video was made, as FORMAT.md's ``generation`` and ``denoising`` have it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from generator.models.contract import VideoModel
from generator.outputs.manifest import Document
from generator.settings import Sampling

LIBRARIES = ("attnwatch", "torch", "diffusers", "transformers")

Schedule = Sequence[tuple[float, float | None]]
"""Timestep and sigma of each denoising step."""


@dataclass(frozen=True)
class StoredStep:
    """A denoising step whose maps are kept: of one branch of guidance, or of ``both``."""

    index: int
    denoiser: str
    branch: str


def describe_call(model: VideoModel, prompt: str, sampling: Sampling, seed: int | None) -> Document:
    """Describe one call of a pipeline."""
    return {
        "prompt": prompt,
        **asdict(sampling),
        **({} if seed is None else {"seed": seed}),
        "model": model.name,
        "model_revision": model.revision,
        "scheduler": type(model.pipe.scheduler).__name__,
        "device": model.device,
        "dtype": model.dtype,
        "versions": {library: version(library) for library in LIBRARIES},
    }


def describe_steps(steps: Sequence[StoredStep], schedule: Schedule) -> list[Document]:
    """Describe the stored ones of all denoising steps."""
    return [
        {
            "index": step.index,
            "timestep": schedule[step.index][0],
            "sigma": schedule[step.index][1],
            "model": step.denoiser,
            "branch": step.branch,
        }
        for step in steps
    ]
