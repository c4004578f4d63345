"""Images of every kind become one form, or are refused with what was expected and what was got."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from diffseg_core import (
    AttentionMaps,
    InvalidSettingError,
    Segments,
    as_images,
    draw_overlay,
    refine_edges,
    segment_hierarchy,
    soft_masks,
)
from diffseg_core.images import alpha_of, finite_range, matching_images
from diffseg_core.output.export import SegmentFiles, export_segments
from diffseg_core.output.segs import to_segs

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(1).integers(0, 256, (5, 7), dtype=np.uint8)
RGBA = np.dstack((RGB, ALPHA))
GREY = RGB[..., 0]
DEEP = GREY.astype(np.uint16) * 257
FLOATS = RGB.astype(np.float32) / 255
COLOURS = torch.from_numpy(FLOATS)[None]
GREYS = COLOURS[..., :1].expand(-1, -1, -1, 3)
HALF = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1]]], dtype=torch.int32)


def opened(image: Image.Image, path) -> Image.Image:
    image.save(path)
    return Image.open(path)


KINDS = {
    "PIL RGB": (Image.fromarray(RGB), COLOURS),
    "PIL L": (Image.fromarray(GREY), GREYS),
    "PIL RGBA": (Image.fromarray(RGBA), COLOURS),
    "PIL 16-bit": (Image.fromarray(DEEP), GREYS),
    "PIL floats": (Image.fromarray(FLOATS[..., 0]), GREYS),
    "PIL list": ([Image.fromarray(RGB), Image.fromarray(GREY)], torch.cat([COLOURS, GREYS])),
    "uint8 [H, W, 3]": (RGB, COLOURS),
    "uint8 [H, W]": (GREY, GREYS),
    "uint8 [H, W, 4]": (RGBA, COLOURS),
    "uint16 [H, W]": (DEEP, GREYS),
    "uint16, of the other byte order": (DEEP.astype(DEEP.dtype.newbyteorder()), GREYS),
    "float32 [H, W, 3]": (FLOATS, COLOURS),
    "float64 [B, H, W, 3]": (FLOATS[None].astype(np.float64), COLOURS),
    "mirrored": (RGB[::-1, ::-1], COLOURS.flip(1, 2)),
    "list of arrays": ([RGB, RGB], COLOURS.repeat(2, 1, 1, 1)),
    "tensor [B, H, W, 3]": (COLOURS, COLOURS),
    "tensor [B, H, W, 1]": (COLOURS[..., :1], GREYS),
    "tensor [H, W, 3]": (COLOURS[0], COLOURS),
    "tensor uint8": (torch.from_numpy(RGB), COLOURS),
    "tensor uint16": (torch.from_numpy(DEEP), GREYS),
    "tensor with a gradient": (COLOURS.clone().requires_grad_(), COLOURS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_pixels(kind):
    given, expected = KINDS[kind]
    colours = as_images(given).colours
    assert colours.dtype == torch.float32
    assert not colours.requires_grad
    torch.testing.assert_close(colours, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["1", "LA", "P", "PA", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_as_pillow_converts_them(mode):
    image = Image.fromarray(RGB).convert("P" if mode == "PA" else mode).convert(mode)
    expected = torch.from_numpy(np.array(image.convert("RGBA").convert("RGB"))).float()[None] / 255
    assert torch.equal(as_images(image).colours, expected)


def test_a_16_bit_file_is_scaled_and_not_clipped_whatever_mode_pillow_gives_it(tmp_path):
    image = opened(Image.fromarray(DEEP), tmp_path / "deep.png")
    assert torch.allclose(as_images(image).colours, GREYS)
    (tmp_path / "deep.pgm").write_bytes(b"P5\n7 5\n65535\n" + DEEP.astype(">u2").tobytes())
    image = Image.open(tmp_path / "deep.pgm")
    assert image.mode == "I"  # 32-bit integers, of which the file says that they have 16
    assert torch.allclose(as_images(image).colours, GREYS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(dtype):
    colours = as_images(COLOURS.to(dtype)).colours
    assert colours.dtype == torch.float32
    assert torch.equal(colours, COLOURS.to(dtype).float())


def test_float32_is_not_copied_and_what_is_checked_is_not_looked_at_again():
    checked = as_images(COLOURS)
    assert checked.colours.data_ptr() == COLOURS.data_ptr()
    assert as_images(checked) is checked
    assert checked.size == (5, 7)
    assert len(checked) == 1


def test_alpha_is_kept_beside_the_colours():
    expected = torch.from_numpy(ALPHA)[None] / 255
    for given in (RGBA, Image.fromarray(RGBA), torch.from_numpy(RGBA)):
        assert torch.equal(as_images(given).alpha, expected)
    assert as_images(RGB).alpha is None
    mixed = as_images([Image.fromarray(RGB), Image.fromarray(RGBA)]).alpha
    assert torch.equal(mixed, torch.cat([torch.ones_like(expected), expected]))


def test_transparency_of_palettes_and_of_single_colours_is_alpha(tmp_path):
    palette = Image.fromarray(RGB).quantize(4)
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 128, 255, 255]))
    image = Image.open(tmp_path / "palette.png")
    assert set(as_images(image).alpha.mul(255).round().unique().tolist()) == {0, 128, 255}
    Image.fromarray(GREY).save(tmp_path / "grey.png", transparency=int(GREY[2, 3]))
    image = Image.open(tmp_path / "grey.png")
    assert image.mode == "L"
    assert torch.equal(as_images(image).alpha[0] == 0, torch.from_numpy(GREY[2, 3] == GREY))


def test_the_alpha_of_segments_is_one_where_images_have_none():
    segments = Segments(HALF.expand(2, -1, -1), ())
    assert torch.equal(alpha_of(torch.rand(1, 2, 4, 3), segments), torch.ones(2, 2, 4))
    image = torch.rand(1, 2, 4, 4)
    assert torch.equal(alpha_of(image, segments), image[..., 3].expand(2, -1, -1))
    assert torch.equal(matching_images(image, segments), image[..., :3].expand(2, -1, -1, -1))
    with pytest.raises(InvalidSettingError, match="2×4 pixels as the segments have, got 2×5"):
        alpha_of(torch.rand(1, 2, 5, 4), segments)


REFUSED = {
    "0..255 in floats": (
        torch.tensor([[0.0, 255.0]]),
        r"from 0 to 1 in the image, got 0 to 255\. Divide values of 8 bits by 255",
    ),
    "a little too bright": (torch.tensor([[0.002, 1.002]]), r"got 0\.002 to 1\.002"),
    "below 0": (np.array([[-1.0, 1.0]]), r"got -1 to 1"),
    "NaN": (torch.tensor([[0.5, torch.nan]]), r"finite numbers in the image, got 1 of 2 that are not"),
    "infinity": (np.array([[np.inf, -np.inf, 0.0]]), r"got 2 of 3 that are not"),
    "NaN in alpha": (torch.cat([COLOURS, torch.full((1, 5, 7, 1), torch.nan)], -1), "got 35 of 140"),
    "PIL floats above 1": (Image.fromarray(FLOATS[..., 0] * 2), r"32-bit floats from 0 to 1, got 0"),
    "PIL integers of 32 bits": (Image.fromarray(GREY.astype(np.int32)), "got 32-bit integers"),
    "PIL La": (Image.new("La", (2, 2)), "mode that Pillow converts to RGB, got La"),
    "2 channels": (
        torch.rand(1, 5, 7, 2),
        r"1 \(grey\), 3 \(RGB\) or 4 \(RGBA\) channels in the image, as its last axis, got 2 \(1×5×7×2\)",
    ),
    "5 channels": (torch.rand(1, 5, 7, 5), r"got 5 \(1×5×7×5\)\. Choose"),
    "channels first": (torch.rand(1, 3, 5, 7), r"got 7 \(1×3×5×7\)\. Move the channels to the end"),
    "five axes": (torch.rand(1, 1, 5, 7, 3), r"got 1×1×5×7×3"),
    "one number": (torch.tensor(1.0), "got a single number"),
    "no image": (torch.rand(0, 5, 7, 3), "got 0×5×7×3"),
    "no pixels": (Image.new("RGB", (0, 4)), "got 0×4"),
    "an empty list": ([], "of one size as the image, got none"),
    "two sizes": ([Image.new("RGB", (4, 2)), Image.new("RGB", (4, 3))], "as the image, got 2×4, 3×4"),
    "int64": (torch.ones(1, 5, 7, 3, dtype=torch.int64), "uint8 or uint16, got int64: convert it"),
    "bool": (np.ones((5, 7), bool), "uint8 or uint16, got bool"),
    "a path": ("image.png", "PIL image, a tensor or NumPy array .*, got str"),
    "nothing": (None, "got NoneType"),
    "lists of numbers": ([[0.1, 0.2]], "got float"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused(kind):
    given, message = REFUSED[kind]
    with pytest.raises(InvalidSettingError, match=message):
        as_images(given)


def test_rounding_is_clamped_and_more_only_where_that_is_asked_for():
    colours = as_images(torch.tensor([[-0.0009, 1.0009]])).colours
    assert colours[0, 0, :, 0].tolist() == [0.0, 1.0]
    colours = as_images(torch.tensor([[-0.3, 0.5, 1.2]]), clamp=True).colours
    assert colours[0, 0, :, 0].tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(InvalidSettingError, match="numbers in the image, got 1 of 2"):
        as_images(torch.tensor([[torch.inf, 0.5]]), clamp=True)
    with pytest.raises(InvalidSettingError, match="from 0 to 1 in the image, got 0 to 255"):
        as_images(torch.tensor([[0.0, 255.0]]), clamp=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int32])
def test_the_range_of_any_type(dtype):
    assert finite_range(torch.tensor([[3, -2], [0, 1]], dtype=dtype), "latent") == (-2.0, 3.0)


def door_functions(segments: Segments, folder):
    """Every public function of the core that takes images, as a function of the images alone."""
    attention = torch.full((1, 16, 16), 1 / 16)
    maps = AttentionMaps({(4, 4): attention})
    return {
        "segment_hierarchy": lambda given: segment_hierarchy(maps, given, number=2).labels,
        "refine_edges": lambda given: refine_edges(segments, given).labels,
        "soft_masks": lambda given: soft_masks(segments, given),
        "draw_overlay": lambda given: draw_overlay(given, segments),
        "to_segs": lambda given: torch.from_numpy(to_segs(segments, 0, given)[1][0].cropped_image),
        "export_segments": lambda given: _exported(segments, given, folder),
    }


def _exported(segments: Segments, given, folder) -> torch.Tensor:
    files = SegmentFiles(folder, "x")
    export_segments(segments, 0, files, given)
    with Image.open(files.overlay) as overlay:
        return torch.from_numpy(np.array(overlay))


DOORS = ["segment_hierarchy", "refine_edges", "soft_masks", "draw_overlay", "to_segs", "export_segments"]


@pytest.mark.parametrize("door", DOORS)
def test_every_function_takes_every_kind_of_image(door, tmp_path):
    segments = Segments(HALF.repeat_interleave(8, 1).repeat_interleave(8, 2), ())
    grey = np.random.default_rng(0).integers(0, 256, (16, 32), dtype=np.uint8)
    function = door_functions(segments, tmp_path)[door]
    expected = function(torch.from_numpy(grey).float()[None, ..., None].expand(-1, -1, -1, 3) / 255)
    assert len(expected)
    for same in (
        Image.fromarray(grey),
        [Image.fromarray(grey).convert("RGBA")],
        grey,
        grey[None, ..., None],
        torch.from_numpy(grey)[None, ..., None] / 255,
    ):
        assert torch.equal(function(same), expected)
    assert torch.allclose(
        function(Image.fromarray(grey.astype(np.uint16) * 257)).float(), expected.float(), atol=1e-5
    )


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (torch.full((1, 16, 32, 3), 255.0), "from 0 to 1 in the image, got 255 to 255"),
        (torch.full((1, 16, 32, 3), torch.nan), "finite numbers in the image, got 1,536 of 1,536"),
        (torch.rand(1, 16, 32, 2), "got 2 "),
    ],
)
def test_every_function_refuses_what_is_no_image(door, spoiled, message, tmp_path):
    segments = Segments(HALF.repeat_interleave(8, 1).repeat_interleave(8, 2), ())
    with pytest.raises(InvalidSettingError, match=message):
        door_functions(segments, tmp_path / "out")[door](spoiled)
    assert not (tmp_path / "out").exists()
