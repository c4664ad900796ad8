"""What a job does instead of rendering: what the first word of the video's prompt says, if it is one of `BEHAVIOURS`.

Otherwise `CHAOS_STUB` says it. Every rendering logs its start and its end to the file `CHAOS_LOG`.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnwatch.contract.manifest import Manifest
    from attnwatch.render.output import Output

Render = Callable[..., Any]

TINY = b"chaos: a whole file begins\n" + b"." * 4096 + b"\nand ends here\n"
UNLIMITED = 3 * 2**30  # bytes after which a job that meets no limit stops allocating


def note(event: str, manifest: "Manifest", **more: object) -> None:
    """Append a line to the log in a single write."""
    entry = {"event": event, "at": time.monotonic_ns(), "pid": os.getpid(), "manifest": str(manifest.path.absolute())}
    line = json.dumps({**entry, **more}) + "\n"
    descriptor = os.open(os.environ["CHAOS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def instead_of(real: Render) -> Render:
    """Return the replacement of `render_outputs`."""

    def render_outputs(manifest: "Manifest", settings: object, directory: Path, **options: object) -> object:
        note("start", manifest)
        prompt = (manifest.document.generation.prompt or "").split()
        if not prompt or prompt[0] not in BEHAVIOURS:
            prompt = os.environ.get("CHAOS_STUB", "tiny").split()
        act = BEHAVIOURS[prompt[0]]
        rendering = act(lambda: real(manifest, settings, directory, **options), manifest, directory, *prompt[1:])
        note("end", manifest)
        return rendering

    return render_outputs


def tiny(_real: Render, manifest: "Manifest", directory: Path) -> object:
    """Write two small files, each in two writes."""
    return _outputs(*(_write(_output(manifest, directory, kind), TINY) for kind in ("attention", "overlay")))


def sleep(real: Render, manifest: "Manifest", directory: Path, duration: str) -> object:
    """Write one file, wait `duration` seconds, write the other."""
    first = _write(_output(manifest, directory, "attention"), TINY)
    time.sleep(float(duration))
    return _outputs(first, _write(_output(manifest, directory, "overlay"), TINY))


def big(_real: Render, manifest: "Manifest", directory: Path, size: str) -> object:
    """After a moment, write and delete a file of `size` bytes, then write the files of `tiny`."""
    time.sleep(0.5)
    with (directory / "ballast").open("wb") as file:
        for _ in range(int(size) // 65536):
            file.write(bytes(65536))
    (directory / "ballast").unlink()
    return tiny(_real, manifest, directory)


def real(real: Render, _manifest: "Manifest", _directory: Path, pause: str = "0") -> object:
    """Render, with pauses before and after that widen the windows for a kill."""
    time.sleep(float(pause) / 2)
    rendering = real()
    time.sleep(float(pause) / 2)
    return rendering


def hoard(real: Render, _manifest: "Manifest", _directory: Path, descriptors: str) -> object:
    """Open `descriptors` files, then render."""
    held = [Path(os.devnull).open("rb") for _ in range(int(descriptors))]  # noqa: SIM115 - closed below
    try:
        return real()
    finally:
        for file in held:
            file.close()


def hang(_real: Render, manifest: "Manifest", _directory: Path) -> object:
    """Ignore SIGTERM for ever, with a child, a child in its own session, and a child whose parent has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _fork(manifest)
    _fork(manifest, os.setsid)
    _fork(manifest, os.setsid, _leave_parent)
    while True:
        time.sleep(60)


def crash(_real: Render, _manifest: "Manifest", _directory: Path) -> object:
    """Die of a segmentation fault, as native code might."""
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
    raise AssertionError


def allocate(_real: Render, manifest: "Manifest", _directory: Path) -> object:
    """Allocate memory until a limit is met."""
    block = bytearray()
    while len(block) < UNLIMITED:
        block += b"x" * 2**24
    note("unlimited", manifest)
    raise AssertionError("no limit was met")


def _fork(manifest: "Manifest", *then: Callable[[], object]) -> None:
    if os.fork():
        return
    for action in then:
        action()
    note("child", manifest)
    while True:
        time.sleep(60)


def _leave_parent() -> None:
    if os.fork():
        os._exit(0)


def _output(manifest: "Manifest", directory: Path, kind: str) -> "Output":
    # Imported here because this module must not load more than the program itself does.
    from attnwatch.contract.kinds import OutputKind
    from attnwatch.render.maps import Scale
    from attnwatch.render.output import UNFINISHED_SUFFIX, Output

    path = directory / f"{manifest.video_id}_kiss_{kind}.mp4{UNFINISHED_SUFFIX}"
    return Output(path, OutputKind(kind), "kiss", Scale(0.0, 1.0))


def _write(output: "Output", content: bytes) -> "Output":
    with output.path.open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        file.write(content[len(content) // 2 :])
    return output


def _outputs(*outputs: "Output") -> object:
    return sys.modules["attnwatch.render.video"].Rendering(tuple(outputs), ())


BEHAVIOURS: dict[str, Render] = {act.__name__: act for act in (tiny, sleep, big, real, hoard, hang, crash, allocate)}
