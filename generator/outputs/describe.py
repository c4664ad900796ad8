"""Builds the manifest fields that describe how a video was made: ``generation`` and ``denoising`` of FORMAT.md."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from generator.models.compiling import how_compiled
from generator.models.contract import VideoModel
from generator.outputs.manifest import Document
from generator.settings import Sampling

LIBRARIES = ("attnwatch", "torch", "diffusers", "transformers")

Schedule = Sequence[tuple[float, float | None]]
"""Timestep and sigma (None if undefined) of each denoising step."""


@dataclass(frozen=True)
class StoredStep:
    """A denoising step whose maps are stored; ``branch`` is a guidance branch or ``both``."""

    index: int
    denoiser: str
    branch: str


def describe_call(model: VideoModel, prompt: str, sampling: Sampling, seed: int | None) -> Document:
    """Describe one call of a pipeline: its prompt, settings, model and library versions."""
    return {
        "prompt": prompt,
        **asdict(sampling),
        **({} if seed is None else {"seed": seed}),
        "model": model.name,
        "model_revision": model.revision,
        "scheduler": type(model.pipe.scheduler).__name__,
        "device": model.device,
        "dtype": model.dtype,
        **_compilation(model),
        "versions": {library: version(library) for library in LIBRARIES},
    }


def _compilation(model: VideoModel) -> Document:
    """Describe how the denoising networks are compiled, whoever did it; empty if they are not."""
    found = {how_compiled(network) for network in model.denoisers().values()}
    return {"compile": True if True in found else "blocks"} if found != {False} else {}


def describe_steps(steps: Sequence[StoredStep], schedule: Schedule) -> list[Document]:
    """Describe the stored steps; ``schedule`` covers all denoising steps unless the pipeline has changed it since."""
    return [
        {
            "index": step.index,
            "timestep": timestep,
            "sigma": sigma,
            "model": step.denoiser,
            "branch": step.branch,
        }
        for step in steps
        for timestep, sigma in [schedule[step.index] if step.index < len(schedule) else (None, None)]
    ]
