"""Opens images as upright, opaque RGB pictures of 8 bits in sRGB, and fits them to the size of a video."""

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from generator.errors import ImageError, first_line
from generator.images.files import ImageFile

MOST_BYTES = 512 * 2**20
MOST_PIXELS = 200_000_000
"""Largest file and picture that are opened; a picture takes 3 bytes per pixel in memory, several times."""
_OPAQUE = 255
_TO_EIGHT_BITS = 257
_DEEP_GREY = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_UNCLEAR = {"F": "floating-point numbers", "I": "32-bit numbers"}
_CONVERT = "Convert it to PNG or JPEG with 8 or 16 bits per channel"


def examine(path: str) -> ImageFile:
    """Open an image once, so that nothing is found out later, and return what it is.

    Raises:
        ImageError: if it cannot be read, or what it shows is not clear.

    """
    content = _read(path)
    picture = _opened(path, content)
    return ImageFile(path, hashlib.sha256(content).hexdigest(), picture.width, picture.height)


def open_image(file: ImageFile, width: int, height: int) -> Image.Image:
    """Open an image for a video of ``width`` x ``height`` pixels, which it fills; what is too wide or high is cut off.

    Raises:
        ImageError: if it is not the file any more that was examined.

    """
    content = _read(file.path)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ImageError(
            f"{file.path}: found another image than at the start of the batch. Put the first one back, then continue "
            "with --resume"
        )
    return ImageOps.fit(_opened(file.path, content), (width, height), Image.Resampling.LANCZOS)


def share_cut_off(file: ImageFile, width: int, height: int) -> float:
    """Return the share of an image's area that is cut off where it fills ``width`` x ``height`` pixels, 0 to 1."""
    ratio = (file.width / file.height) / (width / height)
    return 1 - min(ratio, 1 / ratio)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ImageError(f"the image {path} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise ImageError(f"{path}: found more than {MOST_BYTES // 2**20} MiB; expected an image. Make it smaller")
    return content


def _opened(path: str, content: bytes) -> Image.Image:
    """Decode an image; of an animation, the first picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large pictures are refused below, and other oddities do not matter
            picture = Image.open(io.BytesIO(content))
            _refuse_huge(path, picture)
            picture.load()
            upright = ImageOps.exif_transpose(picture)
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: found no image of a known kind. {_CONVERT}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: found an image with far too many pixels. Make it smaller") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, OverflowError) as error:
        raise ImageError(f"{path}: the image is damaged: {first_line(error)}. Save it again") from error
    return _in_rgb(path, upright)


def _refuse_huge(path: str, picture: Image.Image) -> None:
    if picture.width * picture.height > MOST_PIXELS:
        raise ImageError(
            f"{path}: found {picture.width} x {picture.height} pixels; expected at most {MOST_PIXELS / 1e6:.0f} "
            "million. Make it smaller: videos have a million or two"
        )


def _in_rgb(path: str, picture: Image.Image) -> Image.Image:
    if picture.mode in _UNCLEAR:
        raise ImageError(f"{path}: found {_UNCLEAR[picture.mode]}, whose range is not known. {_CONVERT}")
    if picture.mode in _DEEP_GREY:
        grey = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((grey + _TO_EIGHT_BITS // 2) // _TO_EIGHT_BITS).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if int(np.asarray(picture.getchannel("A")).min()) < _OPAQUE:
            raise ImageError(
                f"{path}: found transparent pixels, of which a video has none. Put the picture on a background first, "
                "such as: magick in.png -background white -flatten out.png"
            )
    return _in_srgb(picture).convert("RGB")


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Convert the colours of a picture with an embedded profile, such as Display P3 of a phone."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in {"RGB", "RGBA", "L", "CMYK"}:
        return picture
    opaque = picture.convert("RGB") if picture.mode == "RGBA" else picture
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(opaque, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return opaque  # a damaged profile, which viewers ignore too
    return opaque if converted is None else converted
