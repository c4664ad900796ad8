"""Exports of real videos, decoded again: values, sizes, times, and what the document says about them."""

import struct
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest

import attnwatch
from attnwatch.batches.videos import read_video
from attnwatch.errors import ConfigError, UnknownNameError
from attnwatch.render.export.video import Export
from attnwatch.settings import Visualization
from tests.exported import document, exr, exr_header, files, plane_of, png, png_chunks
from tests.odd_videos import write_at
from tests.support import GRID, Batch, blob_maps, contents, decode, write_manifest, write_source_video, write_tensors
from tests.unit.attnwatch.render.reference import bilinear

TIMES = [80, 120, 175, 200, 280, 281, 400, 480, 560]  # of 9 frames, in milliseconds
LATENT = [0, 0.4, 0.8, 1.125, 1.375, 1.625, 1.875, 2, 2]  # of these frames, of which 1 + 4 + 4 belong together
MAPS = blob_maps(peak=0.02)


def video(folder, *, times=TIMES, maps=MAPS, texts=("two men", "kiss"), **fields):
    """Write a video whose frames come at the given times, and return its manifest."""
    write_at(folder / "video_001.mkv", times)
    write_tensors(folder / "maps.safetensors", {"two_men": maps, "kiss": maps[..., ::-1]})
    tokens = [{"slug": text.replace(" ", "_"), "text": text} for text in texts]
    stated = {"video": "video_001.mkv", "tokens": tokens, "generation": {"prompt": "two men kiss", "seed": 7}, **fields}
    return read_video(write_manifest(folder / "video_001.complete.json", **stated))


