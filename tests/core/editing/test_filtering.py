"""Choosing segments by number, area and place."""

from __future__ import annotations

import pytest
import torch

from diffseg_core import InvalidSettingError, Segments, filter_segments, parse_indices

# Areas: 0 has 22 of 50 pixels, 1 has 12, 2 has 9, 3 has 4, 4 has 2, 5 has 1.
SCENE = """
0000000000
0111102220
0111102220
0111152220
0334433000
"""


def segments(*drawings: str) -> Segments:
    images = [[[int(label) for label in row] for row in text.split()] for text in drawings]
    return Segments(torch.tensor(images, dtype=torch.int32), ())


def kept(*drawings: str, **criteria: object) -> list[str]:
    """Per image the original labels of what is kept, and that it is numbered by area."""
    before = segments(*drawings)
    after = filter_segments(before, **criteria)
    labels = []
    for image, count in enumerate(after.counts):
        areas = after.areas(image).tolist()
        assert areas == sorted(areas, reverse=True)
        originals = [before.labels[image][after.labels[image] == index].unique() for index in range(count)]
        labels.append("".join(str(int(original)) for original in originals))
    return labels


def one(**criteria: object) -> str:
    return kept(SCENE, **criteria)[0]


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("", ()),
        ("  \n", ()),
        ("0", (0,)),
        ("0, 2, 5-7", (0, 2, 5, 6, 7)),
        ("7,2 ,2,0", (0, 2, 7)),
        ("0, 2, ", (0, 2)),
        (" 5 - 7 ,6", (5, 6, 7)),
        ("3-3", (3,)),
        ("5–7", (5, 6, 7)),
        ("012", (12,)),
    ],
)
def test_indices_are_read_as_people_write_them(text, indices):
    assert parse_indices(text) == indices


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("0, two, 5", "'two'"),
        ("0,,2", "''"),
        ("0, 2,,", "''"),
        (",", "''"),
        ("0 2", "'0 2'"),
        ("-1", "'-1'"),
        ("1.5", "'1.5'"),
        ("3-", "'3-'"),
        ("1-2-3", "'1-2-3'"),
        ("0-999999999", "'0-999999999'"),
        ("٣", "'٣'"),
        ("7-5", "'7-5'.*Write \"5-7\""),
    ],
)
def test_what_is_no_index_is_quoted(text, quoted):
    with pytest.raises(InvalidSettingError, match=f"got {quoted}"):
        parse_indices(text)


def test_without_criteria_everything_is_kept():
    before = segments(SCENE)
    assert torch.equal(filter_segments(before).labels, before.labels)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"indices": ()}, "012345"),
        ({"indices": [4, 1]}, "14"),
        ({"smallest_area": 0.08}, "0123"),  # 4 of 50 pixels: exactly as large is kept
        ({"smallest_area": 0.081}, "012"),
        ({"largest_area": 0.08}, "345"),
        ({"largest_area": 0.079}, "45"),
        ({"smallest_area": 0.02, "largest_area": 0.24}, "12345"),
        ({"smallest_area": 1.0}, ""),
        ({"border": "touching"}, "034"),
        ({"border": "not touching"}, "125"),
        ({"keep_largest": 2}, "01"),
        ({"keep_largest": 99}, "012345"),
        ({"place": "leftmost"}, "1"),
        ({"place": "rightmost"}, "2"),
        ({"place": "topmost"}, "0"),
        ({"place": "bottommost"}, "3"),
        ({"place": "most central"}, "0"),
    ],
    ids=str,
)
def test_each_criterion_alone(criteria, expected):
    assert one(**criteria) == expected


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"indices": [0, 1, 5], "border": "not touching"}, "15"),
        ({"indices": [3, 4, 5], "smallest_area": 0.04}, "34"),
        # The largest are taken of what the other criteria have left, not of everything.
        ({"border": "not touching", "keep_largest": 1}, "1"),
        ({"largest_area": 0.2, "keep_largest": 2}, "23"),
        # And the place is found among the largest.
        ({"border": "not touching", "keep_largest": 2, "place": "rightmost"}, "2"),
        ({"border": "not touching", "keep_largest": 1, "place": "rightmost"}, "1"),
        ({"border": "not touching", "place": "most central"}, "5"),
        ({"indices": [5], "border": "touching", "place": "topmost"}, ""),
    ],
    ids=str,
)
def test_criteria_hold_together_then_the_largest_then_the_place(criteria, expected):
    assert one(**criteria) == expected


