"""Broken and hostile videos, each with its expected result."""

import json
import os
import pickle
import random
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import zstandard
from safetensors.numpy import save

from tests.chaos.figures import Skipped
from tests.support import blob_maps, file_record, write_json, write_source_video, write_tensors

RENDERED, FAILED, EITHER = {"rendered"}, {"failed"}, {"rendered", "failed"}
MAPS = "maps.safetensors"
VIDEO = "video_001.mp4"
MARKER = "video_001.complete.json"
LATE = 2.0  # seconds by which the data follow their completion marker


@dataclass(frozen=True, eq=False)
class Case:
    """One broken or hostile video.

    Attributes:
        name: what is wrong with it.
        manifest: path of its completion marker.
        expected: acceptable statuses.
        words: the error must contain at least one of them.
        later: called after the daemon has started.

    """

    name: str
    manifest: Path
    expected: set[str]
    words: tuple[str, ...] = (MAPS,)
    later: Callable[[], None] | None = None

    def __str__(self) -> str:
        return self.name

    def is_settled(self, receipt: dict[str, Any] | None) -> bool:
        """Return whether the daemon has finished with it."""
        return receipt is not None and receipt["next_attempt"] is None

    def is_wrong(self, receipt: dict[str, Any] | None) -> bool:
        """Return whether its status is not an expected one."""
        return receipt is None or receipt["status"] not in self.expected

    def is_dark(self, receipt: dict[str, Any] | None) -> bool:
        """Return whether it failed with an error that does not name what is wrong."""
        if receipt is None or receipt["status"] != "failed":
            return False
        error = receipt["attempts"][-1]["error"]
        return not any(word in error for word in self.words) or "without a result" in error or "Traceback" in error


def make_cases(
    root: Path, outside: Path, *, truncated: int, flipped: int, bomb: int
) -> tuple[list[Case], list[Skipped]]:
    """Write all cases below `root`, and files that no case may cause to be opened into `outside`."""
    outside.mkdir()
    write_tensors(outside / MAPS, {"kiss": blob_maps()})
    write_source_video(outside / VIDEO)
    maker = _Maker(root, outside)
    skipped: list[Skipped] = []
    cases = [
        *_damaged(maker, truncated, flipped),
        *_values(maker),
        *_lying(maker, bomb),
        *_paths(maker, skipped),
        *_videos(maker),
        *_manifests(maker),
        *_names(maker),
        _early(maker),
    ]
    return cases, skipped


class _Maker:
    """Writes one video per call, valid except for what the caller changes."""

    def __init__(self, root: Path, outside: Path) -> None:
        self._root = root
        self.outside = outside
        self.random = random.Random(8)
        self.whole = write_tensors(outside.parent / "whole.safetensors", {"kiss": blob_maps()}).read_bytes()
        self.video = write_source_video(outside.parent / "whole.mp4").read_bytes()

    def folder(self, name: str) -> Path:
        folder = self._root / name
        folder.mkdir(parents=True)
        (folder / VIDEO).write_bytes(self.video)
        (folder / MAPS).write_bytes(self.whole)
        return folder

    def case(
        self,
        name: str,
        expected: set[str],
        *,
        words: tuple[str, ...] = (MAPS,),
        maps: bytes | None = None,
        **fields: Any,
    ) -> Case:
        """Write a video and its manifest, with `maps` as the content of its tensor file if given."""
        folder = self.folder(name)
        if maps is not None:
            (folder / MAPS).write_bytes(maps)
        return Case(name, write_manifest(folder, **fields), expected, words)


def write_manifest(folder: Path, **fields: Any) -> Path:
    document = {"format": "attnwatch/1", "video": VIDEO, "attention": [MAPS], **fields}
    return write_json(folder / MARKER, document)


def _damaged(maker: _Maker, truncated: int, flipped: int) -> Iterator[Case]:
    size = len(maker.whole)
    for index, offset in enumerate(maker.random.sample(range(size), min(truncated, size))):
        yield maker.case(f"truncated_{index:03d}_at_{offset}", FAILED, maps=maker.whole[:offset])
    for index in range(flipped):
        data = bytearray(maker.whole)
        # Every other bit is in the header, where it does the most damage.
        place = maker.random.randrange(200 if index % 2 else size)
        data[place] ^= 1 << maker.random.randrange(8)
        yield maker.case(f"flipped_{index:03d}_at_{place}", EITHER, words=(MAPS, "kiss"), maps=bytes(data))
        folder = maker.folder(f"flipped_{index:03d}_with_digest")
        files = {name: file_record(folder / name) for name in (VIDEO, MAPS)}
        (folder / MAPS).write_bytes(bytes(data))
        yield Case(folder.name, write_manifest(folder, files=files), FAILED, ("SHA-256",))
    yield maker.case("tensors_of_no_bytes", FAILED, maps=b"")


