"""Batches for contact sheets: videos of a few pixels, with hand-made maps."""

from itertools import product

import numpy as np

from tests.support import Batch, write_source_video

ROWS, COLUMNS, LATENT = 6, 8, 3


def flat(value, *, rows=ROWS, columns=COLUMNS):
    """Return maps that have one value everywhere: `[1, 1, 1, frame, row, column]`."""
    return np.full((1, 1, 1, LATENT, rows, columns), value, np.float32)


def video(batch, prompt=1, number=1, maps=0.5, /, *, word="kiss", colour=None, size=None, **generation):
    """Add a video of one colour, or without a video file; return its manifest.

    Args:
        batch: the batch.
        prompt: number of its prompt.
        number: of the video.
        maps: attention, everywhere or as an array.
        word: slug of its word.
        colour: of its frames; None for no video.
        size: width and height.
        generation: what its manifest says about its generation.

    """
    made = {"prompt": f"prompt {prompt}", "prompt_id": f"prompt_{prompt:03d}", "seed": 41 + number, "model": "tiny"}
    if colour is not None:
        width, height = size or (64, 48)
        path = batch.prompt(prompt) / f"video_{number:03d}.mp4"
        write_source_video(path, width=width, height=height, frames=9, colour=colour)
    elif size is not None:
        made |= {"width": size[0], "height": size[1]}
    tensor = maps if isinstance(maps, np.ndarray) else flat(maps)
    return batch.add(
        number, prompt=prompt, source=False, tensors={word: tensor}, generation=made | {"frames": 9} | generation
    )


def product_of_choices(batch, *slots, seeds=2, attention=lambda *_: 0.5):
    """Add a video for each seed and each choice of each slot; `attention` gets the choices and the seed."""
    template = " ".join(f"[{'|'.join(choices)}]" for choices in slots)
    added = []
    for prompt, choices in enumerate(product(*slots), 1):
        for number in range(1, seeds + 1):
            how = {"template": template, "choices": list(choices), "prompt": " ".join(choices)}
            added.append(video(batch, prompt, number, attention(*choices, 41 + number), **how))
    return added


def empty(folder):
    """Return a batch without videos."""
    return Batch.make(folder)
