"""Images as they come, checked once, and those that belong to segments or to attention.

Every function of this package that takes images takes any `ImageLike`, and gives it to `as_images`. Who
has more than one thing to do with an image calls that first, and hands on what it returns: an `Images` is
not looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from .errors import InvalidSettingError
from .grid import GridSize
from .segments import Segments

if TYPE_CHECKING:
    from typing import TypeAlias

    from PIL.Image import Image

    SingleImage: TypeAlias = Image | npt.NDArray[Any] | torch.Tensor
    ImageLike: TypeAlias = "Images | SingleImage | Sequence[SingleImage]"

ROUNDING = 1e-3
"""By this much values may lie outside 0..1: resampling and half precision do that."""
OVERSHOOT = 1.0
"""By this much where they are clamped: bicubic and Lanczos resizing give −0.5 to 1.5 at sharp edges."""
WHITES = {"uint8": 255, "uint16": 65535}
"""White, by the names of the integer types that NumPy and torch share."""
DEEP_FORMATS = ("PPM", "PNG")  # whose 16-bit grey Pillow gives as 32-bit integers, all or older versions
WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
LAYOUT = "[batch, height, width, channels]"


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size that have been checked; `as_images` makes them.

    Attributes:
        colours: float32 ``[B, H, W, 3]`` in 0..1, finite.
        alpha: float32 ``[B, H, W]`` in 0..1, finite; None where the images had none.
    """

    colours: torch.Tensor
    alpha: torch.Tensor | None = None

    @property
    def size(self) -> GridSize:
        """Of every image, in pixels."""
        return GridSize(*self.colours.shape[1:3])

    def __len__(self) -> int:
        """Number of images."""
        return len(self.colours)


def as_images(images: ImageLike, clamp: bool = False) -> Images:
    """Check images of any kind, and bring them into one form.

    Args:
        images: one of

            - a PIL image; 16-bit grey is scaled from 0..65535; floats (mode F) are taken in 0..1; the pixels
              are taken as they lie, whatever the EXIF data say of their orientation;
            - a tensor or an array ``[B, H, W, C]``, ``[H, W, C]`` or ``[H, W]``: float in 0..1, uint8 or
              uint16; C of 1 (grey), 3 (RGB) or 4 (RGBA);
            - a sequence of these, of one size;
            - `Images`, which are returned as they are.
        clamp: bring floats of a tensor or an array into 0..1 instead of refusing what lies outside by less
            than 1.

    Returns:
        the images, on their device. Grey has become three channels; a float32 tensor is not copied.

    Raises:
        InvalidSettingError: another type, shape or number of channels, values outside 0..1, or values that
            are not finite.

    Example:
        >>> as_images(np.full((2, 3), 255, np.uint8)).colours.shape
        torch.Size([1, 2, 3, 3])
    """
    if isinstance(images, Images):
        return images
    if isinstance(images, torch.Tensor | np.ndarray):
        return _of_values(images, clamp)
    if isinstance(images, Sequence) and not isinstance(images, str | bytes):
        return _joined([as_images(image, clamp) for image in images])
    from PIL import Image

    if isinstance(images, Image.Image):
        return _of_pillow(images)
    raise InvalidSettingError(
        f"Expected the image as a PIL image, a tensor or NumPy array {LAYOUT}, or a sequence of them, "
        f"got {type(images).__name__}."
    )


def matching_images(image: ImageLike, segments: Segments) -> torch.Tensor:
    """The images of the segments, one for each: float32 ``[B, H, W, 3]`` in 0..1.

    Args:
        image: as `as_images` takes it; alpha is left out, see `alpha_of`; one image serves all
            images.
        segments: of the same height and width.

    Raises:
        InvalidSettingError: what `as_images` refuses; sizes or numbers of images that do not fit.
    """
    return check_images(image, segments.batch_size, segments.image_size, "segments")


def alpha_of(image: ImageLike, segments: Segments) -> torch.Tensor:
    """How opaque the images of the segments are: float32 ``[B, H, W]`` in 0..1, ones without alpha.

    Arguments and errors are those of `matching_images`.
    """
    images = as_images(image)
    colours = matching_images(images, segments)
    if images.alpha is None:
        return colours.new_ones(1, 1, 1).expand(colours.shape[:3])
    return images.alpha.expand(segments.batch_size, -1, -1)


def check_images(image: ImageLike, batch_size: int, size: GridSize, whose: str) -> torch.Tensor:
    """Images for each of ``batch_size`` images of one size: float32 ``[B, H, W, 3]`` in 0..1.

    Args:
        image: as `as_images` takes it; alpha is left out; one image serves all images.
        batch_size: number of images.
        size: of the images, in pixels.
        whose: what the images are, as an error says it: "segments" or "attention".

    Raises:
        InvalidSettingError: what `as_images` refuses; sizes or numbers of images that do not fit.
    """
    images = as_images(image)
    if images.size != size:
        have = "have" if whose.endswith("s") else "has"
        raise InvalidSettingError(
            f"Expected an image of {size} pixels as the {whose} {have}, got {images.size}. "
            "Connect the image that went into the capture."
        )
    if len(images) not in (1, batch_size):
        raise InvalidSettingError(
            f"Expected {'1 image' if batch_size == 1 else f'1 or {batch_size} images'} for {whose} of "
            f"{batch_size} image(s), got {len(images)}."
        )
    return images.colours.expand(batch_size, -1, -1, -1)


