"""The picture of what was found: names that can be read, and bars as long as the scores."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import InvalidSettingError, Segments
from diffseg_core.output.overlay import draw_overlay
from diffseg_core.output.palette import colours_of
from diffseg_core.words.find_words import FoundWord, FoundWords
from diffseg_core.words.word_sheet import GREY, LIGHT, draw_word_sheet

SIZE = (300, 400)
Box = tuple[slice, slice]
MIDDLE, CORNER = (slice(100, 200), slice(150, 250)), (slice(280, 300), slice(380, 400))


def found_in(boxes: dict[str, Box | None], score: float = 0.5, size: tuple[int, int] = SIZE) -> FoundWords:
    """Words found in boxes; None for one that was not found."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, box in zip(masks, boxes.values(), strict=True):
        if box is not None:
            mask[box] = True
    words = tuple(
        FoundWord(name, box is not None, score, float(mask.float().mean()), None)
        for (name, box), mask in zip(boxes.items(), masks, strict=True)
    )
    return FoundWords(Segments.of_masks([masks], [list(boxes)]), (masks,), (words,))


def sheet(found: FoundWords, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return draw_word_sheet(torch.full((1, *size, 3), 0.4), found)[0]


def pixels(drawn: torch.Tensor, colour: tuple[int, ...]) -> torch.Tensor:
    return (drawn * 255).round().int().eq(torch.tensor(colour)).all(-1)


def light(found: FoundWords) -> int:
    """Pixels of the names in the picture."""
    return int(pixels(sheet(found)[: SIZE[0]], LIGHT).sum())


def test_the_sheet_is_the_picture_with_its_segments_and_rows_of_bars_below():
    found = found_in({"cup": MIDDLE, "hand": None})
    drawn = sheet(found)
    assert drawn.dtype == torch.float32
    assert drawn.shape[1:] == (400, 3)
    assert 300 + 2 * 12 < len(drawn) < 300 + 6 * 12
    plain = draw_overlay(torch.full((1, *SIZE, 3), 0.4), found.segments, numbers=False)[0]
    differs = (drawn[:300] - plain).abs().amax(-1) > 0.01
    rows, columns = differs.nonzero().unbind(1)  # the name, at the pole
    assert 0 < differs.sum() < 40 * 15
    assert 140 <= rows.min() <= rows.max() <= 160
    assert 180 <= columns.min() <= columns.max() <= 220


@pytest.mark.parametrize("score", [0.0, 0.25, 0.5, 1.0])
def test_a_bar_is_as_long_as_its_score_in_the_colour_of_its_segment(score):
    found = found_in({"cup": MIDDLE}, score)
    colour = tuple((colours_of(found.segments, 0)[0] * 255).round().astype(int).tolist())
    length = int(pixels(sheet(found)[300:], colour).any(0).sum())
    whole = int(pixels(sheet(found_in({"cup": MIDDLE}, 1.0))[300:], colour).any(0).sum())
    assert whole > 200
    assert length == pytest.approx(score * whole, abs=2)


def test_the_bar_of_a_word_that_was_not_found_is_grey():
    drawn = sheet(found_in({"hand": None}))[300:]
    assert pixels(drawn, GREY).any(0).sum() > 80
    assert not pixels(drawn, LIGHT).any()


@pytest.mark.parametrize(
    "box",
    [CORNER, (slice(0, 8), slice(0, 8)), (slice(0, 8), slice(392, 400)), (slice(292, 300), slice(0, 8))],
    ids=str,
)
def test_a_name_at_the_edge_is_seen_whole(box):
    assert light(found_in({"umbrella": box})) == light(found_in({"umbrella": MIDDLE}))


def test_names_of_neighbours_do_not_lie_on_one_another():
    boxes = {"cup": (slice(150, 152), slice(100, 300)), "table": (slice(152, 154), slice(100, 300))}
    one_by_one = sum(light(found_in({name: box})) for name, box in boxes.items())
    assert light(found_in(boxes)) == one_by_one


def test_a_long_name_is_shortened():
    name = "a very long name " * 30
    drawn = sheet(found_in({name: CORNER}, 1.0))
    assert pixels(drawn[:300], LIGHT).any(0).sum() < 200  # at most half of the width
    bar = tuple((colours_of(found_in({name: CORNER}).segments, 0)[0] * 255).round().astype(int).tolist())
    assert pixels(drawn[300:], bar).any(0).sum() > 150


@pytest.mark.parametrize(
    ("size", "picture"),
    [((100, 60), (500, 300)), ((255, 300), (510, 600)), ((256, 256), (256, 256)), ((10, 500), (40, 2000))],
    ids=str,
)
def test_small_images_are_enlarged_so_that_names_can_be_read(size, picture):
    found = found_in({"cup": (slice(0, 5), slice(0, 5))}, size=size)
    drawn = sheet(found, size)
    assert drawn.shape[1] == picture[1]
    assert picture[0] < len(drawn) < picture[0] + 80
    assert pixels(drawn, LIGHT).any()


def test_a_narrow_image_has_room_for_bars_below():
    drawn = sheet(found_in({"cup": (slice(0, 9), slice(0, 2))}, 1.0, (1500, 4)), (1500, 4))
    assert drawn.shape[1] == 256


def test_each_image_has_its_own_sheet():
    first, second = found_in({"cup": MIDDLE, "hand": None}), found_in({"cup": None, "hand": CORNER})
    both = FoundWords(
        Segments.of_masks([*first.masks, *second.masks], [["cup", "hand"]] * 2),
        (*first.masks, *second.masks),
        (*first.found, *second.found),
    )
    images = torch.full((1, *SIZE, 3), 0.4)
    drawn = draw_word_sheet(images, both)
    assert torch.equal(drawn[0], sheet(first))
    assert torch.equal(drawn[1], sheet(second))


def test_images_of_another_size_are_refused():
    with pytest.raises(InvalidSettingError, match="Expected an image of 300×400 pixels"):
        draw_word_sheet(torch.zeros(1, 30, 40, 3), found_in({"cup": MIDDLE}))