def _values(maker: _Maker) -> Iterator[Case]:
    good = blob_maps()
    for name, value in (("nan", np.nan), ("infinity", np.inf), ("minus_infinity", -np.inf), ("negative", -0.1)):
        maps = good.copy()
        maps[1, 0, 0, 1, 2, 3] = value
        yield maker.case(name, FAILED, maps=_tensors(kiss=maps))
    yield maker.case("all_equal", RENDERED, maps=_tensors(kiss=np.full_like(good, 0.25)))
    yield maker.case("all_zero", RENDERED, maps=_tensors(kiss=np.zeros_like(good)))
    for shape in ((3,), (2, 1, 1, 3, 6), (2, 1, 1, 3, 6, 0), (1,) * 9):
        yield maker.case(f"shape_{'_'.join(map(str, shape))}", FAILED, maps=_tensors(kiss=np.zeros(shape, np.float32)))
    yield maker.case("integers", FAILED, maps=_tensors(kiss=np.ones(good.shape, np.int64)))
    # A sparse file: 400 MB that take no disk space.
    side = 10_000
    header = _header({"kiss": {"dtype": "F32", "shape": [1, 1, 1, 1, side, side], "data_offsets": [0, 4 * side**2]}})
    case = maker.case("ten_thousand_square", EITHER, maps=header)
    os.truncate(case.manifest.with_name(MAPS), len(header) + 4 * side**2)
    yield case


def _lying(maker: _Maker, bomb: int) -> Iterator[Case]:
    huge = 4 * 10**12
    entry = {"dtype": "F32", "shape": [1, 1, 1, 1, 10**6, 10**6], "data_offsets": [0, huge]}
    yield maker.case("four_terabytes_of_data", FAILED, maps=_header({"kiss": entry}) + bytes(100))
    yield maker.case("four_terabytes_of_header", FAILED, maps=struct.pack("<Q", huge) + b"{}" + bytes(100))
    overlapping = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in ("a", "b")}
    yield maker.case("overlapping", FAILED, maps=_header(overlapping) + bytes(4))
    yield maker.case("negative_shape", FAILED, maps=_header({"kiss": {**entry, "shape": [-1, 1]}}) + bytes(100))
    yield from _bombs(maker, bomb)
    canary = maker.outside / "was_run_pickle"
    yield maker.case("pickle_as_safetensors", FAILED, maps=pickle.dumps(_Touch(str(canary))))
    folder = maker.folder("pickle")
    (folder / "maps.pt").write_bytes(pickle.dumps(_Touch(str(canary))))
    yield Case("pickle", write_manifest(folder, attention=["maps.pt"]), FAILED, ("maps.pt",))


