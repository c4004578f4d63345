"""Pictures as they come, checked once, and those that belong to segments or to attention.

Every function of this package that takes pictures takes any `PictureLike`, and gives it to `as_pictures`. Who
has more than one thing to do with a picture calls that first, and hands on what it returns: a `Pictures` is
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

    Picture: TypeAlias = Image | npt.NDArray[Any] | torch.Tensor
    PictureLike: TypeAlias = "Pictures | Picture | Sequence[Picture]"

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
class Pictures:
    """Pictures of one size that have been checked; `as_pictures` makes them.

    Attributes:
        colours: float32 ``[B, H, W, 3]`` in 0..1, finite.
        alpha: float32 ``[B, H, W]`` in 0..1, finite; None where the pictures had none.
    """

    colours: torch.Tensor
    alpha: torch.Tensor | None = None

    @property
    def size(self) -> GridSize:
        """Of every picture, in pixels."""
        return GridSize(*self.colours.shape[1:3])

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.colours)


def as_pictures(pictures: PictureLike, name: str = "picture", clamp: bool = False) -> Pictures:
    """Check pictures of any kind, and bring them into one form.

    Args:
        pictures: one of

            - a PIL image; 16-bit grey is scaled from 0..65535; floats (mode F) are taken in 0..1; the pixels
              are taken as they lie, whatever the EXIF data say of their orientation;
            - a tensor or an array ``[B, H, W, C]``, ``[H, W, C]`` or ``[H, W]``: float in 0..1, uint8 or
              uint16; C of 1 (grey), 3 (RGB) or 4 (RGBA);
            - a sequence of these, of one size;
            - `Pictures`, which are returned as they are.
        name: what an error calls them.
        clamp: bring floats of a tensor or an array into 0..1 instead of refusing what lies outside by less
            than 1.

    Returns:
        the pictures, on their device. Grey has become three channels; a float32 tensor is not copied.

    Raises:
        InvalidSettingError: another type, shape or number of channels, values outside 0..1, or values that
            are not finite.

    Example:
        >>> as_pictures(np.full((2, 3), 255, np.uint8)).colours.shape
        torch.Size([1, 2, 3, 3])
        >>> as_pictures(torch.full((1, 2, 2, 3), 255.0))
        Traceback (most recent call last):
        diffseg_core.errors.InvalidSettingError: Expected values from 0 to 1 in the picture, got 255 to 255. \
