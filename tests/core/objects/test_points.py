"""Points, and the segments that they name."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import InvalidSettingError, Segments
from diffseg_core.images import matching_images
from diffseg_core.objects.points import Point, complement, parse_points, segments_under

LABELS = torch.tensor([[0, 0, 1, 1], [0, 0, 1, -1], [2, 2, 2, 2]], dtype=torch.int32)


def test_points_come_as_text_or_as_what_it_stands_for():
    for value in ([{"x": 3, "y": 1}], ({"x": 3.2, "y": 1, "label": 1},), '[{"x": 3, "y": 1}]'):
        assert parse_points(value) == (Point(3, 1),)
    for value in (None, "", [], ()):
        assert parse_points(value) == ()


def test_what_is_no_point_is_quoted():
    for value, quoted in (
        ({"x": 3, "y": 1}, 'got {"x": 3, "y": 1}. Put it in brackets'),
        (5, "Expected a list of points such as .* got 5"),
        ([torch.zeros(2)], r"got .*tensor\(\[0., 0.\]\).* as entry 0"),
        ("1" * 5000, "too long, in text that begins with '1111"),
        ("[" * 200_000, "Expected points as JSON"),
        ('[{"x": 3, "y": 1}', "not JSON at character 17"),
        ("3, 1", "near '3, 1'"),
        ('{"x": 3, "y": 1}', 'Expected a list of points such as .* got {"x": 3, "y": 1}'),
        ('[{"x": 3, "y": 1}, {"x": 3}]', 'got {"x": 3} as entry 1'),
        ("[[3, 1]]", r"got \[3, 1\] as entry 0"),
        ('[{"x": "3", "y": 1}]', 'got {"x": "3", "y": 1} as entry 0'),
        ('[{"x": true, "y": 1}]', "got .*true.* as entry 0"),
        ('[{"x": NaN, "y": 1}]', "numbers as JSON has them, got NaN"),
    ):
        with pytest.raises(InvalidSettingError, match=quoted):
            parse_points(value)


def test_points_name_the_segments_under_them_in_ascending_order_and_once():
    for points, segments in (
        ([], []),
        ([(0, 0)], [0]),
        ([(1, 1), (0, 0)], [0]),
        ([(3, 2), (2, 0), (0, 1)], [0, 1, 2]),
        ([(3, 1)], []),
        ([(3, 1), (3, 0)], [1]),
    ):
        assert segments_under(LABELS, [Point(*point) for point in points]) == segments
    assert segments_under(torch.tensor([[40, 8, 136, 8]]), [Point(x, 0) for x in (0, 1, 2, 3, 0)]) == [
        8,
        40,
        136,
    ]


def test_what_is_not_chosen_is_the_complement():
    assert complement([1, 3], 5) == [0, 2, 4]
    assert complement([], 2) == [0, 1]
    assert complement([0], 0) == []


def segments_of(labels: torch.Tensor) -> Segments:
    return Segments(labels, tuple(torch.empty(0, 1, 1) for _ in labels))


def test_one_image_serves_every_image_of_a_batch():
    segments = segments_of(LABELS.expand(2, -1, -1))
    image = torch.rand(1, 3, 4, 4, dtype=torch.float16)
    images = matching_images(image, segments)
    assert images.shape == (2, 3, 4, 3)
    assert images.dtype == torch.float32
    assert torch.equal(images[1], image[0, ..., :3].float())


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3, 5, 3), "3×4 pixels as the segments have, got 3×5"), ((3, 3, 4, 3), "1 or 2 images .* got 3")],
)
def test_images_that_do_not_belong_to_the_segments_are_refused(shape, message):
    with pytest.raises(InvalidSettingError, match=message):
        matching_images(torch.rand(shape), segments_of(LABELS.expand(2, -1, -1)))
