"""From outlines drawn by hand to masks."""

from __future__ import annotations

import numpy as np
import pytest

from diffseg_core.benchmark.contingency import VOID
from diffseg_core.benchmark.photographs import FOLDER, NAMES, OUTLINES, fill, mask_of, read_photographs
from diffseg_core.errors import InvalidSettingError
from diffseg_core.grid import GridSize

SIZE = GridSize(6, 8)


def rectangle(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def slowly(outline: list[list[float]], size: GridSize) -> np.ndarray:
    """By the definition: the winding of a ray to the right from each pixel's centre."""
    mask = np.zeros(size, bool)
    for row in range(size.height):
        for column in range(size.width):
            x, y = column + 0.5, row + 0.5
            for (x1, y1), (x2, y2) in zip(outline, outline[1:] + outline[:1], strict=True):
                if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                    mask[row, column] ^= True
    return mask


def test_a_pixel_is_in_when_its_centre_is():
    mask = fill(rectangle(1.4, 0.6, 3.6, 2.4), SIZE)
    rows, columns = np.nonzero(mask)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(1, 1), (1, 2), (1, 3)]


def test_borders_through_centres_go_to_one_side():
    left, right = fill(rectangle(0, 0, 2.5, 6), SIZE), fill(rectangle(2.5, 0, 8, 6), SIZE)
    upper, lower = fill(rectangle(0, 0, 8, 3.5), SIZE), fill(rectangle(0, 3.5, 8, 6), SIZE)
    assert not (left & right).any()
    assert (left | right).all()
    assert not (upper & lower).any()
    assert (upper | lower).all()


def test_what_lies_outside_the_image_is_cut_off():
    assert fill(rectangle(-5, -5, 20, 20), SIZE).all()
    assert not fill(rectangle(9, 0, 20, 6), SIZE).any()
    assert not fill(rectangle(0, -4, 8, 0), SIZE).any()


@pytest.mark.parametrize("seed", range(10))
def test_any_outline_is_filled_as_by_the_definition(seed):
    random = np.random.default_rng(seed)
    outline = (random.random((7, 2)) * (50, 40) - 5).round(1).tolist()
    size = GridSize(30, 40)
    assert np.array_equal(fill(outline, size), slowly(outline, size))


def test_holes_are_cut_out_and_polygons_added():
    mask = mask_of([rectangle(0, 0, 4, 4), rectangle(6, 0, 8, 2)], [rectangle(1, 1, 3, 3)], SIZE)
    assert mask.sum() == 16 + 4 - 4
    assert not mask[1:3, 1:3].any()


@pytest.fixture(scope="module")
def photographs():
    return read_photographs()


def test_ten_photographs_with_two_to_four_objects_each(photographs):
    assert [each.name for each in photographs] == list(NAMES)
    for each in photographs:
        assert 2 <= len(each.objects) <= 4
        assert max(each.images.size) == 640
        assert each.truth.shape == each.images.size
        assert np.unique(each.truth[each.truth != VOID]).tolist() == list(range(len(each.objects)))
        assert min(each.mask(index).sum() for index in range(len(each.objects))) > 5000


def test_objects_hardly_overlap_before_their_pixels_are_shared_out(photographs):
    import json

    outlines = json.loads((FOLDER / OUTLINES).read_text())
    for each in photographs:
        size = GridSize(*each.truth.shape)
        masks = [mask_of(one["polygons"], one.get("holes", []), size) for one in outlines[each.name]]
        assert (sum(mask.astype(int) for mask in masks) > 1).sum() <= 5, each.name
        assert (each.truth != VOID).sum() == np.any(masks, axis=0).sum()


def test_every_photograph_is_credited():
    credits = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"| {name}.jpg |" in credits
    assert {file.stem for file in FOLDER.glob("*.jpg")} == set(NAMES)


def test_wrong_names_are_told():
    with pytest.raises(InvalidSettingError, match="photographs among cat, otter.*got 'dog'"):
        read_photographs(["dog"])
