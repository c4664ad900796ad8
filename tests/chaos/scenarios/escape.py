"""Whoever owns a batch exchanges parts of it for links at random times, or writes paths into documents.

Nothing outside may be read, written or deleted, and nothing connected to. `ESCAPES` is the table of what is exchanged;
`tests.leading_away` has the names and the contents of videos that would lead FFmpeg to something else.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.chaos.escapes import Exchange, Outside, attacking
from tests.chaos.figures import Figure, Line, Scale, none_of
from tests.chaos.material import Material, receipt_path
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Trial
from tests.leading_away import LISTS, NAMES, OWN, SECRET, listening
from tests.support import decode, write_source_video

SETTINGS = (
    *("--workers", 2),
    *("--set", "max_attempts=2"),
    *("--set", "retry_backoff=0.1"),
    *("--set", "rescan_interval=0.5"),
    *("--set", "settle_time=0"),
    *("--set", "settle_time_unmarked=0"),
    *QUICK_PICTURES,
)
PROMPT = "videos/prompt_001"
ID = "prompt_001_vid001"
OUTPUTS = f"{PROMPT}/attention_videos"
OLD_TENSORS = "attention_maps/prompt_001/vid001"


@dataclass(frozen=True)
class Escape:
    """One way out.

    Attributes:
        path: the part of a batch that is exchanged for a link to a copy of it outside.
        fill: adds to a batch what the way out needs, beside one finished video.
        command: run again and again instead of a watcher.
        behaviour: what a job does, see `tests.chaos.stubs`.

    """

    path: str
    fill: Callable[[Path], object] = lambda batch: None
    command: tuple[str, ...] | None = None
    behaviour: str = "tiny"


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Try each way out many times."""
    for number, (what, escape) in enumerate(ESCAPES.items()):
        yield from _tried(folder / f"{number}", what, escape, scale.pick(3, 200))
    yield from _named(folder / "named", scale.pick(1, 10))


def _tried(folder: Path, what: str, escape: Escape, times: int) -> Iterator[Line]:
    trial, material, outside = Trial(folder), Material(folder / "material"), Outside(folder / "outside")
    exchanges = []
    for number in range(times):
        name, hidden = f"b{number:03d}", f".b{number:03d}"
        material.add(trial.root / hidden / PROMPT)
        escape.fill(trial.root / hidden)
        copy = outside.copy(trial.root / hidden / escape.path, f"{name}/{escape.path}")
        exchanges.append(Exchange(hidden, name, escape.path, copy))
    ended = False
    with outside.watched() as seen:
        if escape.command is None:
            with trial.daemon(*SETTINGS, CHAOS_STUB=escape.behaviour) as daemon:
                daemon.wait_for("watching")
                with attacking(trial.root, exchanges, times) as attack:
                    attack.wait()
                ended = daemon.process.poll() is not None
        else:
            with attacking(trial.root, exchanges, times) as attack:
                while attack.poll() is None:
                    trial.command(*escape.command, trial.root)
    assert attack.returncode == 0, f"{what}: the attack ended with {attack.returncode}"
    yield none_of(f"{what}: reads, writes and deletions outside", seen.events)
    yield none_of(f"{what}: changes outside", outside.changes())
    if escape.command is None:
        yield Figure(f"{what}: the watcher ended", int(ended), 0)


def _named(folder: Path, times: int) -> Iterator[Line]:
    """Render videos whose names, or whose contents, lead to another video or to a server."""
    trial, material, outside = Trial(folder), Material(folder / "material"), Outside(folder / "outside")
    secret = write_source_video(outside.folder / "secret.mp4", colour=SECRET)
    own = write_source_video(folder / "own.mp4", colour=OWN)
    with listening() as server, outside.watched() as seen:
        videos = [(name.format(secret=secret, port=server.port), own.read_bytes()) for name in NAMES]
        for suffix in (".mp4", ".m3u8", ".ffconcat", ".sdp", ".svg"):
            lists = (content.format(secret=secret, port=server.port).encode() for content in LISTS.values())
            videos += [(f"list{suffix}", content) for content in lists]
        seen.events.clear()  # of this process, which has written the secret
        manifests = []
        for number, (name, content) in enumerate(videos * times):
            manifest = material.place(trial.root / f"b{number:03d}" / PROMPT)
            video = manifest.parent / name
            video.parent.mkdir(parents=True, exist_ok=True)
            video.write_bytes(content)
            manifests.append(material.mark(manifest, video=name))
        with trial.daemon(*SETTINGS, stubbed=False) as daemon:
            unanswered = trial.wait_for_receipts(manifests, PATIENCE + len(manifests))
            ended = daemon.process.poll() is not None
        yield Figure("videos that name another: connections", server.connections, 0)
    yield none_of("videos that name another: reads outside", seen.events)
    overlays = list(trial.root.rglob("*_overlay.mp4"))
    yield none_of("videos that name another: pictures of another", filter(_shows_the_secret, overlays))
    rendered = len(NAMES) * times
    yield Figure("videos that name another: not rendered from their own file", rendered - len(overlays), 0)
    yield none_of("videos that name another: without an answer", unanswered)
    yield Figure("videos that name another: the watcher ended", int(ended), 0)


