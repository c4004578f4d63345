"""Prompts as text: what is read, and what is refused in words."""

from __future__ import annotations

import json

import pytest

from diffseg_core import GridSize, InvalidSettingError, parse_prompts
from diffseg_core.editing.points import Point
from diffseg_core.prompting.prompts import Box, Click, Stroke, Words, inside


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        ("null", ()),
        (None, ()),
        ([], ()),
        ('[{"x": 3, "y": 4}]', (Click(Point(3, 4)),)),
        ([{"x": 3.7, "y": 4, "label": 0, "size": -2, "more": 1}], (Click(Point(3, 4), False, -2),)),
        ([{"box": [1, 2, 5, 6]}], (Box(1, 2, 5, 6),)),
        ([{"box": [1, 2, 5, 6], "label": 0}], (Box(1, 2, 5, 6, False),)),
        ([{"words": " cup, mug ", "x": 3}], (Words("cup, mug"),)),
        ([{"stroke": [[1, 2], [3, 4]]}], (Stroke((Point(1, 2), Point(3, 4))),)),
        (
            [{"stroke": [[1, 2]], "label": 0}, {"x": 0, "y": 0}],
            (Stroke((Point(1, 2),), False), Click(Point(0, 0))),
        ),
    ],
)
def test_prompts_are_read(value, expected):
    assert parse_prompts(value) == expected
    if isinstance(value, list):
        assert parse_prompts(json.dumps(value)) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('[{"x": 1', "not JSON"),
        ("7", "list of prompts"),
        ("[" * 100_000, "nesting that is too long"),
        ([{"x": 1, "y": 2}, {"box": [1, "a", 3, 4]}], "as entry 1"),
        ([7], "prompt 0"),
        ([{"x": 1, "y": 2}, {"x": 1}], '"x": 1'),
        ([{"x": 1, "y": 2, "label": 2}], "label of 1 or 0 in prompt 0, got 2"),
        ([{"x": 1, "y": 2, "size": "big"}], "size of prompt 0"),
        ([{"box": [1, 2, 3]}], "x1, y1, x2, y2"),
        ([{"box": [5, 2, 5, 9]}], "at least one pixel"),
        ([{"stroke": []}], "prompt 0"),
        ([{"words": " "}], "words as text in prompt 0"),
        ([{"words": 7}], "words as text in prompt 0, got 7"),
        ([{"words": "hand", "label": 0}], "label of 1 for the words 'hand' in prompt 0"),
        ([{"stroke": [[1, 2, 3]]}], "prompt 0"),
    ],
)
def test_what_is_no_prompt_is_refused_with_what_was_wrong(value, words):
    with pytest.raises(InvalidSettingError, match=words):
        parse_prompts(value)


def test_prompts_outside_the_image_are_left_out_and_boxes_cut_off():
    prompts = parse_prompts(
        [
            {"x": 9, "y": 0},
            {"x": 10, "y": 0},
            {"box": [-5, 2, 20, 30]},
            {"box": [10, 0, 12, 5]},
            {"stroke": [[99, 9]]},
        ]
    )
    assert inside(prompts, GridSize(8, 10)) == [Click(Point(9, 0)), Box(0, 2, 10, 8)]


def test_words_lie_nowhere_and_are_refused_where_a_place_is_needed():
    with pytest.raises(InvalidSettingError, match="got the words 'cup'. Words are looked for by"):
        inside([Click(Point(1, 1)), Words("cup")], GridSize(8, 8))
