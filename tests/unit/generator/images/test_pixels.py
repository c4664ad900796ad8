import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from generator.errors import ImageError
from generator.images import pixels
from generator.images.pixels import examine, open_image, share_cut_off


def picture(width=6, height=4, mode="RGB"):
    """A picture whose left half is red and whose upper row is brighter."""
    found = np.zeros((height, width, 3), np.uint8)
    found[:, : width // 2, 0] = 200
    found[0] += 55
    return Image.fromarray(found).convert(mode)


@pytest.fixture
def saved(tmp_path):
    def save(image, name="one.png", **options):
        path = tmp_path / name
        image.save(path, **options)
        return str(path)

    return save


def opened(path, width=None, height=None):
    file = examine(path)
    return np.asarray(open_image(file, width or file.width, height or file.height))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_opaque_pictures_of_any_mode_become_rgb(saved, mode):
    found = opened(saved(picture(mode=mode)))
    assert found.shape == (4, 6, 3)
    assert np.array_equal(found, np.asarray(picture(mode=mode).convert("RGB")))


def test_a_photo_is_turned_as_its_exif_orientation_says(saved):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn it by 90 degrees clockwise
    path = saved(picture(), exif=exif)
    assert (examine(path).width, examine(path).height) == (4, 6)
    assert np.array_equal(opened(path), np.rot90(np.asarray(picture()), -1))


def test_grey_of_16_bits_is_rounded_to_8_and_not_cut_off(saved):
    grey = np.linspace(0, 65535, 24).round().astype(np.uint16).reshape(4, 6)
    found = opened(saved(Image.fromarray(grey)))
    assert np.array_equal(found[..., 0], (grey / 257).round())


def png_of_16_bits(values):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colours_of_16_bits_are_taken_as_8(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (4, 6, 3))
    path = tmp_path / "deep.png"
    path.write_bytes(png_of_16_bits(values))
    assert np.abs(opened(str(path)).astype(float) - values / 257).max() <= 1


def test_an_embedded_profile_is_converted_to_srgb(saved):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = profile.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    path = saved(picture(), icc_profile=exchanged)  # what it calls red is green
    assert np.abs(opened(path)[..., [1, 0, 2]].astype(int) - np.asarray(picture())).max() <= 2
    assert np.array_equal(opened(saved(picture(), icc_profile=b"damaged")), np.asarray(picture()))


def test_transparent_pixels_are_refused_because_a_video_has_none(saved):
    image = picture(mode="RGBA")
    image.putpixel((0, 0), (1, 2, 3, 254))
    with pytest.raises(ImageError, match=r"one\.png: found transparent pixels.* -background white -flatten"):
        examine(saved(image))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_without_a_known_range_are_refused(saved, mode):
    with pytest.raises(ImageError, match="whose range is not known"):
        examine(saved(picture().convert("L").convert(mode), "one.tif"))


def test_what_is_no_image_or_is_damaged_or_cannot_be_read_is_refused(saved, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no image")
    with pytest.raises(ImageError, match=r"text\.png: found no image of a known kind"):
        examine(str(text))
    whole = saved(picture(200, 100), "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg: the image is damaged: .*truncated.*Save it again"):
        examine(whole)
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        examine(str(tmp_path))


def test_huge_pictures_are_refused_before_they_are_decoded(saved, monkeypatch):
    path = saved(Image.new("1", (30_000, 30_000)))
    with pytest.raises(ImageError, match=r"found (30000 x 30000|an image with far too many) pixels"):
        examine(path)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 20)
    with pytest.raises(ImageError, match=re.escape("found 6 x 4 pixels; expected at most 0 million")):
        examine(saved(picture()))
    monkeypatch.setattr(pixels, "MOST_BYTES", 20)
    with pytest.raises(ImageError, match="found more than 0 MiB"):
        examine(saved(picture()))


def test_of_an_animation_the_first_picture_counts(saved):
    first = picture(mode="L")
    path = saved(first, "one.gif", save_all=True, append_images=[Image.new("L", first.size, 9)])
    assert np.array_equal(opened(path)[..., 0], np.asarray(first))


def test_a_picture_fills_the_video_and_keeps_its_proportions(saved):
    wide = Image.new("RGB", (300, 100))
    wide.paste((255, 255, 255), (100, 0, 200, 100))  # a white square in the middle
    found = opened(saved(wide), 50, 50)
    assert found.shape == (50, 50, 3)
    assert found.min() > 200  # what is left of the square and right of it is cut off
    assert share_cut_off(examine(saved(wide)), 50, 50) == pytest.approx(2 / 3)
    assert share_cut_off(examine(saved(wide)), 30, 10) == pytest.approx(0)


def test_a_file_that_was_exchanged_since_is_refused(saved):
    path = saved(picture())
    file = examine(path)
    saved(picture(8, 8))
    with pytest.raises(ImageError, match=r"one\.png: found another image than at the start of the batch"):
        open_image(file, 6, 4)


def test_equal_files_have_equal_digests(saved):
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    assert examine(saved(picture(), "a.png")).sha256 == examine(saved(picture(), "b.png")).sha256
    assert examine(saved(picture(), "a.png")).name == "a.png"
