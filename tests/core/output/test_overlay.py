"""The preview: colours that stay with their segment, borders, numbers, and images of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffseg_core import InvalidSettingError, Segments, draw_overlay
from diffseg_core.output.overlay import border_sides
from diffseg_core.output.palette import PALETTE, choose_colours
from diffseg_core.output.poles import poles_of_inaccessibility
from diffseg_core.segments import order_by_area


def by_area(labels: np.ndarray) -> torch.Tensor:
    proposals = torch.zeros(int(labels.max()) + 1, 1, 1)
    return order_by_area(torch.from_numpy(labels), proposals)[0]


PLAIN = {"borders": False, "numbers": False}


def tiles(side: int, count: int) -> np.ndarray:
    """`count` × `count` square segments in an image of `side` pixels a side."""
    index = np.arange(side) * count // side
    return (index[:, None] * count + index).astype(np.int32)


def segments_of(*labels: np.ndarray) -> Segments:
    ordered = [by_area(image) for image in labels]
    return Segments(torch.stack(ordered), ())


def image(batch: int = 1, side: int = 64, channels: int = 3) -> torch.Tensor:
    return torch.rand(batch, side, side, channels, generator=torch.Generator().manual_seed(0))


def mask_colours(labels: np.ndarray) -> dict[bytes, tuple[float, ...]]:
    """Colour by mask, so that segmentations with other numbers can be compared."""
    ordered = by_area(labels).numpy()
    colours = PALETTE[choose_colours(poles_of_inaccessibility(ordered))]
    return {(ordered == index).tobytes(): tuple(colour) for index, colour in enumerate(colours.tolist())}


@pytest.mark.parametrize("count", [2, 5, 8])
def test_up_to_64_segments_all_have_different_colours(count):
    colours = PALETTE[choose_colours(poles_of_inaccessibility(tiles(256, count)))]
    assert len(np.unique(colours, axis=0)) == count * count


def test_more_than_64_segments_have_colours_too():
    colours = PALETTE[choose_colours(poles_of_inaccessibility(tiles(256, 10)))]
    assert colours.shape == (100, 3)
    assert len(np.unique(colours, axis=0)) == len(PALETTE)


def test_a_segment_keeps_its_colour_when_the_rest_is_split_and_merged():
    coarse = np.zeros((200, 300), dtype=np.int32)
    coarse[40:160, 30:150] = 1
    coarse[20:60, 200:260] = 2
    split = coarse.copy()
    split[100:, 200:][coarse[100:, 200:] == 0] = 3
    split[:, 280:] = 4
    before, after = mask_colours(coarse), mask_colours(split)
    kept = before.keys() & after.keys()
    assert len(kept) == 2
    assert {mask: before[mask] for mask in kept} == {mask: after[mask] for mask in kept}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_the_overlay_is_rgb_of_the_image_s_size_with_alpha_dropped(channels, dtype):
    images = image(2, channels=channels).to(dtype)
    drawn = draw_overlay(images, segments_of(tiles(64, 2), tiles(64, 3)))
    opaque = draw_overlay(images[..., :3], segments_of(tiles(64, 2), tiles(64, 3)))
    assert drawn.shape == (2, 64, 64, 3)
    assert drawn.dtype == torch.float32
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert torch.equal(drawn, opaque)


def test_without_colours_borders_and_numbers_the_image_is_unchanged():
    drawn = draw_overlay(image(channels=4), segments_of(tiles(64, 3)), opacity=0, **PLAIN)
    assert torch.equal(drawn, image(channels=4)[..., :3])


def test_full_opacity_shows_one_colour_for_each_segment():
    segments = segments_of(tiles(64, 3))
    drawn = draw_overlay(image(), segments, opacity=1, **PLAIN)[0]
    for mask in segments.masks().bool():
        assert len(drawn[mask].unique(dim=0)) == 1
    assert len(drawn.flatten(0, 1).unique(dim=0)) == 9


def test_half_opacity_is_the_mean_of_image_and_colour():
    segments = segments_of(tiles(64, 3))
    colours = draw_overlay(image(), segments, opacity=1, **PLAIN)
    half = draw_overlay(image(), segments, opacity=0.5, **PLAIN)
    torch.testing.assert_close(half, (image() + colours) / 2)


def test_borders_are_drawn_along_borders_only():
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[:, 40:] = 1
    drawn = draw_overlay(image(), segments_of(labels), opacity=0, numbers=False)
    changed = (drawn != image()).any(3).any(1)[0].nonzero().flatten().tolist()
    assert changed == [39, 40]


@pytest.mark.parametrize("ground", [0.0, 0.5, 1.0])
def test_a_border_shows_on_any_ground(ground):
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[:, 40:] = 1
    drawn = draw_overlay(torch.full((1, 64, 64, 3), ground), segments_of(labels), opacity=0, numbers=False)
    light, dark = drawn[0, :, 39], drawn[0, :, 40]
    assert (light - dark).min() >= 0.7


@pytest.mark.parametrize(
    ("width", "lines"),
    [(1, "...lD..."), (2, "..llDD.."), (3, ".lllDDD."), (9, "llllDDDD")],
)
@pytest.mark.parametrize("axis", [0, 1], ids=["level", "upright"])
def test_the_two_lines_of_a_border_are_of_its_width(axis, width, lines):
    labels = np.zeros((8, 8), dtype=np.int32)
    labels[:, 4:] = 1
    dark, light = (np.tile([pixel == kind for pixel in lines], (8, 1)) for kind in "Dl")
    if axis == 0:
        labels, dark, light = labels.T, dark.T, light.T
    found = border_sides(labels, width)
    np.testing.assert_array_equal(found[0], dark)
    np.testing.assert_array_equal(found[1], light)


def test_borders_that_meet_have_no_pixel_in_both_lines():
    labels = np.zeros((7, 7), dtype=np.int32)
    labels[:, 4:] = 1
    labels[4:, 4:] = 2
    dark, light = border_sides(labels, 1)
    drawing = ["...lD..", "...lD..", "...lD..", "...lDll", "...lDDD", "...lD..", "...lD.."]
    assert (np.where(dark, "D", np.where(light, "l", ".")) == np.array([list(row) for row in drawing])).all()
    assert not (dark & light).any()


def test_a_single_segment_has_no_border():
    assert not np.any(border_sides(np.zeros((5, 5), dtype=np.int32), 3))


def test_a_number_stands_at_every_pole_and_nowhere_else():
    labels = tiles(64, 2)
    drawn = draw_overlay(image(), segments_of(labels), opacity=0, borders=False)
    changed = (drawn != image()).any(3)[0].numpy()
    near_a_pole = np.zeros_like(changed)
    for pole in poles_of_inaccessibility(labels):
        near_a_pole[pole.y - 6 : pole.y + 7, pole.x - 6 : pole.x + 7] = True
        assert changed[pole.y - 2 : pole.y + 3, pole.x - 2 : pole.x + 3].any()
    assert not (changed & ~near_a_pole).any()


def test_a_number_is_left_out_where_it_would_cover_its_segment():
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[20:26, 20:26] = 1  # 3 pixels from its middle to its border: a digit with its edge has 7×5
    labels[40:52, 40:52] = 2
    drawn = draw_overlay(image(), segments_of(labels), opacity=0, borders=False)
    changed = (drawn != image()).any(3)[0].numpy()
    assert not changed[20:26, 20:26].any()
    assert changed[40:52, 40:52].any()


def test_numbers_of_small_segments_stay_inside_them():
    for side in range(8, 40):
        labels = np.zeros((120, 120), dtype=np.int32)
        labels[30 : 30 + side, 50 : 50 + side] = 1
        drawn = draw_overlay(image(side=120), segments_of(labels), opacity=0, borders=False)
        changed = (drawn != image(side=120)).any(3)[0].numpy()
        beside = changed[20 : 40 + side, 40 : 60 + side] & (labels[20 : 40 + side, 40 : 60 + side] == 0)
        assert not beside.any(), side


def test_segments_with_names_show_these_in_full():
    labels = np.full((120, 200), -1, dtype=np.int32)
    labels[40:60, 190:] = 0
    plain = torch.full((1, 120, 200, 3), 0.4)

    def inked(*names: str) -> np.ndarray:
        segments = Segments(torch.from_numpy(labels)[None], (), (), (names,))
        drawn = draw_overlay(plain, segments, opacity=0, borders=False)[0].numpy()
        assert drawn.min() < 0.1
        assert drawn.max() > 0.95
        return (drawn != 0.4).any(2).nonzero()

    (_, short), (rows, long) = inked("i"), inked("umbrella")
    assert short.min() > 185
    assert long.min() < 160
    assert long.max() < 200
    assert 35 < rows.min() < rows.max() < 60
    _, cut = inked("umbrella " * 10)  # wider than the image
    assert cut.min() == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 2)], ids=str)
def test_numbers_fit_into_the_smallest_images(shape):
    drawn = draw_overlay(torch.rand(1, *shape, 3), segments_of(np.zeros(shape, dtype=np.int32)))
    assert drawn.shape == (1, *shape, 3)


def test_one_image_serves_every_image_of_the_segments():
    segments = segments_of(tiles(64, 2), tiles(64, 3))
    drawn = draw_overlay(image(), segments)
    assert torch.equal(drawn, draw_overlay(image().repeat(2, 1, 1, 1), segments))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (image(side=32), r"Expected an image of 64×64 pixels .* got 32×32"),
        (image(3), r"Expected 1 or 2 images for segments of 2 image\(s\), got 3"),
    ],
    ids=["size", "number"],
)
def test_an_image_that_does_not_fit_is_refused_with_the_numbers(images, words):
    with pytest.raises(InvalidSettingError, match=words):
        draw_overlay(images, segments_of(tiles(64, 2), tiles(64, 3)))