Divide values of 8 bits by 255, or pass them as uint8.
    """
    if isinstance(pictures, Pictures):
        return pictures
    if isinstance(pictures, torch.Tensor):
        return _of_tensor(pictures.detach(), name, clamp)
    if isinstance(pictures, np.ndarray):
        return _of_array(pictures, name, clamp)
    if isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes):
        return _joined([as_pictures(each, name, clamp) for each in pictures], name)
    from PIL import Image

    if isinstance(pictures, Image.Image):
        return _of_pillow(pictures, name)
    raise InvalidSettingError(
        f"Expected the {name} as a PIL image, a tensor or NumPy array {LAYOUT}, or a sequence of them, "
        f"got {type(pictures).__name__}."
    )


def matching_pictures(image: PictureLike, segments: Segments, name: str = "picture") -> torch.Tensor:
    """The pictures of the segments, one for each: float32 ``[B, H, W, 3]`` in 0..1.

    Args:
        image: as `as_pictures` takes it; alpha is left out, see `alpha_of`; one picture serves all
            images.
        segments: of the same height and width.
        name: what an error calls the pictures.

    Raises:
        InvalidSettingError: what `as_pictures` refuses; sizes or numbers of pictures that do not fit.
    """
    return check_pictures(image, segments.batch_size, segments.image_size, "segments", name)


def alpha_of(image: PictureLike, segments: Segments, name: str = "picture") -> torch.Tensor:
    """How opaque the pictures of the segments are: float32 ``[B, H, W]`` in 0..1, ones without alpha.

    Args, Raises:
        as of `matching_pictures`.
    """
    pictures = as_pictures(image, name)
    colours = matching_pictures(pictures, segments, name)
    if pictures.alpha is None:
        return colours.new_ones(1, 1, 1).expand(colours.shape[:3])
    return pictures.alpha.expand(segments.batch_size, -1, -1)


def check_pictures(
    image: PictureLike, batch_size: int, size: GridSize, whose: str, name: str = "picture"
) -> torch.Tensor:
    """Pictures for each of ``batch_size`` images of one size: float32 ``[B, H, W, 3]`` in 0..1.

    Args:
        image: as `as_pictures` takes it; alpha is left out; one picture serves all images.
        batch_size: number of images.
        size: of the images, in pixels.
        whose: what the images are, as an error says it: "segments" or "attention".
        name: what an error calls the pictures.

    Raises:
        InvalidSettingError: what `as_pictures` refuses; sizes or numbers of pictures that do not fit.
    """
    pictures = as_pictures(image, name)
    if pictures.size != size:
        raise InvalidSettingError(
            f"Expected a picture of {size} pixels as the {whose} {_have(whose)}, got {pictures.size}. "
            "Connect the picture that went into the capture."
        )
    if len(pictures) not in (1, batch_size):
        raise InvalidSettingError(
            f"Expected 1 or {batch_size} pictures for {whose} of {batch_size} image(s), got {len(pictures)}."
        )
    return pictures.colours.expand(batch_size, -1, -1, -1)


def finite_range(values: torch.Tensor, name: str) -> tuple[float, float]:
    """The lowest and the highest of some values, in one pass and one copy from their device.

    Args:
        values: of any type and shape, not empty.
        name: what the error calls them.

    Raises:
        InvalidSettingError: some are NaN or infinite; it says how many.
    """
    lowest, highest = torch.stack(values.detach().aminmax()).double().tolist()  # NaN goes through aminmax
    if not np.isfinite([lowest, highest]).all():
        count = int((~values.isfinite()).sum())
        raise InvalidSettingError(
            f"Expected finite numbers in the {name}, got {count:,} of {values.numel():,} that are not "
            f"(NaN or infinite). Mend what makes the {name}: often a model overflows in half precision."
        )
    return lowest, highest


def deep_grey(picture: Image, is_16_bit: bool) -> npt.NDArray[np.float32] | None:
    """The values of a grey PIL image of more than 8 bits, which Pillow alone would clip at 255.

    Args:
        picture: of any mode.
        is_16_bit: whether 32-bit integers are 16-bit ones, see `is_16_bit`.

    Returns:
        float32 ``[H, W]`` in 0..1; None of a picture of 8 bits.

    Raises:
        InvalidSettingError: floats outside 0..1 or not finite, or integers of 32 bits, of which it is not
            known what is white.
    """
    if picture.mode.startswith("I") and is_16_bit:
        return np.asarray(picture).astype(np.float32) / np.float32(WHITES["uint16"])
    if picture.mode == "F":
        values = np.array(picture)
        lowest, highest = values.min(), values.max()
        if not (np.isfinite(lowest) and np.isfinite(highest) and lowest >= 0 and highest <= 1):
            raise InvalidSettingError(
                f"Expected 32-bit floats from 0 to 1, got {lowest:g} to {highest:g}. "
                "Save it with 8 or 16 bits."
            )
        return values
    if picture.mode.startswith("I"):
        raise InvalidSettingError(
            "Expected a picture of 8 or 16 bits, got 32-bit integers. Save it with 16 bits."
        )
    return None


def is_16_bit(picture: Image) -> bool:
    """Whether a PIL image with integer values (mode I or I;16) has 16 bits, as far as it says so itself."""
    return picture.mode.startswith("I;16") or picture.format in DEEP_FORMATS


def _of_pillow(picture: Image, name: str) -> Pictures:
    if not picture.width * picture.height:
        raise InvalidSettingError(f"Expected pixels in the {name}, got {picture.width}×{picture.height}.")
    values = deep_grey(picture, is_16_bit(picture))
    if values is not None:
        return _of_array(values, name, False)
    has_alpha = picture.mode in WITH_ALPHA or "transparency" in picture.info
    try:
        converted = picture.convert("RGBA" if has_alpha else "RGB")
    except ValueError as error:  # Lab, without a profile
        raise InvalidSettingError(
            f"Expected the {name} in a mode that Pillow converts to RGB, got {picture.mode} ({error})."
        ) from None
    return _of_array(np.asarray(converted), name, False)


def _of_array(values: npt.NDArray[Any], name: str, clamp: bool) -> Pictures:
    white = _white(values.dtype.name, values.dtype.kind == "f", name)
    _check_shape(values.shape, name)
    floats = torch.from_numpy(np.require(values, np.float32, ["C", "W"]))
    return _of_floats(floats, white, name, clamp)


def _of_tensor(values: torch.Tensor, name: str, clamp: bool) -> Pictures:
    white = _white(str(values.dtype).removeprefix("torch."), values.is_floating_point(), name)
    _check_shape(values.shape, name)
    return _of_floats(values.float(), white, name, clamp)


def _white(type_name: str, is_float: bool, name: str) -> int:
    """What is white in values of a type: 1 in floats."""
    if not is_float and type_name not in WHITES:
        raise InvalidSettingError(
            f"Expected the {name} in floats from 0 to 1, uint8 or uint16, got {type_name}: convert it."
        )
    return 1 if is_float else WHITES[type_name]


def _check_shape(shape: Sequence[int], name: str) -> None:
    got = "×".join(str(length) for length in shape)
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise InvalidSettingError(
            f"Expected the {name} as {LAYOUT}, [height, width, channels] or [height, width], "
            f"got {got or 'a single number'}."
        )
    if len(shape) > 2 and shape[-1] not in (1, 3, 4):
        channels_first = shape[-3] in (1, 3, 4)
        advice = "Move the channels to the end." if channels_first else "Choose the channels to use."
        raise InvalidSettingError(
            f"Expected 1 (grey), 3 (RGB) or 4 (RGBA) channels in the {name}, as its last axis, got "
            f"{shape[-1]} ({got}). {advice}"
        )


def _of_floats(values: torch.Tensor, white: int, name: str, clamp: bool) -> Pictures:
    """From float32 of a checked shape; only what were floats before (white is 1) can be out of range."""
    if white > 1:
        values = values.div_(white)  # a copy already, as integers are not float32
    else:
        lowest, highest = finite_range(values, name)
        beyond = OVERSHOOT if clamp else ROUNDING
        if not -beyond <= lowest <= highest <= 1 + beyond:
            advice = "Divide values of 8 bits by 255, or pass them as uint8."
            raise InvalidSettingError(
                f"Expected values from 0 to 1 in the {name}, got {lowest:g} to {highest:g}. {advice}"
            )
        if lowest < 0 or highest > 1:
            values = values.clamp(0.0, 1.0)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 3:
        values = values[None]
    alpha = values[..., 3] if values.shape[-1] == 4 else None
    return Pictures(values[..., :3].expand(-1, -1, -1, 3), alpha)


def _joined(pictures: Sequence[Pictures], name: str) -> Pictures:
    """One after the other; opaque where only others have alpha."""
    sizes = sorted({each.size for each in pictures})
    if len(sizes) != 1:
        got = ", ".join(map(str, sizes)) or "none"
        raise InvalidSettingError(f"Expected one or more pictures of one size as the {name}, got {got}.")
    alphas = [each.alpha for each in pictures]
    if all(alpha is None for alpha in alphas):
        return Pictures(torch.cat([each.colours for each in pictures]))
    opaque = (each.colours.new_ones(each.colours.shape[:3]) for each in pictures)
    alpha = torch.cat([ones if alpha is None else alpha for alpha, ones in zip(alphas, opaque, strict=True)])
    return Pictures(torch.cat([each.colours for each in pictures]), alpha)


def _have(whose: str) -> str:
    return "have" if whose.endswith("s") else "has"