class _Touch:
    """Creates a folder when its pickle is loaded."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)


def _bombs(maker: _Maker, size: int) -> Iterator[Case]:
    zeros = zstandard.ZstdCompressor().compress(bytes(size))
    name = f"{MAPS}.zst"
    for title, data in (
        ("bomb_of_zeros", zeros),
        ("bomb_that_claims_4_tb", _claiming(zeros, 4 * 10**12)),
        ("bomb_that_claims_little", _claiming(zeros, 1000)),
    ):
        folder = maker.folder(title)
        (folder / name).write_bytes(data)
        yield Case(title, write_manifest(folder, attention=[name]), FAILED, (name,))


def _claiming(frame: bytes, size: int) -> bytes:
    """Return a zstd frame with another decompressed size in its header (RFC 8878, section 3.1.1)."""
    flag = frame[4] >> 6
    single_segment = bool(frame[4] & 0x20)
    start = 5 + (0 if single_segment else 1)
    length = {0: 1 if single_segment else 0, 1: 2, 2: 4, 3: 8}[flag]
    window = frame[5:6] if not single_segment else bytes([0x58])  # 2 MiB
    return frame[:4] + bytes([0xC0 | (frame[4] & 0x07)]) + window + struct.pack("<Q", size) + frame[start + length :]


def _paths(maker: _Maker, skipped: list[Skipped]) -> Iterator[Case]:
    written: tuple[tuple[str, str, Any], ...] = (
        ("path_upwards", "attention", ["../../../outside/maps.safetensors"]),
        ("path_absolute", "attention", [str(maker.outside / MAPS)]),
        ("path_absolute_video", "video", str(maker.outside / VIDEO)),
        ("path_inwards_and_upwards", "video", "a/../../x.mp4"),
        ("path_with_nul", "video", "video\0.mp4"),
    )
    for name, field, value in written:
        yield maker.case(name, FAILED, words=(field,), **{field: value})
    replaced: tuple[tuple[str, Callable[[Path], None]], ...] = (
        ("link_outside", lambda path: path.symlink_to(maker.outside / path.name)),
        ("link_to_device", lambda path: path.symlink_to("/dev/zero")),
        ("fifo", os.mkfifo),
        ("folder", Path.mkdir),
        ("link_to_itself", lambda path: path.symlink_to(path)),
    )
    for name, replace in replaced:
        for file, field in ((MAPS, "attention"), (VIDEO, "video")):
            folder = maker.folder(f"{name}_as_{field}")
            (folder / file).unlink()
            replace(folder / file)
            yield Case(folder.name, write_manifest(folder), FAILED, (file,))
    folder = maker.folder("device")
    try:
        (folder / MAPS).unlink()
        os.mknod(folder / MAPS, 0o600 | 0o020000, os.makedev(1, 5))
        yield Case("device", write_manifest(folder), FAILED, (MAPS,))
    except PermissionError:
        skipped.append(Skipped("a device among the files", "needs root, to make a device"))


def _videos(maker: _Maker) -> Iterator[Case]:
    def with_video(name: str, data: bytes, expected: set[str] = FAILED) -> Case:
        folder = maker.folder(name)
        (folder / VIDEO).write_bytes(data)
        return Case(name, write_manifest(folder), expected, (VIDEO,))

    yield with_video("video_of_text", b"this is no video\n" * 1000)
    yield with_video("video_of_no_bytes", b"")
    yield with_video("video_cut_off", maker.video[: len(maker.video) // 2])
    yield with_video("video_of_zeros", bytes(100_000))
    yield with_video("video_of_no_frames", _video_without_frames(maker.outside.parent / "empty.mp4"))


def _video_without_frames(path: Path) -> bytes:
    """Return a video file that consists of a header only."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path.read_bytes()


def _manifests(maker: _Maker) -> Iterator[Case]:
    for name, data in (
        ("manifest_of_100_mb", b'{"format": "attnwatch/1", "x": "' + b"x" * 100_000_000 + b'"}'),
        ("manifest_of_no_bytes", b""),
        ("manifest_of_brackets", b"[" * 1_000_000),
        ("manifest_of_noise", maker.random.randbytes(1000)),
        ("manifest_of_version_2", b'{"format": "attnwatch/2", "video": "video_001.mp4", "attention": []}'),
    ):
        folder = maker.folder(name)
        (folder / MARKER).write_bytes(data)
        yield Case(name, folder / MARKER, FAILED, (MARKER,))
    folder = maker.folder("manifest_is_a_fifo")
    os.mkfifo(folder / MARKER)
    yield Case("manifest_is_a_fifo", folder / MARKER, FAILED, (MARKER,))
    folder = maker.folder("manifest_links_outside")
    (maker.outside / MARKER).write_text("{}")
    (folder / MARKER).symlink_to(maker.outside / MARKER)
    yield Case("manifest_links_outside", folder / MARKER, FAILED, (MARKER,))


def _names(maker: _Maker) -> Iterator[Case]:
    for name in (
        "with\na newline",
        "with 😀 emoji",
        "x" * 255,
        "with\x1b[31m escape",
        "--help",
        "with 'quotes\" and $(x)",
    ):
        yield maker.case(name, RENDERED)
    folder = maker.folder("file_names")
    long = "v" * (255 - len(".complete.json"))
    for stem in ("a\nb", "😀", long):
        video = f"{stem}.mp4"
        (folder / video).write_bytes(maker.video)
        document = {"format": "attnwatch/1", "video": video, "attention": [MAPS]}
        path = folder / f"{stem}.complete.json"
        path.write_text(json.dumps(document))
        yield Case(f"file {stem[:10]!r}", path, RENDERED)


def _early(maker: _Maker) -> Case:
    folder = maker.folder("marker_before_data")
    (folder / MAPS).unlink()
    (folder / VIDEO).unlink()

    def come() -> None:
        (folder / MAPS).write_bytes(maker.whole)
        (folder / VIDEO).write_bytes(maker.video)

    timer = threading.Timer(LATE, come)
    timer.daemon = True
    return Case(folder.name, write_manifest(folder), RENDERED, later=timer.start)


def _header(entries: dict[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def _tensors(**tensors: npt.NDArray[Any]) -> bytes:
    data: bytes = save(tensors)
    return data
