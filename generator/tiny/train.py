"""``python -m generator.tiny.train``: train the embedded model from scratch.

It trains the VAE, then the text encoder, then the transformer. After an interruption, the same command resumes from the
last checkpoint in the work folder. At the end it evaluates the model and writes the figures into its card.
"""

import argparse
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from generator.models.tiny import FRAMES, SIZE
from generator.tiny import autoencoder, denoiser, reading
from generator.tiny.captions import WORDS
from generator.tiny.card import write_card
from generator.tiny.evaluate import WHOLE, compare
from generator.tiny.networks import build

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the model and save the pipeline in half precision, in diffusers format."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options.work.mkdir(parents=True, exist_ok=True)
    # Each worker uses one core; see `generator.tiny.descent`.
    torch.set_num_threads(1)
    pipe = build(options.seed).to(options.device)
    shared = {"seed": options.seed, "workers": options.workers}
    autoencoder.train(pipe.vae, options.work, steps=options.vae_steps, **shared)
    reading.train(pipe, options.work, steps=options.reading_steps, **shared)
    denoiser.train(pipe, options.work, steps=options.steps, **shared)
    pipe.to("cpu", torch.float16).save_pretrained(options.output)
    log.info("Saved the pipeline in %s", options.output)
    _write_card(options)


def _write_card(options: argparse.Namespace) -> None:
    figures = "Not evaluated."
    if options.evaluate:
        log.info("Evaluating the model for its card, which takes a few minutes")
        with tempfile.TemporaryDirectory() as folder:
            figures = compare(options.output, Path(folder), WHOLE).table()
    facts = {"frames": FRAMES, "size": SIZE, "words": len(WORDS), "vocabulary": " ".join(WORDS)}
    write_card(options.output, {**facts, "seed": options.seed, "figures": figures})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m generator.tiny.train", description=(__doc__ or "").split(":", 1)[1]
    )
    parser.add_argument("output", type=Path, help="folder in which to save the pipeline")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and encoded clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="number of cores; 1 with a GPU (default: 2)")
    parser.add_argument("--device", default="cpu", help="`cpu` (default) or `cuda`")
    parser.add_argument("--vae-steps", type=int, default=autoencoder.STEPS, help=f"(default: {autoencoder.STEPS})")
    parser.add_argument("--reading-steps", type=int, default=reading.STEPS, help=f"(default: {reading.STEPS})")
    parser.add_argument("--steps", type=int, default=denoiser.STEPS, help=f"(default: {denoiser.STEPS})")
    parser.add_argument(
        "--no-evaluation",
        dest="evaluate",
        action="store_false",
        help="skip the evaluation and leave figures out of the card",
    )
    return parser


if __name__ == "__main__":
    main()
