import re
import threading
from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
from av.video.reformatter import ColorTrc

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import read_manifest
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.combined.hues import hues_rgb
from attnwatch.render.combined.mixture import Mixture
from attnwatch.render.compose import Enlarged, HeatPainter, pixels
from attnwatch.render.memory import MOST_WORDS, Load, encoder_bytes, must_be_lean, plan
from attnwatch.render.overlay import overlay
from attnwatch.render.video import render_outputs
from attnwatch.settings import OverlayStyle, Visualization
from attnwatch.system.limits import Limits, own_data
from tests.support import Batch, called_in_a_process

KINDS = (OutputKind.OVERLAY, OutputKind.ATTENTION)
HD, UHD, HUGE = (1920, 1080), (3840, 2160), (7680, 4320)
GIB = 2**30


def load(size, quality="balanced", threads=1, values=81 * 30 * 52, *, combined=0, hdr=False):
    return Load(size, dict.fromkeys(OutputKind, size), values, quality, threads, combined, hdr)


def test_without_a_limit_and_at_usual_sizes_four_words_are_rendered_in_one_pass():
    for size, room in ((HUGE, None), ((832, 480), GIB), (HD, 1.8 * GIB)):
        planned = plan(load(size), 10, KINDS, room)
        assert (planned.words, planned.groups, planned.lean) == (MOST_WORDS, (KINDS,), False)


def test_no_more_words_are_planned_than_there_are():
    assert plan(load(HD), 2, KINDS, None).words == 2


def test_where_memory_is_short_fewer_words_share_a_pass():
    planned = plan(load(UHD), 3, KINDS, 1.8 * GIB)
    assert (planned.words, planned.groups, planned.lean) == (1, (KINDS,), False)


def test_if_one_word_does_not_fit_each_kind_has_its_own_pass():
    planned = plan(load(UHD), 3, KINDS, 0.9 * GIB)
    assert (planned.words, planned.groups, planned.lean) == (1, ((KINDS[0],), (KINDS[1],)), False)


def test_a_combined_output_counts_once_and_with_the_maps_of_all_its_words():
    kinds = (*KINDS, OutputKind.COMBINED)
    planned = load(HD, combined=6)
    alone = planned.bytes(4, (OutputKind.COMBINED,), lean=False)
    assert planned.bytes(1, (OutputKind.COMBINED,), lean=False) == alone
    more = [planned.bytes(words, kinds, lean=False) - planned.bytes(words, KINDS, lean=False) for words in (1, 4)]
    assert more[0] == more[1] > encoder_bytes(HD, "balanced", lean=False) + 6 * HD[0] * HD[1]
    assert plan(planned, 6, kinds, 0.5 * GIB).groups == tuple((kind,) for kind in kinds)


def test_if_one_output_does_not_fit_encoders_hold_fewer_frames():
    planned = plan(load(HUGE), 1, KINDS, 1.8 * GIB)
    assert (planned.words, planned.groups, planned.lean) == (1, ((KINDS[0],), (KINDS[1],)), True)


def test_what_does_not_fit_at_all_is_refused_in_one_sentence():
    with pytest.raises(MemoryError) as error:
        plan(load(HUGE), 1, KINDS, GIB)
    assert re.fullmatch(
        r"one output of 7680 x 4320 pixels needs about [\d.]+ GiB, of which 1 GiB are left", str(error.value)
    )


def test_encoders_of_stills_hold_fewer_frames_only_if_they_must():
    assert not must_be_lean(UHD, "high", None)
    assert not must_be_lean(UHD, "high", GIB)
    assert must_be_lean(HUGE, "balanced", 1.8 * GIB)
    with pytest.raises(MemoryError, match="one output of 7680 x 4320 pixels"):
        must_be_lean(HUGE, "balanced", GIB // 2)


def test_better_quality_and_larger_pictures_need_more():
    assert encoder_bytes(HD, "fast", lean=False) < encoder_bytes(HD, "high", lean=False)
    assert encoder_bytes(HD, "high", lean=True) < encoder_bytes(HD, "high", lean=False)
    assert encoder_bytes(HD, "fast", lean=False) < encoder_bytes(UHD, "fast", lean=False)


def write_noise(path, size, frames, *, hdr=False):
    """Write a video that is hard to encode; with `hdr`, of 10 bits and the transfer PQ."""
    noise = np.random.default_rng(0).integers(0, 255, size[0] * size[1] * 2, np.uint8)
    pixels = "yuv420p10le" if hdr else "yuv420p"
    if hdr:
        noise = (noise.astype(np.uint16) * 4).view(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"preset": "ultrafast", "crf": "35"})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if hdr:
            stream.codec_context.color_trc = ColorTrc.SMPTE2084
        for index in range(frames):
            frame = av.VideoFrame(*size, pixels)
            for plane in frame.planes:
                plane.update(np.roll(noise[: plane.buffer_size], index * 16))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def render(path, directory, settings, limit):
    """Render under a memory limit; return the largest growth of this process's data in bytes, and the notes."""
    Limits(3600, memory=None if limit is None else own_data() + limit).restrict()
    before = peak = own_data()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, own_data())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        rendering = render_outputs(read_manifest(path), settings, directory)
    finally:
        done.set()
        watcher.join()
    return peak - before, rendering.notes


