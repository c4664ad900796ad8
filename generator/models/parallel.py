"""Refuses to capture networks that diffusers splits over several processes (``enable_parallelism``).

Each process of a split network computes the attention of some of the video's tokens, or of some of the heads. No
process sees a whole map.
"""

from generator.errors import ModelError
from generator.models.contract import VideoModel


def refuse_split_networks(model: VideoModel) -> None:
    """Check, before anything is generated, that every denoising network runs in one process.

    Raises:
        ModelError: if one does not.

    """
    for name, network in model.denoisers().items():
        config = getattr(network, "_parallel_config", None)
        if config is None:
            continue
        kind = "context" if getattr(config, "context_parallel_config", None) is not None else "tensor"
        raise ModelError(
            f"{name}: found {kind} parallelism (`enable_parallelism`), where each process computes only a part of the "
            "attention; expected a network that runs in one process. Capture without `enable_parallelism` (several "
            "processes can each generate whole videos), or generate without capture"
        )
