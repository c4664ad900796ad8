"""``python -m generator.tiny.evaluate``: measure whether attention is where the objects are.

The real generator makes videos and the real watcher renders them, both as processes; then their files are read back.
The transformer also denoises noised clips of known scenes, whose masks are exact. Prompts and scenes are not in the
training data. All measures use the mean over all layers, heads and steps.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generator.models import tiny
from generator.tiny import truth
from generator.tiny.captions import track
from generator.tiny.networks import build
from generator.tiny.probe import Probe, Probed
from generator.tiny.records import Record, generate, read
from generator.tiny.shapes import HELD_OUT, Scene, place

SEED = 1_000_000
"""Far from the seeds of training."""

Measures = Mapping[str, float]

_OFF_TIME = ("density, a latent frame early", "density, a latent frame late")

BARS: dict[str, float] = {
    "one object: colour right": 0.95,
    "one object: motion right": 0.95,
    "one object: shape right": 0.85,
    "one object: colour word points at it": 0.95,
    "one object: shape word points at it": 0.85,
    "one object: density of the colour word": 3.0,
    "one object: density of the shape word": 3.0,
    "one object: colour word on time over off time": 1.05,
    "one object: rendered heat on it, each frame": 0.9,
    "two objects, noised clips: colour word on its own": 0.95,
    "two objects, noised clips: shape word on its own": 0.85,
    "two objects: fully correct": 0.6,
    "two objects: colour word on its own": 0.95,
    "two objects: shape word on its own": 0.75,
}
"""Lowest acceptable value of each measure."""


@dataclass(frozen=True)
class Extent:
    """Size of an evaluation: videos per prompt of one object, prompts of two objects, and noised clips."""

    videos: int
    pairs: int
    clips: int


WHOLE, QUICK = Extent(videos=2, pairs=20, clips=40), Extent(videos=2, pairs=0, clips=16)


def evaluate(model: Path, workplace: Path, extent: Extent) -> dict[str, float]:
    """Measure the model in folder ``model``, as means over all videos and words; write files to ``workplace``."""
    results: list[Measures] = []
    prompts = [f"a ({colour}) ({shape}) moving {direction}" for colour, shape, direction in HELD_OUT]
    generate(workplace / "one", prompts, model=str(model), seed=SEED, videos=extent.videos)
    results += map(of_one_object, read(workplace / "one"))
    if extent.pairs:
        pairs = [track(scene.things) for scene in scenes_of_two(extent.pairs)]
        generate(workplace / "two", pairs, model=str(model), seed=SEED, videos=1)
        results += map(of_two_objects, read(workplace / "two"))
    probe = Probe.of(model)
    for seed, scene in enumerate(scenes_of_two(extent.clips)):
        results.append(of_noised_clip(probe.show(scene, seed)))
    return means(results)


def scenes_of_two(count: int) -> Iterator[Scene]:
    """Draw scenes of two objects with different colours and shapes, both in combinations held out from training."""
    rng = np.random.default_rng(SEED)
    while count:
        first, second = (HELD_OUT[number] for number in rng.choice(len(HELD_OUT), 2, replace=False))
        if first[0] == second[0] or first[1] == second[1]:
            continue
        scene = place(rng, (first, second))
        if scene is not None:
            count -= 1
            yield scene


def of_one_object(record: Record) -> dict[str, float]:
    """Measure a generated video of one object; if it shows none, no word points at it."""
    colour, shape, direction = _named(record.prompt)[0]
    seen = truth.look(record.video)
    found = max(seen.values(), key=lambda one: one.mask.sum(), default=None)
    measures: dict[str, float] = {
        "colour right": set(seen) == {colour},
        "motion right": found is not None and found.direction == direction,
        "shape right": found is not None and found.shape == shape,
    }
    for kind, word in (("colour", colour), ("shape", shape)):
        maps = record.maps[word]
        on_object = found is not None and truth.pointing(maps, truth.share(found.mask, maps.shape)).mean()
        measures[f"{kind} word points at it"] = on_object
        if found is not None:
            measures |= _agreement(kind, maps, found.mask, record.heat[word])
    return {f"one object: {name}": float(value) for name, value in measures.items()}


def _agreement(kind: str, maps: np.ndarray, mask: np.ndarray, heat: np.ndarray) -> dict[str, float]:
    covered = truth.share(mask, maps.shape)
    measures = {
        f"density of the {kind} word": truth.density(maps, covered),
        "rendered heat on it, each frame": float(truth.frames_on_object(heat, mask, *maps.shape[1:]).mean()),
    }
    if kind == "colour":
        measures |= zip(_OFF_TIME, truth.density_off_time(maps, covered), strict=True)
    return measures


def of_two_objects(record: Record) -> dict[str, float]:
    """Measure a generated video of two objects; words are measured only if both colours are visible."""
    named, seen = _named(record.prompt), truth.look(record.video)
    right = set(seen) == {colour for colour, _, _ in named} and all(
        (seen[colour].shape, seen[colour].direction) == (shape, direction) for colour, shape, direction in named
    )
    measures = {"two objects: fully correct": float(right)}
    if all(colour in seen for colour, _, _ in named):
        masks = [seen[colour].mask for colour, _, _ in named]
        measures |= _binding("two objects", named, masks, record.maps)
    return measures


def of_noised_clip(probed: Probed) -> dict[str, float]:
    """Measure a noised clip of two objects, whose masks are exact."""
    named = [(thing.colour, thing.shape, thing.direction) for thing in probed.scene.things]
    return _binding("two objects, noised clips", named, probed.masks, probed.maps)


def _binding(
    title: str, named: Sequence[tuple[str, str, str]], masks: Iterable[np.ndarray], maps: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Compute the share of words with denser attention on their own object than on the other."""
    measures = {}
    covered = [truth.share(mask, maps[named[0][0]].shape) for mask in masks]
    for place_in_name, kind in enumerate(("colour", "shape")):
        right = []
        for own, names in enumerate(named):
            word = maps[names[place_in_name]]
            right.append(truth.density(word, covered[own]) > truth.density(word, covered[1 - own]))
        measures[f"{title}: {kind} word on its own"] = float(np.mean(right))
    return measures