@pytest.mark.slow
def test_pages_need_no_more_memory_than_planned(tmp_path):
    manifest = Batch.make(tmp_path).add(words=("word0", "word1"))
    write_noise(manifest.with_name("video_001.mp4"), (832, 480), frames=14)
    page = (1920, 1200)
    settings = Visualization(quality="fast", static_duration=0.1, figsize=(19.2, 12))
    used, _ = called_in_a_process(render, manifest, tmp_path, settings, None)
    planned = Load((832, 480), dict.fromkeys(KINDS, page), 14 * 48, "fast", threads=1)
    assert used <= planned.bytes(2, KINDS, lean=False)


def test_pages_count_beside_what_encodes_them():
    page = (1920, 1200)
    sizes = [dict.fromkeys(KINDS, size) for size in (HD, page)]
    plain, paged = (Load(HD, shown, 0, "fast", 1).bytes(1, KINDS, lean=False) for shown in sizes)
    encoders = [encoder_bytes(size, "fast", lean=False) for size in (HD, page)]
    assert paged - plain > 2 * (encoders[1] - encoders[0]) + 2 * 3 * page[0] * page[1]


@pytest.mark.parametrize(
    ("size", "words", "limit", "hdr"),
    [
        ((832, 480), 4, None, False),
        (HD, 2, None, False),
        pytest.param(HD, 2, GIB // 4, False, id="a pass for each kind of output"),
        pytest.param(UHD, 2, int(0.8 * GIB), False, marks=pytest.mark.slow),
        pytest.param(HD, 1, None, True, id="a video of high dynamic range"),
    ],
)
def test_a_rendering_needs_no_more_memory_than_planned(tmp_path, size, words, limit, hdr):
    manifest = Batch.make(tmp_path).add(words=[f"word{number}" for number in range(words)])
    write_noise(manifest.with_name("video_001.mp4"), size, frames=14, hdr=hdr)
    kinds = (*KINDS, OutputKind.COMBINED) if words > 2 else KINDS
    settings = Visualization(quality="fast", static_duration=0.1, generate_combined=kinds != KINDS)
    used, notes = called_in_a_process(render, manifest, tmp_path, settings, limit)
    planned = load(size, "fast", values=14 * 48, combined=words, hdr=hdr)
    found = plan(planned, words, kinds, limit)
    assert used <= max(planned.bytes(found.words, group, lean=found.lean) for group in found.groups)
    assert [note.startswith("the video is HDR") for note in notes] == [True] * hdr
    assert len(list(tmp_path.glob("*.partial"))) == 3 * words + (kinds != KINDS)


def resident(what):
    """Return the memory of this process that is resident (`VmRSS`), or the most that was (`VmHWM`), in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def growth(style, size, words):
    """Return by how many bytes this process grows while maps are laid over one picture."""
    rng = np.random.default_rng(0)
    colours = Colours.usual(size[1])
    tables = yuv_tables("viridis", colours)

    def lay(width, height):
        source = av.VideoFrame(width, height, "yuv420p")
        for plane in source.planes:
            pixels(plane)[:] = 128
        painter = HeatPainter(width, height, tables)
        maps = rng.random((words, 30, 52), np.float32)
        if style == "combined":
            over = Mixture(hues_rgb(words), 0.8, colours, inverted=False).over
        else:
            over = overlay(style, tables, 0.8, inverted=False).over
        Path("/proc/self/clear_refs").write_text("5")  # the most is counted from now on
        before = resident("VmRSS")
        enlarged = [Enlarged(painter, map_) for map_ in maps]
        over(source, enlarged if style == "combined" else enlarged[0])
        painter.coloured(enlarged[0])
        return resident("VmHWM") - before

    lay(64, 48)
    return lay(*size)


@pytest.mark.parametrize(("style", "words"), [*((style, 1) for style in get_args(OverlayStyle)), ("combined", 6)])
def test_the_pictures_of_an_overlay_need_no_more_memory_than_planned(style, words):
    kinds = (OutputKind.COMBINED,) if style == "combined" else (OutputKind.OVERLAY,)
    with_pictures, without = (load(UHD, threads=threads, values=0, combined=threads * words) for threads in (1, 0))
    planned = with_pictures.bytes(1, kinds, lean=False) - without.bytes(1, kinds, lean=False)
    assert called_in_a_process(growth, style, UHD, words) <= planned


def test_the_outputs_of_several_passes_are_the_same(tmp_path):
    manifest = Batch.make(tmp_path).add(words=("kiss", "dog"))
    write_noise(manifest.with_name("video_001.mp4"), (640, 480), frames=10)
    settings, found = Visualization(quality="fast", static_duration=0.1), []
    for name, limit in (("one", None), ("several", 140 * 2**20)):
        (tmp_path / name).mkdir()
        called_in_a_process(render, manifest, tmp_path / name, settings, limit)
        found.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert plan(load((640, 480), "fast", values=480), 2, KINDS, 140 * 2**20).groups != (KINDS,)
    assert found[0] == found[1]


def test_pictures_of_a_lean_encoder_are_as_good(tmp_path):
    manifest = Batch.make(tmp_path).add()
    write_noise(manifest.with_name("video_001.mp4"), (1280, 720), frames=10)
    settings = Visualization(generate_aggregated=False, generate_overlay=False)
    _, notes = called_in_a_process(render, manifest, tmp_path, settings, 140 * 2**20)
    (note,) = notes
    assert note.startswith("encoded with fewer frames in memory, because memory_limit leaves no room for more")
    (path,) = tmp_path.glob("*.partial")
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10
