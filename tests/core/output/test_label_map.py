"""Label maps as images in flat colours, and ADE20K's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffseg_core import InvalidSettingError, Segments, draw_label_map, draw_overlay, parse_classes
from diffseg_core.output.ade20k import CLASSES, COLOURS, NAMES, class_number

HELP_PAGE = Path(__file__).resolve().parents[3] / "web" / "docs" / "DiffSegLabelMap.md"
SKY, PERSON, ROAD = (6, 230, 230), (150, 5, 61), (140, 140, 140)


def tiles(side: int, count: int) -> torch.Tensor:
    """`count` × `count` square segments in an image of `side` pixels a side."""
    index = torch.arange(side) * count // side
    return (index[:, None] * count + index).int()


def segments(*labels: torch.Tensor) -> Segments:
    return Segments(torch.stack(labels), ())


def colours_of(drawn: torch.Tensor, labels: torch.Tensor) -> list[tuple[int, ...]]:
    """The colour of each segment in 0..255; that there is one only is checked."""
    found = []
    for label in range(int(labels.max()) + 1):
        (colour,) = drawn[labels == label].unique(dim=0)
        found.append(tuple((colour * 255).round().int().tolist()))
    return found


def test_there_are_150_classes_whose_first_names_all_differ():
    assert len(CLASSES) == len(NAMES) == len(set(NAMES)) == 150
    assert COLOURS.shape == (150, 3)
    assert 0 <= COLOURS.min() < COLOURS.max() <= 1


@pytest.mark.parametrize(
    ("number", "name", "colour"),
    [
        (0, "wall", (120, 120, 120)),
        (2, "sky", SKY),
        (6, "road", ROAD),
        (12, "person", PERSON),
        (20, "car", (0, 102, 200)),
        (72, "palm", (0, 82, 255)),
        (136, "traffic light", (41, 0, 255)),
        (149, "flag", (92, 0, 255)),
    ],
)
def test_classes_have_the_numbers_and_colours_that_controlnet_knows(number, name, colour):
    assert NAMES[number] == name
    assert CLASSES[number][1] == colour
    assert class_number(name) == number


def test_only_road_and_skyscraper_share_a_colour():
    colours = [colour for _, colour in CLASSES]
    assert [name for name, colour in zip(NAMES, colours, strict=True) if colours.count(colour) > 1] == [
        "road",
        "skyscraper",
    ]


def test_every_first_name_and_every_whole_entry_finds_its_class():
    for number, (names, _) in enumerate(CLASSES):
        assert class_number(NAMES[number]) == number
        assert class_number(names) == number
        assert class_number(names.replace(", ", ";").replace(" ", ";")) == number, "as in the list's table"


def test_every_name_finds_a_class_that_has_it():
    for names, _ in CLASSES:
        for name in names.split(", "):
            assert name in CLASSES[class_number(name)][0].split(", ")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Sky", "sky"),
        ("  TRAFFIC   Light ", "traffic light"),
        ("automobile", "car"),
        ("screen", "screen"),  # also a name of screen door and of blind
        ("stool", "stool"),  # also a name of toilet
        ("ground", "earth"),  # also a name of land
        ("blind; screen", "blind"),
        ("someone, individual", "person"),
        ("soil, ground", "land"),
    ],
)
def test_names_are_found_by_synonym_in_any_case(text, name):
    assert NAMES[class_number(text)] == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("skye", "got 'skye'. Did you mean sky"),
        ("Persn", "got 'persn'. Did you mean person"),
        ("xyzzy", "got 'xyzzy'. The node's help page lists"),
        ("sky, zebra", "got 'zebra'"),
        ("sky, sea", "got 'sky, sea', which are of different classes"),
        ("", "got ''"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(text, words):
    with pytest.raises(InvalidSettingError, match=words):
        class_number(text)


def test_the_help_page_lists_the_classes():
    assert ", ".join(NAMES) in HELP_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("", {}),
        (" \n\n", {}),
        ("0 = sky", {0: "sky"}),
        ("0=Sky\r\n\n  2 = automobile  \n", {0: "sky", 2: "car"}),
        ("1, 4-5 = building, edifice\n0 = sky", {1: "building", 4: "building", 5: "building", 0: "sky"}),
    ],
    ids=repr,
)
def test_classes_are_read_a_line_each(text, classes):
    assert parse_classes(text) == classes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 = sky\nperson", "lines such as \"0 = sky\", got 'person'"),
        ("0 =", "got '0 ='"),
        ("= sky", "got '= sky'"),
        ("sky = 0", "'0'"),
        ("first = sky", "got 'first'"),
        ("0 = skye", "Did you mean sky"),
        ("0 = sky\n0-2 = sea", "got sky and sea for segment 0"),
    ],
    ids=repr,
)
def test_a_line_that_names_no_class_is_quoted(text, words):
    with pytest.raises(InvalidSettingError, match=words):
        parse_classes(text)


@pytest.mark.parametrize("palette", ["distinct", "ADE20K"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_segment_has_one_flat_colour_of_its_own(palette, count):
    labels = tiles(240, count)
    drawn = draw_label_map(segments(labels), palette)
    assert drawn.shape == (1, 240, 240, 3)
    assert drawn.dtype == torch.float32
    colours = colours_of(drawn[0], labels)
    assert len(set(colours)) == count * count
    if palette == "ADE20K":
        assert set(colours) <= {colour for _, colour in CLASSES}


def test_more_segments_than_colours_have_colours_too():
    labels = tiles(260, 13)
    assert len(set(colours_of(draw_label_map(segments(labels), "ADE20K")[0], labels))) == 149


def test_no_two_segments_have_the_one_colour_of_two_classes():
    labels = tiles(240, 12)  # 144: nearly all classes are in use
    assert len(set(colours_of(draw_label_map(segments(labels), "ADE20K")[0], labels))) == 144


def test_distinct_colours_are_those_of_the_preview():
    several = segments(tiles(64, 2), tiles(64, 3))
    overlay = draw_overlay(torch.rand(2, 64, 64, 3), several, opacity=1, borders=False, numbers=False)
    assert torch.equal(draw_label_map(several), overlay)


@pytest.mark.parametrize("palette", ["distinct", "ADE20K"])
def test_a_segment_keeps_its_colour_when_the_rest_is_split(palette):
    coarse = np.zeros((200, 300), dtype=np.int32)
    coarse[40:160, 30:150] = 1
    split = coarse.copy()
    split[100:, 200:] = 2
    before, after = (
        colours_of(draw_label_map(segments(labels), palette)[0], labels)
        for labels in (torch.from_numpy(coarse), torch.from_numpy(split))
    )
    assert before[1] == after[1]


def test_named_segments_have_their_classes_colours_and_no_other_segment_has():
    labels = tiles(240, 8)
    for several in ("0 = sky\n3, 5 = person", "60 = sky\n3, 5 = person\n63 = skyscraper"):
        classes = parse_classes(several)
        colours = colours_of(draw_label_map(segments(labels), "ADE20K", classes)[0], labels)
        for index, name in classes.items():
            assert colours[index] == CLASSES[class_number(name)][1]
        unnamed = [colour for index, colour in enumerate(colours) if index not in classes]
        assert len(set(unnamed)) == len(unnamed)
        assert not {colours[index] for index in classes} & set(unnamed)


def test_any_name_of_a_class_will_do_for_the_library():
    labels = tiles(32, 2)
    drawn = draw_label_map(segments(labels), "ADE20K", {1: "Automobile"})
    assert colours_of(drawn[0], labels)[1] == (0, 102, 200)


def test_a_segment_called_as_a_class_has_its_colour():
    labels = torch.tensor([[[0, 0, 0, 1, 1, 2]]], dtype=torch.int32)
    named = Segments(labels, (), (), (("my cup", "Sky", "person"),))
    drawn = draw_label_map(named, "ADE20K")[0, 0]
    assert torch.equal(drawn[3], torch.from_numpy(COLOURS[class_number("sky")]))
    assert torch.equal(drawn[5], torch.from_numpy(COLOURS[class_number("person")]))
    said = draw_label_map(named, "ADE20K", {1: "tree"})[0, 0]
    assert torch.equal(said[3], torch.from_numpy(COLOURS[class_number("tree")]))
    assert torch.equal(draw_label_map(named), draw_label_map(Segments(labels, ())))


def test_names_hold_for_every_image_that_has_the_segment():
    several = segments(tiles(64, 1), tiles(64, 2))
    drawn = draw_label_map(several, "ADE20K", parse_classes("0 = sky\n3 = person"))
    assert colours_of(drawn[0], tiles(64, 1)) == [SKY]
    assert colours_of(drawn[1], tiles(64, 2))[0] == SKY
    assert colours_of(drawn[1], tiles(64, 2))[3] == PERSON


@pytest.mark.parametrize("palette", ["distinct", "ADE20K"])
def test_where_no_segment_is_the_map_is_black(palette):
    kept = segments(tiles(64, 2), tiles(64, 2)).subset([[1], []])
    drawn = draw_label_map(kept, palette)
    assert torch.equal(drawn.any(3), kept.union() > 0)


def test_eight_bit_files_hold_the_colours_exactly():
    labels = tiles(260, 13)
    drawn = draw_label_map(segments(labels), "ADE20K", {0: "sky"})[0].numpy()
    as_saved = (255.0 * drawn).clip(0, 255).astype(np.uint8)  # ComfyUI cuts off the fraction
    assert {tuple(colour) for colour in as_saved.reshape(-1, 3).tolist()} == {c for _, c in CLASSES}


@pytest.mark.parametrize(
    ("palette", "classes", "words"),
    [
        ("distinct", {0: "sky"}, "Choose the palette ADE20K"),
        ("ADE20K", {4: "sky"}, r"from 0 to 3, got 4. Segments .*: 4"),
        ("ADE20K", {0: "skye"}, "Did you mean sky"),
        ("COCO", {}, "'distinct' or 'ADE20K', got 'COCO'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(palette, classes, words):
    with pytest.raises(InvalidSettingError, match=words):
        draw_label_map(segments(tiles(64, 2)), palette, classes)