@pytest.mark.parametrize(
    ("drawing", "place", "expected"),
    [
        ("0011 0011", "topmost", "0"),  # of equal area: the lower index
        ("11000 11000 22000", "rightmost", "0"),
        ("2000 1000 1000", "leftmost", "1"),  # equally far left: the larger one
        ("10002 10002", "most central", "0"),
        ("01 01 01", "most central", "0"),  # equally far from the centre by symmetry
    ],
)
def test_of_equally_far_segments_the_larger_is_kept(drawing, place, expected):
    assert kept(drawing, place=place) == [expected]


def test_mirrored_segments_are_equally_central_in_spite_of_rounding():
    # Centroids at thirds: in floating point the right one is nearer to the centre by a last bit.
    assert kept("1100000022 1000000002", indices=[1, 2], place="most central") == ["1"]


@pytest.mark.parametrize(
    ("pixels", "width", "criteria"),
    [
        (7, 100, {"largest_area": 0.7 / 100}),  # of 1000 pixels: 6.999…
        (7, 10, {"smallest_area": 7.0 / 100}),  # of 100 pixels: 7.000…1
    ],
    ids=["largest", "smallest"],
)
def test_an_area_in_per_cent_is_met_by_exactly_as_many_pixels(pixels, width, criteria):
    labels = torch.zeros(1, 10, width, dtype=torch.int32)
    labels[0, 0, :pixels] = 1
    assert filter_segments(Segments(labels, ()), indices=[1], **criteria).counts == [1]


def test_every_image_of_a_batch_is_filtered_on_its_own():
    other = SCENE.replace("5", "1").replace("4", "3").replace("2", "0")
    other = other.replace("3", "2")
    assert kept(SCENE, other, keep_largest=2, border="not touching") == ["12", "1"]
    assert kept(SCENE, other, place="bottommost") == ["3", "2"]


def test_an_index_is_passed_over_where_an_image_does_not_have_it():
    assert kept("0012 0012", "0000 0000", indices=[0, 2]) == ["02", "0"]
    assert kept("0012 0012", "0000 0000", indices=[2]) == ["2", ""]


@pytest.mark.parametrize(
    ("drawings", "words"),
    [
        ((SCENE,), r"from 0 to 5, got 6. Segments .DiffSeg Preview .*: 6"),
        (("00 00", "01 00"), r"from 0 to 1, got 6. Segments in the image with most of 2 .*: 2"),
    ],
    ids=["one image", "batch"],
)
def test_an_index_that_no_image_has_is_refused_with_what_there_is(drawings, words):
    with pytest.raises(InvalidSettingError, match=words):
        kept(*drawings, indices=[0, 6, 7])


def test_what_is_filtered_out_stays_out():
    first = filter_segments(segments(SCENE), indices=[1, 3])
    assert first.counts == [2]
    assert torch.equal(
        filter_segments(first, border="touching").union()[0] > 0, segments(SCENE).labels[0] == 3
    )


@pytest.mark.parametrize("place", ["any", "leftmost", "most central"])
def test_nothing_is_left_of_nothing(place):
    none = filter_segments(segments(SCENE), smallest_area=1.0)
    again = filter_segments(none, border="touching", keep_largest=1, place=place)
    assert again.counts == [0]
    assert again.union().shape == (1, 5, 10)
    with pytest.raises(InvalidSettingError, match="Expected no index of a segment, got 0: no segments"):
        filter_segments(none, indices=[0])


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        ({"smallest_area": 0.5, "largest_area": 0.25}, "got 50 and 25 percent"),
    ],
    ids=str,
)
def test_a_setting_outside_its_range_is_refused(criteria, words):
    with pytest.raises(InvalidSettingError, match=words):
        one(**criteria)
