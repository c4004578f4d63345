"""Prompts as text: what is read, and what is refused in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffseg_core import GridSize, InvalidSettingError, parse_objects, parse_prompts
from diffseg_core.objects.points import Point
from diffseg_core.objects.prompts import Box, Click, Scribble, Stroke, Words, split_by_place, told_outside


def test_prompts_are_read():
    for value, expected in (
        ("", ()),
        ("null", ()),
        (None, ()),
        ([], ()),
        ([{"x": 3, "y": 4}], (Click(Point(3, 4)),)),
        ([{"x": 3.7, "y": 4, "label": 0, "size": -2, "more": 1}], (Click(Point(3, 4), False, -2),)),
        ([{"box": [1, 2, 5, 6]}], (Box(1, 2, 5, 6),)),
        ([{"box": [1, 2, 5, 6], "label": 0}], (Box(1, 2, 5, 6, False),)),
        ([{"words": " cup, mug ", "x": 3}], (Words("cup, mug"),)),
        ([{"stroke": [[1, 2], [3, 4]]}], (Stroke((Point(1, 2), Point(3, 4))),)),
        (
            [{"stroke": [[1, 2]], "label": 0}, {"x": 0, "y": 0}],
            (Stroke((Point(1, 2),), False), Click(Point(0, 0))),
        ),
    ):
        assert parse_prompts(value) == expected
        if isinstance(value, list):
            assert parse_prompts(json.dumps(value)) == expected


def test_what_is_no_prompt_is_refused_with_what_was_wrong():
    for value, words in (
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
    ):
        with pytest.raises(InvalidSettingError, match=words):
            parse_prompts(value)


SIZE = GridSize(8, 10)
WITHIN = [{"x": 9, "y": 0}, {"box": [-5, 2, 20, 30]}, {"stroke": [[-9, 3], [4, 4]], "label": 0}]
BEYOND = [
    {"x": 10, "y": 0},
    {"x": 0, "y": -1, "label": 0},
    {"box": [10, 0, 12, 5]},
    {"box": [-4, -4, 0, 9], "label": 0},
    {"stroke": [[99, 9]]},
    {"stroke": [[-1, 2], [3, 8]], "label": 0},
]


def test_prompts_outside_the_image_are_told_apart_and_boxes_cut_off():
    inside, outside = split_by_place(parse_prompts([*WITHIN, *BEYOND]), SIZE)
    assert inside == [Click(Point(9, 0)), Box(0, 2, 10, 8), parse_prompts(WITHIN)[2]]
    assert outside == list(parse_prompts(BEYOND))


def test_what_is_ignored_is_told_by_number_and_example_whatever_its_kind():
    blank = Scribble(np.zeros(SIZE, dtype=bool))
    prompts = [*parse_prompts(WITHIN), *parse_prompts(BEYOND), blank]
    assert told_outside(prompts, SIZE)[0] == 7
    examples = "x 10, y 0", "x 0, y -1", "box [10, 0, 12, 5]", "box [-4, -4, 0, 9]", "stroke from x 99, y 9"
    for index, example in enumerate((*examples, "stroke from x -1, y 2", "scribble without a pixel")):
        count, told = told_outside([prompts[0], prompts[3 + index]], SIZE, "point")
        assert count == 1
        assert told.startswith("1 of 2 point(s) ignored, as they lie outside the image of 8×10 pixels")
        assert example in told
    assert told_outside(prompts[:3], SIZE) == (0, "")


def test_words_lie_nowhere_and_are_refused_where_a_place_is_needed():
    with pytest.raises(InvalidSettingError, match="got the words 'cup'. Words are looked for by"):
        split_by_place([Click(Point(1, 1)), Words("cup")], SIZE)


def test_a_list_without_labels_can_be_against():
    points = '[{"x": 3, "y": 4}, {"x": 5, "y": 6, "label": 1, "object": "cup"}, {"box": [1, 2, 5, 6]}]'
    read = parse_objects(points, against=True)
    assert read == {
        "Object 1": (Click(Point(3, 4), False), Box(1, 2, 5, 6, False)),
        "cup": (Click(Point(5, 6), False),),
    }
    for refused in ('[{"words": "cup"}]', "[7]", "7"):
        with pytest.raises(InvalidSettingError):
            parse_objects(refused, against=True)


def test_marks_that_nobody_sees_make_no_other_object_and_no_other_word():
    unseen = ("\ufeffcup", "cu\u200bp", "cup\u2060", "\u00a0cup\u00a0", "c\u00adup", "cu\u200dp", "cup\u200e")
    for name in unseen:
        entries = [{"x": 1, "y": 2, "object": name}, {"words": name, "object": "cup"}]
        expected = {"cup": (Click(Point(1, 2)), Words("cup"))}
        assert parse_objects(entries) == parse_objects(f"\ufeff{json.dumps(entries)}\u00a0") == expected
    with pytest.raises(InvalidSettingError, match="words as text"):
        parse_prompts([{"words": "\u200b"}])
