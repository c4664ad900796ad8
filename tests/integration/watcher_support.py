"""Helpers shared by the tests of the running watcher."""

from tests.support import (
    blob_maps,
    read_receipt,
    wait_until,
    write_manifest,
    write_source_video,
    write_tensors,
)

# Tests change files whenever they like, also after their manifests, and do not want to wait until these have settled.
QUICK = ("--set", "static_duration=0.2", "--set", "quality=fast", "--set", "settle_time=0")
LATENCY = 30.0  # seconds allowed for a file event; the next scan is 60 seconds away


def status(manifest):
    receipt = read_receipt(manifest)
    return receipt and receipt["status"]


def wait_for_rendering(*manifests, seconds=180.0):
    for manifest in manifests:
        wait_until(lambda path=manifest: status(path), seconds, f"the receipt of {manifest}")
        assert status(manifest) == "rendered", read_receipt(manifest)


def slow_video(batch, number, frames=120):
    """Write a video that takes a few seconds to render; return its manifest."""
    folder = batch.prompt()
    write_source_video(folder / f"video_{number:03d}.mp4", frames=frames, width=640, height=480)
    maps = folder / "attention_maps" / f"vid{number:03d}.safetensors"
    write_tensors(maps, {word: blob_maps() for word in ("a", "b", "c")})
    return write_manifest(folder / f"video_{number:03d}.complete.json", attention=[str(maps.relative_to(folder))])


def unfinished(root):
    """Return unfinished files: everything hidden below a folder, except the activity files of watchers."""
    return [path for path in root.rglob(".*") if ".attnwatch" not in path.parts]
