"""A batch as pages are tried with: videos of different length and rate, in every state; and how a page is asked."""

import json

from axe_playwright_python.sync_playwright import Axe

from attnwatch.contract.names import MEASURES_SUFFIX
from tests.support import (
    FPS,
    GRID,
    Batch,
    file_record,
    full_fields,
    wait_until,
    write_json,
    write_manifest,
    write_receipt,
    write_source_video,
)

WORDS = ("cat", "dog")
RATES = ((9, 16), (13, 24), (7, 8))
"""Frames, and frames per second, of the takes of each prompt."""


def until(page, expression, seconds=180.0):
    """Wait until an expression in a page is true, and return its value."""
    return wait_until(lambda: page.evaluate(expression), seconds, expression)


def open_page(page, address, state=""):
    """Open a page in a state, and wait until it shows what it says."""
    page.goto("about:blank")
    page.goto(f"{address}#{state}")
    until(page, "!!window.attnwatch?.view && document.body.dataset.view !== undefined")
    return page


def barriers(page):
    """Return what keeps people from using what a page shows: serious findings of axe, with the elements."""
    return {
        one["id"]: [node["html"] for node in one["nodes"]]
        for one in Axe().run(page).response["violations"]
        if one["impact"] in {"serious", "critical"}
    }


def settled(page):
    """Wait until every visible video shows what the clock says."""
    until(
        page,
        "attnwatch.clock.settled && attnwatch.clock.distances().length > 0"
        " && attnwatch.clock.distances().every((one) => one === 0)",
    )


def add(batch, prompt, take, *, text=None, choice="sits", rates=RATES, words=WORDS):
    """Add a finished video with the length and rate of its take; return its manifest."""
    frames, fps = rates[(take - 1) % len(rates)]
    maps, manifest = batch.write_data(take, prompt=prompt, words=words, source=False)
    source = write_source_video(
        manifest.with_name(f"video_{take:03d}.mp4"), width=64, height=48, frames=frames, fps=fps
    )
    files = {str(path.relative_to(manifest.parent)): file_record(path) for path in (source, maps)}
    fields = full_fields(take, prompt, words, files)
    about = {
        "frames": frames,
        "fps": float(fps),
        "width": 64,
        "height": 48,
        "choices": [choice],
        "template": "a (cat) and a (dog) [sits|runs]",
    }
    fields["generation"] = {**fields["generation"], **about}
    fields["generation"]["prompt"] = text or f"{fields['generation']['prompt']} {choice}"
    return write_manifest(manifest, **fields)


def measured(manifest, mass):
    """Write measures and the receipt of a video, as a watcher does; return the place of the receipt."""
    frames = {
        name: [mass * n for n in range(1, GRID[0] + 1)]
        for name in ("mass", "concentration", "centroid_x", "centroid_y")
    }
    steps = {
        "numbers": [0, 1],
        "correlation": [0.5, 1.0],
        "settled": 1,
        "frames": {name: [values, values] for name, values in frames.items()},
    }
    word = {
        "text": None,
        "grid": list(GRID),
        "frames": frames,
        "over_time": {"speed": mass},
        "steps": steps,
        "layers": None,
        "heads": None,
        "focus": None,
    }
    place = write_receipt(manifest)
    write_json(
        place.directory / f"{place.video_id}{MEASURES_SUFFIX}",
        {
            "format": "attnwatch/1",
            "video_id": place.video_id,
            "manifest_sha256": "0" * 64,
            "inputs": {},
            "seconds": [n * 4 / FPS for n in range(GRID[0])],
            "words": dict.fromkeys(WORDS, word),
            "pairs": [],
            "notes": [],
        },
    )
    return place


def planned(batch, videos):
    """Write the plan of a batch: `(prompt, take)` of every video, made or not; one that is missing has failed."""
    variations = [
        {"prompt_id": f"prompt_{prompt:03d}", "prompt": f"a cat and a dog {choice}", "tokens": [], "choices": [choice]}
        for prompt, choice in ((1, "sits"), (2, "runs"))
    ]
    records = [
        {
            "video_id": f"prompt_{prompt:03d}_vid{take:03d}",
            "prompt_id": f"prompt_{prompt:03d}",
            "seed": 41 + take,
            "manifest": f"videos/prompt_{prompt:03d}/video_{take:03d}.complete.json",
        }
        for prompt, take in videos
    ]
    document = {
        "format": "attnwatch/1",
        "batch": batch.folder.name,
        "created": "2026-01-02T03:04:05+00:00",
        "template": "a (cat) and a (dog) [sits|runs]",
    }
    write_json(batch.folder / "batch.json", {**document, "variations": variations, "videos": records})


def failed(batch, prompt, take, error):
    """Write that a video could not be made."""
    attempt = {"at": "2026-01-02T03:05:00+00:00", "seconds": 1.5, "error": error}
    path = batch.prompt(prompt) / f"video_{take:03d}.failed.json"
    write_json(path, {"format": "attnwatch/1", "video_id": f"prompt_{prompt:03d}_vid{take:03d}", "attempts": [attempt]})


def mixed(outputs):
    """Make a batch of two prompts and four takes: three were made of each, two of them rendered; one failed."""
    batch = Batch.make(outputs)
    mass = 0.001
    for prompt, choice in ((1, "sits"), (2, "runs")):
        for take in (1, 2, 3):
            manifest = add(
                batch,
                prompt,
                take,
                choice=choice,
                text="a cat and a dog <script>alert(1)</script> \u202eruns 🐈" if (prompt, take) == (2, 3) else None,
            )
            if take < 3:
                measured(manifest, mass)
                mass *= 2
    planned(batch, [(prompt, take) for prompt in (1, 2) for take in (1, 2, 3, 4)])
    failed(batch, 1, 4, "CUDA out of memory")
    return batch


def by_name(video):
    """Return the expression for the row of a video in a page."""
    return f"[...attnwatch.library.rows.values()].find((row) => row.video_id === '{video}')"


def rows(page):
    """Return the rows that a page knows, by the name of the video."""
    return json.loads(
        page.evaluate(
            "JSON.stringify(Object.fromEntries([...attnwatch.library.rows.values()].map((row) => [row.video_id, row])))"
        )
    )
