"""Points, and the segments that they name."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import InvalidSettingError, Segments
from diffseg_core.editing.points import Point, complement, parse_points, segments_under
from diffseg_core.pictures import matching_pictures

LABELS = torch.tensor([[0, 0, 1, 1], [0, 0, 1, -1], [2, 2, 2, 2]], dtype=torch.int32)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("", []),
        ("  ", []),
        ("[]", []),
        ('[{"x": 3, "y": 1}]', [(3, 1)]),
        ('[{"y": 1, "x": 3}, {"x": 0, "y": 0}]', [(3, 1), (0, 0)]),
        ('[{"x": 3.99, "y": 1.0}]', [(3, 1)]),
        ('[{"x": -1, "y": 5}]', [(-1, 5)]),
        ('[{"x": -0.5, "y": 0}]', [(-1, 0)]),
        ('[{"x": 0, "y": -0.5}]', [(0, -1)]),
        ('[{"x": 7, "y": 8.999}]', [(7, 8)]),
        ('[{"x": 1e2, "y": 0}]', [(100, 0)]),
        (' [ {"x": 3, "y": 1} ,\n{"x": 3, "y": 1} ] ', [(3, 1), (3, 1)]),
    ],
)
def test_points_are_read_as_other_nodes_write_them(text, points):
    assert parse_points(text) == tuple(points)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('[{"x": 3, "y": 1}', "not JSON at character 17"),
        ("3, 1", "near '3, 1'"),
        ('{"x": 3, "y": 1}', 'Expected a list of points such as .* got {"x": 3, "y": 1}'),
        ("null", "got null"),
        ('[{"x": 3, "y": 1}, {"x": 3}]', 'got {"x": 3} as entry 1'),
        ('[{"x": 3, "y": 1, "z": 0}]', 'got {"x": 3, "y": 1, "z": 0} as entry 0'),
        ("[[3, 1]]", r"got \[3, 1\] as entry 0"),
        ('[{"x": "3", "y": 1}]', 'got {"x": "3", "y": 1} as entry 0'),
        ('[{"x": true, "y": 1}]', "got .*true.* as entry 0"),
        ('[{"x": NaN, "y": 1}]', "got .*NaN.* as entry 0"),
        ('[{"x": 1, "y": Infinity}]', "got .*Infinity.* as entry 0"),
        ('[{"x": 1, "y": null}]', "got .*null.* as entry 0"),
        ('[{"x": 3, "y": 1}, {"x": 3, "y": 1}, 5]', "got 5 as entry 2"),
    ],
)
def test_what_is_no_point_is_quoted(text, quoted):
    with pytest.raises(InvalidSettingError, match=quoted):
        parse_points(text)


@pytest.mark.parametrize("length", [80, 81, 300])
def test_a_long_entry_is_quoted_up_to_eighty_characters(length):
    entry = '"' + "x" * (length - 2) + '"'
    with pytest.raises(InvalidSettingError) as refused:
        parse_points(f"[{entry}]")
    quoted = entry if length <= 80 else entry[:77] + "..."
    assert f"got {quoted} as entry 0" in str(refused.value)


def test_broken_text_is_quoted_twenty_characters_around_the_place():
    text = '[{"x": 111111111111, "y": 222222222222} {"x": 333333333333, "y": 444444444444}]'
    with pytest.raises(InvalidSettingError) as refused:
        parse_points(text)
    assert f"at character 40 (Expecting ',' delimiter), near {text[20:60]!r}." in str(refused.value)


@pytest.mark.parametrize(
    ("points", "segments"),
    [
        ([], []),
        ([(0, 0)], [0]),
        ([(1, 1), (0, 0)], [0]),
        ([(3, 2), (2, 0), (0, 1)], [0, 1, 2]),
        ([(3, 1)], []),
        ([(3, 1), (3, 0)], [1]),
        ([(3, 0), (3, 2), (2, 1)], [1, 2]),
    ],
)
def test_a_point_names_the_segment_under_it(points, segments):
    assert segments_under(LABELS, [Point(*point) for point in points]) == segments


@pytest.mark.parametrize("point", [(4, 0), (0, 3), (-1, 0), (0, -1)])
def test_a_point_beside_the_picture_is_quoted(point):
    x, y = point
    message = f'x from 0 to 3 and y from 0 to 2, as the picture has 4×3 pixels, got {{"x": {x}, "y": {y}}}'
    with pytest.raises(InvalidSettingError, match=message):
        segments_under(LABELS, [Point(0, 0), Point(*point)])


def test_what_is_not_chosen_is_the_complement():
    assert complement([1, 3], 5) == [0, 2, 4]
    assert complement([], 2) == [0, 1]
    assert complement([0], 0) == []


def segments_of(labels: torch.Tensor) -> Segments:
    return Segments(labels, tuple(torch.empty(0, 1, 1) for _ in labels))


def test_one_picture_serves_every_image_of_a_batch():
    segments = segments_of(LABELS.expand(2, -1, -1))
    picture = torch.rand(1, 3, 4, 4, dtype=torch.float16)
    pictures = matching_pictures(picture, segments)
    assert pictures.shape == (2, 3, 4, 3)
    assert pictures.dtype == torch.float32
    assert torch.equal(pictures[1], picture[0, ..., :3].float())


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3, 5, 3), "3×4 pixels as the segments have, got 3×5"), ((3, 3, 4, 3), "1 or 2 pictures .* got 3")],
)
def test_pictures_that_do_not_belong_to_the_segments_are_refused(shape, message):
    with pytest.raises(InvalidSettingError, match=message):
        matching_pictures(torch.rand(shape), segments_of(LABELS.expand(2, -1, -1)))
