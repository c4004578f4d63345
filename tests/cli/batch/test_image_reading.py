"""What becomes of every kind of image: read as upright RGB, or refused with a reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffseg_cli.batch.image_reading import UnreadableImageError, read_image
from diffseg_core import as_images

RAMP = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64) * 21  # 0..64491
COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
ORIENTATION, TURNED_RIGHT = 0x112, 6


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    return exif


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "CMYK", "P"])
def test_every_mode_is_read_as_pillow_converts_it(tmp_path, mode):
    image = COLOURS.quantize(16) if mode == "P" else COLOURS.convert(mode)
    image.save(tmp_path / "x.tif")
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), np.asarray(image.convert("RGB")))


def test_transparency_is_left_out_and_the_colours_under_it_stay(tmp_path):
    clear = COLOURS.copy()
    clear.putalpha(0)
    clear.save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(pixels(tmp_path / "rgba.png"), np.asarray(COLOURS))
    palette = COLOURS.quantize(16)
    palette.save(tmp_path / "entries.png", transparency=bytes([0, 128] + [255] * 14))
    palette.save(tmp_path / "one.png", transparency=3)
    for name in ("entries.png", "one.png"):
        np.testing.assert_array_equal(pixels(tmp_path / name), np.asarray(palette.convert("RGB")))


def write_16_bits(path: Path) -> None:
    if path.suffix == ".pgm":
        path.write_bytes(b"P5\n64 48\n65535\n" + RAMP.astype(">u2").tobytes())
    elif path.stem == "big":
        tifffile.imwrite(path, RAMP.astype(">u2"), byteorder=">")
    else:
        Image.fromarray(RAMP.astype(np.uint16)).save(path)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "big.tif", "x.pgm"])
def test_grey_of_16_bits_is_scaled_not_clipped(tmp_path, name):
    write_16_bits(tmp_path / name)
    expected = np.rint(RAMP / 65535 * 255).astype(int)
    np.testing.assert_array_equal(pixels(tmp_path / name)[..., 1], expected)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "big.tif", "x.pgm"])
def test_the_library_scales_grey_of_16_bits_by_the_same_rule(tmp_path, name):
    write_16_bits(tmp_path / name)
    with Image.open(tmp_path / name) as opened:
        colours = as_images(opened).colours[0]
    np.testing.assert_array_equal(colours.mul(255).round().int().numpy(), pixels(tmp_path / name))


def test_colour_of_16_bits_keeps_the_upper_8(tmp_path):
    deep = np.stack((RAMP, RAMP // 2, RAMP // 4), axis=-1).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb")
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif"), deep >> 8)


def test_floats_are_read_where_they_are_within_0_and_1(tmp_path):
    Image.fromarray((RAMP / 70000).astype(np.float32)).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(pixels(tmp_path / "x.tif")[..., 0], np.rint(RAMP / 70000 * 255))


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.nan, np.inf])
def test_other_floats_are_refused(tmp_path, wrong):
    values = np.full((4, 4), 0.5, dtype=np.float32)
    values[1, 2] = wrong
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(UnreadableImageError, match=r"x\.tif: Expected 32-bit floats from 0 to 1, got"):
        read_image(tmp_path / "x.tif")


def test_integers_of_32_bits_are_refused(tmp_path):
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "x.tif")
    with pytest.raises(UnreadableImageError, match="got 32-bit integers"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("sixteen_bits", [False, True])
def test_the_orientation_is_applied(tmp_path, sixteen_bits):
    image = Image.fromarray(RAMP.astype(np.uint16)) if sixteen_bits else COLOURS
    image.save(tmp_path / "as_it_is.png")
    image.save(tmp_path / "turned.png", exif=turned())
    expected = np.rot90(pixels(tmp_path / "as_it_is.png"), -1)
    np.testing.assert_array_equal(pixels(tmp_path / "turned.png"), expected)


def test_of_an_animation_the_first_image_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("x.gif", "x.webp", "x.png", "x.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **lossless(name))
        assert (pixels(tmp_path / name) == (255, 0, 0)).all()


def lossless(name: str) -> dict[str, bool]:
    return {"lossless": True} if name.endswith("webp") else {}


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "tif", "bmp"])
def test_a_truncated_image_is_refused(tmp_path, ending):
    whole, half = tmp_path / f"whole.{ending}", tmp_path / f"half.{ending}"
    COLOURS.save(whole)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UnreadableImageError, match=rf"half\.{ending}: Expected a (whole )?image"):
        read_image(half)


def test_a_damaged_image_is_refused(tmp_path):
    COLOURS.save(tmp_path / "x.png")
    content = bytearray((tmp_path / "x.png").read_bytes())
    content[60] ^= 255
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"x\.png: Expected a whole image, got a damaged one"):
        read_image(tmp_path / "x.png")


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("Not an image.")
    (tmp_path / "drawing.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    for name, reason in {
        "empty": "got an empty file",
        "text": "got 13 bytes of a kind that Pillow does not know",
        "drawing": "got 49 bytes of a kind",
        "missing": "cannot be read: No such file",
    }.items():
        with pytest.raises(UnreadableImageError, match=rf"{name}\.jpg: Expected an image.*{reason}"):
            read_image(tmp_path / f"{name}.jpg")


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_an_image_that_would_fill_the_memory_is_refused_unread(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(grey_png(side))
    with pytest.raises(UnreadableImageError, match="at most 89,478,485 pixels"):
        read_image(tmp_path / "bomb.png")


def grey_png(side: int) -> bytes:
    """A PNG that says to be of that side, in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        length, check = len(content), zlib.crc32(kind + content)
        return struct.pack(">I", length) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