def _shows_the_secret(overlay: Path) -> bool:
    red, green, _ = decode(overlay)[0].to_ndarray(format="rgb24").mean(axis=(0, 1))
    return bool(red > green)


def _outputs(batch: Path) -> None:
    """Add what the outputs of the video, and the leavings of a killed job, would be called."""
    folder = batch / OUTPUTS
    (folder / f".{ID}.tmp").mkdir(parents=True)
    for name in (f".{ID}.tmp/kept", f".{ID}.lock", f"{ID}_kiss_overlay.mp4", f"{ID}_kiss_attention.mp4"):
        (folder / name).write_bytes(b"kept")


def _receipt(outputs: str, video_id: str = ID) -> Callable[[Path], None]:
    """Return what adds a failed receipt with these outputs and identifier, and an ended batch."""

    def fill(batch: Path) -> None:
        _outputs(batch)
        digest = "0" * 64
        receipt = {
            "format": "attnwatch/1",
            "video_id": video_id,
            "manifest": "video_001.complete.json",
            "status": "failed",
            "manifest_sha256": digest,
            "settings_sha256": digest,
            "renderer": 2,
            "attempts": [{"at": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "error": "x"}],
            "outputs": [{"file": outputs, "kind": "overlay", "token": outputs, "bytes": 4, "scale": [0, 1]}],
        }
        receipt_path(batch / PROMPT / "video_001.complete.json").write_text(json.dumps(receipt))
        ended = {"format": "attnwatch/1", "status": "complete", "finished": "x"}
        counts = {"expected": 1, "complete": 1, "failed": 0}
        (batch / "batch.complete.json").write_text(json.dumps({**ended, "counts": counts}))

    return fill


def _older(batch: Path) -> None:
    """Turn the batch into an older one, without a manifest."""
    folder = batch / OLD_TENSORS / "token_kiss"
    folder.mkdir(parents=True)
    np.save(folder / "step_000.npy", np.random.default_rng(1).random((1, 1, 48, 1), dtype=np.float32))
    (folder.parent / "summary.json").write_text('{"target_tokens": ["kiss"], "stored_steps": [0]}')
    (batch / PROMPT / "video_001.complete.json").unlink()
    for path in batch.rglob("*"):
        os.utime(path, (1e9, 1e9))


def _with_outputs(fill: Callable[[Path], object]) -> Callable[[Path], None]:
    def both(batch: Path) -> None:
        fill(batch)
        _outputs(batch)

    return both


# From `attention_videos/` and from the temporary folder in it, up to the folder of the outside.
_UP = "/".join([".."] * 5)

ESCAPES: dict[str, Escape] = {
    "outputs exchanged": Escape(OUTPUTS, _outputs),
    "folder of the video exchanged": Escape(PROMPT, _outputs),
    "batch exchanged": Escape(".", _outputs),
    "lock exchanged": Escape(f"{OUTPUTS}/.{ID}.lock", _outputs),
    "manifest exchanged": Escape(f"{PROMPT}/video_001.complete.json", _outputs),
    "receipt exchanged": Escape(f"{OUTPUTS}/{ID}.rendered.json", _receipt(f"{ID}_kiss_overlay.mp4")),
    "temporary folder exchanged": Escape(f"{OUTPUTS}/.{ID}.tmp", _outputs),
    "video exchanged": Escape(f"{PROMPT}/video_001.mp4", behaviour="real"),
    "tensor file exchanged": Escape(f"{PROMPT}/attention_maps/vid001.safetensors", behaviour="real"),
    "folder of the tensors exchanged": Escape(f"{PROMPT}/attention_maps", behaviour="real"),
    "outputs named by a receipt": Escape(OUTPUTS, _receipt(f"{_UP}/outside/b000/{OUTPUTS}/{ID}_kiss_overlay.mp4")),
    "identifier in a receipt": Escape(
        OUTPUTS, _receipt("x", f"/{_UP}/outside/b000/{OUTPUTS}/.{ID}"), command=("retry",)
    ),
    "older batch, folder of the video": Escape(PROMPT, _with_outputs(_older)),
    "older batch, folder of a word": Escape(f"{OLD_TENSORS}/token_kiss", _older, behaviour="real"),
    "older batch, an array": Escape(f"{OLD_TENSORS}/token_kiss/step_000.npy", _older, behaviour="real"),
    "import, folder of the video": Escape(PROMPT, _older, command=("import", "--convert")),
    "import, folder of a word": Escape(f"{OLD_TENSORS}/token_kiss", _older, command=("import", "--convert")),
}