def _named(prompt: str) -> list[tuple[str, str, str]]:
    """Parse a prompt of `generator.tiny.captions.describe` into colour, shape and direction of each object."""
    objects = [part.split() for part in prompt.split(" and ")]
    return [(words[1], words[2], words[4]) for words in objects]


def means(results: Iterable[Measures]) -> dict[str, float]:
    """Compute the mean of each measure over all results that have it.

    The measure of time uses all videos together: attention slightly beside a moving object looks early or late, which
    cancels out only over all directions.
    """
    gathered: dict[str, list[float]] = {}
    for result in results:
        for name, value in result.items():
            gathered.setdefault(name, []).append(value)
    found = {name: float(np.mean(values)) for name, values in gathered.items()}
    off_time = [found.pop(name) for name in map("one object: {}".format, _OFF_TIME) if name in found]
    if off_time:
        on_time = found["one object: density of the colour word"]
        found["one object: colour word on time over off time"] = on_time / max(off_time)
    return found


@dataclass(frozen=True)
class Comparison:
    """The measures of a model and of random weights."""

    found: Measures
    random: Measures

    @property
    def missed(self) -> list[str]:
        """Names of the measures below their bars."""
        return [name for name, bar in BARS.items() if self.found.get(name, bar) < bar]

    def table(self) -> str:
        """Return the measures and their bars as a Markdown table."""
        lines = ["| what | bar | measured | | random weights |", "| --- | --- | --- | --- | --- |"]
        for name, bar in BARS.items():
            if name in self.found:
                verdict = "below" if name in self.missed else "ok"
                random = _floored(self.random[name]) if name in self.random else "-"
                lines.append(f"| {name} | {bar:.2f} | {_floored(self.found[name])} | {verdict} | {random} |")
        return "\n".join(lines)


def _floored(value: float) -> str:
    """Format a measure, rounded down so that it never appears to reach a bar that it misses."""
    return f"{np.floor(value * 100 + 1e-9) / 100:.2f}"


def compare(model: Path, workplace: Path, extent: Extent) -> Comparison:
    """Evaluate the model in folder ``model`` and, with the quick extent, the same networks with random weights."""
    found = evaluate(model, workplace / "trained", extent)
    untrained = workplace / "random-weights"
    build().save_pretrained(untrained)
    return Comparison(found, evaluate(untrained, workplace / "random", QUICK))


def main() -> int:
    """Run the command; return exit code 1 if a measure is below its bar."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.tiny.evaluate", description=(__doc__ or "").split(": ", 1)[1]
    )
    parser.add_argument("--model", type=Path, help="folder of a pipeline (default: the embedded one)")
    parser.add_argument("--quick", action="store_true", help="skip generated videos of two objects, use fewer clips")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(options.model or tiny.FOLDER, Path(folder), QUICK if options.quick else WHOLE)
    sys.stdout.write(f"{result.table()}\n\n{time.monotonic() - began:.0f} s\n")
    return int(bool(result.missed))


if __name__ == "__main__":
    sys.exit(main())