def exported(manifest, kind, out, settings=None, **asked):
    """Export a video, and return the folder of the export."""
    export = Export(manifest, settings or Visualization(), kind, **asked)
    export.write(out)
    return out / export.name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One video, exported in every way."""
    folder = tmp_path_factory.mktemp("prompt_001")
    manifest, out = video(folder), folder / "out"
    ways = {name: exported(manifest, name, out) for name in ("exr", "png16", "prores4444")}
    grids = {f"{name}_grid": exported(manifest, name, out, grid=True) for name in ("exr", "png16")}
    return SimpleNamespace(manifest=manifest, out=out, **ways, **grids)


def expected(maps=MAPS, latent=LATENT, size=(64, 48)):
    """Return the map of each frame in 64 bits."""
    mean = maps.astype(np.float64).mean(axis=(0, 1, 2))
    numbers = np.arange(len(mean))
    weights = np.maximum(0, 1 - np.abs(np.asarray(latent)[:, None] - numbers))
    return np.stack([bilinear(one, *size[::-1]) for one in np.einsum("il,lyx->iyx", weights, mean)])


def test_exr_images_are_attention_itself_one_for_each_frame(made):
    images = np.stack([exr(path) for path in files(made.exr)])
    assert len(images) == len(TIMES)
    for channel in range(3):
        np.testing.assert_allclose(images[:, channel], expected(), rtol=1e-6)
    (mirrored, *_) = (exr(path)[0] for path in files(made.exr, word=1))
    np.testing.assert_allclose(mirrored, expected()[0, :, ::-1], rtol=1e-6)


def test_exr_images_of_the_grid_are_the_stored_maps_bit_by_bit(made):
    stored = attnwatch.open(made.manifest.folder)[made.manifest.video_id].attention("two men")
    images = np.stack([exr(path) for path in files(made.exr_grid)])
    assert images.shape == (GRID[0], 3, *GRID[1:])
    for channel in range(3):
        assert images[:, channel].tobytes() == stored.tobytes()


def test_exr_headers_tell_rate_channels_and_no_conversion(made):
    header = exr_header(files(made.exr)[0])
    channels = header["channels"]  # each with its name, type and sampling
    floats = {channels[at : at + 2]: struct.unpack_from("<I", channels, at + 2) == (2,) for at in (0, 18, 36)}
    assert floats == {b"B\0": True, b"G\0": True, b"R\0": True}
    assert struct.unpack("<f", header["pixelAspectRatio"]) == (1,)
    about = document(made.exr)
    assert list(struct.unpack("<II", header["framesPerSecond"])) == about["rate"]
    assert "chromaticities" not in header


@pytest.mark.parametrize("grid", [False, True])
def test_png_images_are_on_the_scale_in_the_document(made, grid):
    folder = made.png16_grid if grid else made.png16
    about = document(folder)
    word, levels = about["words"][0], about["levels"]
    images = np.stack([png(path) for path in files(folder)])
    found = word["low"] + (word["high"] - word["low"]) * images / levels
    values = MAPS.mean(axis=(0, 1, 2)) if grid else expected()
    assert len(images) == len(values)
    np.testing.assert_allclose(found, values, atol=0.6 * (word["high"] - word["low"]) / 65535)
    assert (images.min(), images.max()) == (0, 65535) or not grid


def test_png_images_have_nothing_that_makes_programs_convert_them(made):
    chunks = dict(png_chunks(files(made.png16)[0]))
    assert set(chunks) == {"IHDR", "pHYs", "IDAT", "IEND"}
    assert struct.unpack(">IIB", chunks["pHYs"]) == (1, 1, 0)  # square pixels of no particular size


def test_films_have_the_map_as_grey_and_without_loss_as_alpha(made):
    about = document(made.prores4444)
    word = about["words"][0]
    frames = decode(made.prores4444 / word["files"])
    shares = (expected() - word["low"]) / (word["high"] - word["low"])
    assert len(frames) == len(TIMES)
    for frame, share in zip(frames, shares, strict=True):
        assert frame.format.name == "yuva444p12le"
        luma, blue, red, alpha = (plane_of(frame, number, "<u2").astype(float) for number in range(4))
        np.testing.assert_allclose(alpha / 4095, share, atol=0.75 / 1023)
        np.testing.assert_allclose((luma / 4 - 64) / 876, share, atol=3 / 876)
        assert set(np.unique(blue)) == set(np.unique(red)) == {2048.0}
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
    assert about["alpha"] == "premultiplied"


def test_films_show_each_frame_when_the_video_does(made):
    source, film = decode(made.manifest.video), decode(made.prores4444 / document(made.prores4444)["words"][0]["files"])
    start = source[0].pts * source[0].time_base
    assert [frame.pts * frame.time_base for frame in film] == [frame.pts * frame.time_base - start for frame in source]
    with av.open(str(made.prores4444 / document(made.prores4444)["words"][0]["files"])) as container:
        (stream,) = container.streams
        last = document(made.prores4444)["frames"][-1]["duration"]
        assert stream.duration * stream.time_base == film[-1].pts * film[-1].time_base + last * source[0].time_base


def test_the_document_tells_the_times_of_all_frames_and_their_latent_frames(made):
    source = decode(made.manifest.video)
    for folder in (made.exr, made.png16, made.prores4444, made.exr_grid):
        about = document(folder)
        assert [frame["pts"] for frame in about["frames"]] == [frame.pts for frame in source]
        assert [frame["duration"] for frame in about["frames"][:-1]] == list(np.diff(TIMES))
        assert about["time_base"] == list(source[0].time_base.as_integer_ratio())
        assert [frame["seconds"] for frame in about["frames"]] == pytest.approx([(time - 80) / 1000 for time in TIMES])
        assert [frame["latent"] for frame in about["frames"]] == pytest.approx(LATENT, abs=1e-6)
        assert [(one["first"], one["last"]) for one in about["latent_frames"]] == [(0, 0), (1, 4), (5, 8)]
        middles = [np.interp(frame, range(9), TIMES) / 1000 - 0.08 for frame in (0, 2.5, 6.5)]
        assert [one["seconds"] for one in about["latent_frames"]] == pytest.approx(middles)


def test_the_document_says_what_was_exported(made):
    about = document(made.exr)
    assert (about["prompt"], about["seed"], about["video"]) == ("two men kiss", 7, "video_001.mkv")
    assert [word["text"] for word in about["words"]] == ["two men", "kiss"]
    assert (about["width"], about["height"], about["content"]) == (64, 48, "frames")
    grid = document(made.exr_grid)
    assert (grid["width"], grid["height"], grid["content"], grid["pixel_aspect"]) == (8, 6, "grid", [1, 1])
    listed = {word["files"] % number for word in about["words"] for number in range(1, 10)}
    assert {path.name for path in made.exr.iterdir()} == listed | {f"{about['video_id']}_export.json"}


def test_words_are_chosen_by_slug_or_text(made, tmp_path):
    for name in ("two_men", "two men"):
        folder = exported(made.manifest, "png16", tmp_path, words=[name], grid=True)
        assert [word["slug"] for word in document(folder)["words"]] == ["two_men"]


def test_an_unknown_word_is_an_error_that_names_the_words(made, tmp_path):
    with pytest.raises(UnknownNameError, match=r"found no word 'kis'; expected one of: two_men, kiss$"):
        exported(made.manifest, "exr", tmp_path / "new", words=["kiss", "kis"])
    assert not (tmp_path / "new").exists()


def test_a_film_of_the_grid_is_refused(made, tmp_path):
    with pytest.raises(ConfigError, match="expected images: png16 or exr"):
        exported(made.manifest, "prores4444", tmp_path, grid=True)


def test_settings_choose_steps_scale_and_interpolation(made, tmp_path):
    chosen = Visualization(steps=1, vmin=0.005, vmax=0.01, interpolation_steps=0, upsampling="nearest", invert=True)
    folder = exported(made.manifest, "png16", tmp_path, chosen, words=["kiss"])
    about = document(folder)
    assert (about["words"][0]["low"], about["words"][0]["high"]) == pytest.approx((0.005, 0.01))
    assert (about["selection"]["steps"], about["upsampling"], about["interpolation_steps"]) == (1, "nearest", 0)
    covering = [0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert [frame["latent"] for frame in about["frames"]] == covering
    step = MAPS[1, 0, 0, :, :, ::-1].astype(np.float64)
    cells = np.kron(step[covering], np.ones((1, 8, 8)))
    levels = np.clip((cells - 0.005) / 0.005, 0, 1) * 65535
    np.testing.assert_allclose(np.stack([png(path) for path in files(folder)]), levels, atol=1)


def test_images_are_numbered_from_any_number(made, tmp_path):
    folder = exported(made.manifest, "exr", tmp_path, words=["kiss"], grid=True, first_number=1001)
    assert [path.suffixes[0] for path in files(folder)] == [".1001", ".1002", ".1003"]


@pytest.mark.parametrize("kind", ["exr", "prores4444"])
def test_several_threads_write_the_same_files(made, tmp_path, kind):
    assert contents(exported(made.manifest, kind, tmp_path, threads=4)) == contents(getattr(made, kind))


def test_a_video_of_odd_size_is_exported_at_its_own_size(tmp_path):
    manifest = read_video(Batch.make(tmp_path).add(source=False))
    write_source_video(manifest.video, width=65, height=49, pix_fmt="yuv444p")
    folder = exported(manifest, "exr", tmp_path / "out")
    np.testing.assert_allclose(
        np.stack([exr(path)[0] for path in files(folder)]), expected(blob_maps(), size=(65, 49)), rtol=1e-6
    )


def test_maps_of_an_interpolated_video_follow_its_time(tmp_path):
    """17 frames of a video of which 9 were generated at 12.5 frames per second."""
    made = {"fps": 12.5, "frames": 9}
    grid = {"frames": 3, "height": 6, "width": 8, "temporal_stride": 4, "causal_first_frame": True}
    manifest = read_video(Batch.make(tmp_path).add(source=False, tensors={"kiss": MAPS}, generation=made, grid=grid))
    write_source_video(manifest.video, frames=17, fps=25)
    folder = exported(manifest, "exr", tmp_path / "out")
    latent = np.interp(np.arange(17) / 2, [0, 2.5, 6.5], [0, 1, 2])
    about = document(folder)
    assert [frame["latent"] for frame in about["frames"]] == pytest.approx(latent, abs=1e-6)
    (note,) = about["notes"]
    assert note.endswith("maps are placed by time, at 12.5 generated frames per second")
    images = np.stack([exr(path)[0] for path in files(folder)])
    np.testing.assert_allclose(images, expected(latent=latent), rtol=2e-6)


def test_an_absent_video_is_exported_as_its_manifest_says(tmp_path):
    stated = {"generation": {"width": 64, "height": 48, "frames": 9, "fps": 12.5}}
    manifest = read_video(Batch.make(tmp_path).add(source=False, **stated))
    folder = exported(manifest, "exr", tmp_path / "out")
    np.testing.assert_allclose(np.stack([exr(path)[0] for path in files(folder)]), expected(blob_maps()), rtol=1e-6)
    about = document(folder)
    assert (about["rate"], about["frames"][8]["seconds"]) == ([25, 2], pytest.approx(0.64))
    assert about["notes"] == ["the video video_001.mp4 is absent: size and times are as its manifest says"]


def test_masked_values_become_the_lower_end_of_the_scale(tmp_path):
    maps = MAPS.copy()
    maps[:, :, :, :, 2, 3] = np.nan
    manifest = video(tmp_path, maps=maps)
    folder = exported(manifest, "exr", tmp_path, Visualization(nonfinite="mask"), grid=True, words=["two_men"])
    about = document(folder)
    assert {float(exr(path)[0, 2, 3]) for path in files(folder)} == {np.float32(about["words"][0]["low"])}
    assert about["notes"] == ["two_men: 3 values are NaN or infinite, and have the lower end of the scale instead"]


def test_characters_that_stand_for_numbers_are_not_in_file_names(made, tmp_path):
    named = replace(made.manifest, document=made.manifest.document.model_copy(update={"video_id": "50%#d"}))
    folder = exported(named, "exr", tmp_path, grid=True, words=["kiss"])
    assert folder.name == "50%#d_exr_grid"
    assert [path.name for path in files(folder)] == [f"50__d_kiss.000{n}.exr" for n in (1, 2, 3)]


def test_pixels_keep_their_aspect(tmp_path):
    """In a grid of 4 columns for 64 pixels, and 6 rows for 48, a cell is twice as wide as it is high."""
    manifest = read_video(Batch.make(tmp_path).add(tensors={"kiss": blob_maps((3, 6, 4))}))
    folder = exported(manifest, "exr", tmp_path / "out", grid=True)
    assert document(folder)["pixel_aspect"] == [2, 1]
    assert struct.unpack("<f", exr_header(files(folder)[0])["pixelAspectRatio"]) == (2,)
    chunks = dict(png_chunks(files(exported(manifest, "png16", tmp_path / "out", grid=True))[0]))
    assert struct.unpack(">IIB", chunks["pHYs"]) == (1, 2, 0)  # pixels per unit, across and down
