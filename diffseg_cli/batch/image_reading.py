"""Reading an image of any kind as RGB of 8 bits, or saying why it cannot be read.

What becomes of each kind:

- orientation as in the EXIF data: applied;
- grey, palette, CMYK, YCbCr, one bit: converted by Pillow;
- transparency (RGBA, grey with alpha, palette with transparent entries): left out, the colours under it stay,
  as in ComfyUI's Load Image;
- 16-bit grey: scaled from 0..65535 to 0..255, where Pillow alone would clip at 255; of 16-bit colour, Pillow
  keeps the upper 8 bits;
- 32-bit floats (TIFF): taken if all values are within 0..1, else refused: what is white is not known;
- 32-bit integers (TIFF): refused for that reason; floats in colour or of 64 bits: Pillow does not read them;
- animations and files of several pages: the first image;
- a size from 1×1 to Pillow's limit of 89,478,485 pixels: read; above that, refused before
  anything is decoded (a small file may be an image that fills the memory);
- a damaged or truncated image, an empty file, a file of another kind: refused.

Refused is `UnreadableImageError`, with the path and the reason.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from diffseg_core.errors import DiffSegError, InvalidSettingError
from diffseg_core.images import deep_grey, is_16_bit

ENDINGS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".bmp", ".gif"))
ENDINGS |= {".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".pbm", ".tga"}
"""By which images are found in folders, in lower case."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "JPEG2000", "PPM", "TGA", "ICO", "PSD")
"""Of Pillow's: it would also read some by running other programs (EPS)."""


class UnreadableImageError(DiffSegError, OSError):
    """A file that is not an image, or a damaged one."""


def read_image(path: Path) -> Image.Image:
    """The image in a file, upright, in mode RGB.

    Raises:
        UnreadableImageError: there is no image in it that can be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_known_formats()) as opened:
                return _to_rgb(ImageOps.exif_transpose(opened), is_16_bit(opened))
    except MemoryError:
        raise
    except InvalidSettingError as error:
        raise UnreadableImageError(f"{path}: {error}") from None
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise UnreadableImageError(f"{path}: {_reason(path, error)}") from error


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # AVIF came with Pillow 11.3


def _to_rgb(image: Image.Image, has_16_bits: bool) -> Image.Image:
    """A whole image as 8-bit RGB; what it is not taken for is an InvalidSettingError."""
    grey = deep_grey(image, has_16_bits)
    if grey is not None:
        return Image.fromarray(np.rint(grey * 255.0).astype(np.uint8)).convert("RGB")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # Pillow warns where it shall drop a palette's transparency itself
    return image.convert("RGB")


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return f"Expected an image, but its file cannot be read: {error.strerror}."
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"Expected an image of at most {Image.MAX_IMAGE_PIXELS:,} pixels: {error} Scale it down."
    if isinstance(error, UnidentifiedImageError):
        size = path.stat().st_size
        if not size:
            return "Expected an image, got an empty file."
        known = ", ".join(_known_formats())
        return f"Expected an image ({known}), got {size:,} bytes of a kind that Pillow does not know."
    text = " ".join(str(error).split())
    return f"Expected a whole image, got a damaged one ({text or type(error).__name__})."