def finite_range(values: torch.Tensor, name: str, advice: str = "") -> tuple[float, float]:
    """The lowest and the highest of some values, in one pass and one copy from their device.

    Args:
        values: of any type and shape, not empty.
        name: what the error calls them.
        advice: what it says to do, if not the usual.

    Raises:
        InvalidSettingError: some are NaN or infinite; it says how many.
    """
    lowest, highest = torch.stack(values.detach().aminmax()).double().tolist()  # NaN goes through aminmax
    if not np.isfinite([lowest, highest]).all():
        count = int((~values.isfinite()).sum())
        usual = f"Mend what makes the {name}: often a model overflows in half precision."
        raise InvalidSettingError(
            f"Expected finite numbers in the {name}, got {count:,} of {values.numel():,} that are not "
            f"(NaN or infinite). {advice or usual}"
        )
    return lowest, highest


def deep_grey(image: Image, is_16_bit: bool) -> npt.NDArray[np.float32] | None:
    """The values of a grey PIL image of more than 8 bits, which Pillow alone would clip at 255.

    Args:
        image: of any mode.
        is_16_bit: whether 32-bit integers are 16-bit ones, see `is_16_bit`.

    Returns:
        float32 ``[H, W]`` in 0..1; None of an image of 8 bits.

    Raises:
        InvalidSettingError: floats outside 0..1 or not finite, or integers of 32 bits, of which it is not
            known what is white.
    """
    if image.mode.startswith("I") and is_16_bit:
        return np.asarray(image).astype(np.float32) / np.float32(WHITES["uint16"])
    if image.mode == "F":
        values = np.array(image)
        lowest, highest = values.min(), values.max()
        if not (np.isfinite(lowest) and np.isfinite(highest) and lowest >= 0 and highest <= 1):
            raise InvalidSettingError(
                f"Expected 32-bit floats from 0 to 1, got {lowest:g} to {highest:g}. "
                "Save it with 8 or 16 bits."
            )
        return values
    if image.mode.startswith("I"):
        raise InvalidSettingError(
            "Expected an image of 8 or 16 bits, got 32-bit integers. Save it with 16 bits."
        )
    return None


def is_16_bit(image: Image) -> bool:
    """Whether a PIL image with integer values (mode I or I;16) has 16 bits, as far as it says so itself."""
    return image.mode.startswith("I;16") or image.format in DEEP_FORMATS


def _of_pillow(image: Image) -> Images:
    if not image.width * image.height:
        raise InvalidSettingError(f"Expected pixels in the image, got {image.width}×{image.height}.")
    values = deep_grey(image, is_16_bit(image))
    if values is not None:
        return _of_values(values, False)
    has_alpha = image.mode in WITH_ALPHA or "transparency" in image.info
    try:
        converted = image.convert("RGBA" if has_alpha else "RGB")
    except ValueError as error:  # Lab, without a profile
        raise InvalidSettingError(
            f"Expected the image in a mode that Pillow converts to RGB, got {image.mode} ({error})."
        ) from None
    return _of_values(np.asarray(converted), False)


def _of_values(values: torch.Tensor | npt.NDArray[Any], clamp: bool) -> Images:
    if isinstance(values, torch.Tensor):
        is_float, type_name = values.is_floating_point(), str(values.dtype).removeprefix("torch.")
    else:
        is_float, type_name = values.dtype.kind == "f", values.dtype.name
    if not is_float and type_name not in WHITES:
        raise InvalidSettingError(
            f"Expected the image in floats from 0 to 1, uint8 or uint16, got {type_name}: convert it."
        )
    _check_shape(values.shape)
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(np.require(values, np.float32, ["C", "W"]))
    values = values.detach().float()
    if is_float:
        lowest, highest = finite_range(values, "image")
        beyond = OVERSHOOT if clamp else ROUNDING
        if not -beyond <= lowest <= highest <= 1 + beyond:
            raise InvalidSettingError(
                f"Expected values from 0 to 1 in the image, got {lowest:g} to {highest:g}. "
                "Divide values of 8 bits by 255, or pass them as uint8."
            )
        values = values.clamp(0.0, 1.0) if lowest < 0 or highest > 1 else values
    else:
        values = values.div_(WHITES[type_name])  # a copy already, as integers are not float32
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 3:
        values = values[None]
    alpha = values[..., 3] if values.shape[-1] == 4 else None
    return Images(values[..., :3].expand(-1, -1, -1, 3), alpha)


def _check_shape(shape: Sequence[int]) -> None:
    got = "×".join(str(length) for length in shape)
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise InvalidSettingError(
            f"Expected the image as {LAYOUT}, [height, width, channels] or [height, width], "
            f"got {got or 'a single number'}."
        )
    if len(shape) > 2 and shape[-1] not in (1, 3, 4):
        channels_first = shape[-3] in (1, 3, 4)
        advice = "Move the channels to the end." if channels_first else "Choose the channels to use."
        raise InvalidSettingError(
            f"Expected 1 (grey), 3 (RGB) or 4 (RGBA) channels in the image, as its last axis, got "
            f"{shape[-1]} ({got}). {advice}"
        )


def _joined(images: Sequence[Images]) -> Images:
    """One after the other; opaque where only others have alpha."""
    sizes = sorted({image.size for image in images})
    if len(sizes) != 1:
        got = ", ".join(map(str, sizes)) or "none"
        raise InvalidSettingError(f"Expected one or more images of one size as the image, got {got}.")
    colours = torch.cat([image.colours for image in images])
    if all(image.alpha is None for image in images):
        return Images(colours)
    alphas = (
        image.colours.new_ones(image.colours.shape[:3]) if image.alpha is None else image.alpha
        for image in images
    )
    return Images(colours, torch.cat([*alphas]))
