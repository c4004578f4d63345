"""Words in images whose objects are known: found where they are, and not found where they are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from made_words import larger, tree, within, words_at
from small_photographs import smaller

from diffseg_core import (
    AttentionMaps,
    InvalidAttentionError,
    InvalidSettingError,
    Segments,
    segment_hierarchy,
)
from diffseg_core.benchmark.photographs import read_photographs
from diffseg_core.objects.points import Point
from diffseg_core.words.find_words import FoundWord, FoundWords, find_words, refine_found
from diffseg_core.words.lines import parse_words, prompt_of

# A cup of two parts on a table, beside a spoon; 4 is the wall behind.
SCENE = torch.tensor(
    [
        [4, 4, 4, 4, 4, 4, 4, 4],
        [4, 4, 4, 4, 4, 4, 4, 4],
        [4, 1, 1, 2, 4, 4, 4, 4],
        [4, 1, 1, 2, 4, 4, 4, 4],
        [4, 1, 1, 4, 4, 4, 3, 4],
        [0, 0, 0, 0, 0, 0, 3, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
)
TABLE, BODY, HANDLE, SPOON, WALL = range(5)
JOINS = [(1, 2), (0, 4), (0, 3), (0, 1)]
PIXELS = larger(SCENE, 8)
CUP = (SCENE == BODY) | (SCENE == HANDLE)
BASE = {"background": 0.02 + 0.2 * (SCENE == WALL), "other objects": 0.02}


def over(where: torch.Tensor, high: float = 0.3, low: float = 0.01) -> torch.Tensor:
    return torch.where(where, high, low)


LEVELS = BASE | {
    "cup": over(CUP),
    "mug": over(CUP),
    "table": over(SCENE == TABLE),
    "spoon": over(SCENE == SPOON),
    "handle": over(SCENE == HANDLE),
}


def find(text: str, levels: dict | None = None, segments: Segments | None = None, **settings) -> FoundWords:
    words = words_at(text, LEVELS if levels is None else levels)
    return find_words(segments or tree(PIXELS, JOINS), within(SCENE, leak=0.1), words, **settings)


def pixels_of(*leaves: int) -> torch.Tensor:
    return torch.isin(PIXELS, torch.tensor(leaves))


def test_each_line_gets_its_object_in_the_order_of_the_lines():
    found = find("spoon\ncup, mug\ntable")
    assert torch.equal(found.masks[0][0], pixels_of(SPOON))
    assert torch.equal(found.masks[0][1], pixels_of(BODY, HANDLE))
    assert torch.equal(found.masks[0][2], pixels_of(TABLE))
    assert [(word.name, word.found) for word in found.found[0]] == [
        ("spoon", True),
        ("cup", True),
        ("table", True),
    ]


def test_refined_words_are_refined_in_all_that_is_said_of_them():
    """Borders lie a pixel to the left of the edges, and the spoon was found at its outermost pixel."""
    found = find("spoon\ncup\nhand\ntable")
    spoon = replace(found.found[0][0], place=Point(6 * 8, 5 * 8))
    found = replace(found, found=((spoon, *found.found[0][1:]),))
    colours = torch.tensor([[0, 0, 1], [1, 1, 0], [1, 0.9, 0], [1, 0, 0], [1, 1, 1]])
    seen = PIXELS.roll(1, dims=1)
    refined = refine_found(found, colours[seen][None])
    assert refined.segments.names == found.segments.names
    assert torch.equal(refined.segments.masks(0).bool(), refined.masks[0][[3, 1, 0]])
    for line, leaves in ((0, [SPOON]), (1, [BODY, HANDLE]), (3, [TABLE])):
        wrong = [each.masks[0][line] ^ torch.isin(seen, torch.tensor(leaves)) for each in (found, refined)]
        assert wrong[1].sum() < wrong[0].sum() / 2
    for before, after, mask in zip(found.found[0], refined.found[0], refined.masks[0], strict=True):
        assert (after.name, after.found, after.score) == (before.name, before.found, before.score)
        assert after.area == pytest.approx(mask.double().mean().item())
        assert mask[after.place.y, after.place.x] == after.found
    assert refined.found[0][1].place == found.found[0][1].place  # it is still the cup's
    nothing = find("hand")
    assert not refine_found(nothing, colours[seen][None]).masks[0].any()


def test_segments_have_the_names_of_the_lines_and_agree_with_the_masks():
    found = find("spoon\ncup\nhand\ntable")
    assert found.segments.names == (("table", "cup", "spoon"),)  # by area
    assert torch.equal(found.segments.masks(0).bool(), found.masks[0][[3, 1, 0]])
    assert found.masks[0].dtype == torch.bool


def test_the_facts_on_a_word_are_those_of_its_mask():
    word = find("cup").found[0][0]
    assert word.area == pytest.approx(8 / 64)
    assert 0.5 < word.score <= 1
    assert pixels_of(BODY)[word.place.y, word.place.x]


def test_the_place_is_the_innermost_pixel_of_the_highest_leaf():
    words = words_at("cup", BASE | {"cup": over(SCENE == BODY, 0.5)})
    word = find_words(tree(PIXELS, JOINS), within(SCENE), words).found[0][0]
    assert word.place in [Point(x, y) for x in (15, 16) for y in range(23, 33)]  # 16 pixels wide, from 8


def test_the_place_is_the_words_own_though_a_distractor_has_a_higher_leaf():
    levels = LEVELS | {"cup": over(CUP, 0.3) + over(SCENE == SPOON, 0.4), "spoon": over(SCENE == SPOON, 0.3)}
    levels |= {"other objects": 0.2 * CUP + 0.02}
    assert pixels_of(SPOON)[(at := find("cup", levels).found[0][0].place).y, at.x]
    place = find("!spoon\ncup", levels).found[0][0].place
    assert pixels_of(BODY, HANDLE)[place.y, place.x]


def test_the_place_is_not_where_no_segment_is():
    leaves = torch.where(torch.arange(64) < 44, -1, PIXELS)
    leaves[:4, :3] = torch.tensor([TABLE, BODY, HANDLE])  # of which some pixels are left
    word = find("wall", BASE | {"wall": over(SCENE == WALL)}, tree(leaves, JOINS)).found[0][0]
    assert leaves[word.place.y, word.place.x] == WALL


@pytest.mark.parametrize("number", [1, 3, 5])
def test_the_number_of_segments_does_not_matter_where_there_is_a_tree(number):
    found = find("cup\nspoon", segments=tree(PIXELS, JOINS, number))
    assert torch.equal(found.masks[0], torch.stack([pixels_of(BODY, HANDLE), pixels_of(SPOON)]))


def test_self_attention_that_reaches_far_does_not_make_a_word_absent():
    words = words_at("cup\nspoon\nhand", LEVELS)
    found = find_words(tree(PIXELS, JOINS), within(SCENE, leak=0.7), words)
    assert [word.found for word in found.found[0]] == [True, True, False]
    assert torch.equal(found.masks[0][0], pixels_of(BODY, HANDLE))


def test_a_part_is_found_alone():
    assert torch.equal(find("handle").masks[0][0], pixels_of(HANDLE))


def test_a_part_and_the_whole_share_out_the_whole():
    found = find("cup\nhandle", LEVELS | {"cup": over(SCENE == BODY, 0.3) + over(SCENE == HANDLE, 0.1)})
    assert torch.equal(found.masks[0], torch.stack([pixels_of(BODY), pixels_of(HANDLE)]))


def test_without_a_tree_segments_are_taken():
    flat = Segments.of_masks([torch.stack([leaf == PIXELS for leaf in range(5)])], [[""] * 5])
    found = find("cup\nspoon\nhand", segments=flat)
    assert torch.equal(found.masks[0][:2], torch.stack([pixels_of(BODY, HANDLE), pixels_of(SPOON)]))
    assert not found.masks[0][2].any()


def test_a_word_that_is_not_there_is_not_found():
    found = find("cup\nhand")
    assert not found.masks[0][1].any()
    hand = found.found[0][1]
    assert (hand.found, hand.area) == (False, 0.0)
    assert 0 < hand.score < 0.3
    assert hand.place is not None  # where it would be, if anywhere
    assert found.segments.names == (("cup",),)


def test_a_word_is_not_found_where_nothing_that_is_named_draws_attention():
    levels = LEVELS | {"hand": 0.012, "background": 0.02, "other objects": 0.02}
    found = find(
        "hand\ncup", levels
    )  # of the table and the wall hand has a fifth, of the cup next to nothing
    assert [word.found for word in found.found[0]] == [False, True]


def test_a_word_that_is_not_there_is_not_found_when_it_is_the_only_one():
    found = find("hand")
    assert not found.masks[0].any()
    assert found.segments.counts == [0]
    assert found.segments.names == ()


@pytest.mark.parametrize("seed", range(8))
def test_noise_is_not_taken_for_a_word(seed):
    generator = torch.Generator().manual_seed(seed)
    noise = 0.05 + 0.02 * torch.rand(3, 8, 8, generator=generator)
    levels = dict(zip(("hand", "background", "other objects"), noise, strict=True))
    assert not find("hand", levels).found[0][0].found
    found = find("hand\ncup", levels | {"cup": over(CUP, 0.3, 0.02)}).found[0]
    assert [word.found for word in found] == [False, True]


@pytest.fixture(scope="module")
def coffee() -> tuple[AttentionMaps, Segments]:
    """A photograph's tree, on made-up self-attention: places of like colour attend to one another."""
    (photograph,) = smaller(read_photographs(["coffee"]))
    colours = photograph.images.colours.movedim(-1, 1)
    cells = torch.nn.functional.interpolate(colours, size=(32, 32), mode="area")[0].flatten(1).T
    maps = AttentionMaps({(32, 32): (-torch.cdist(cells, cells).square() / 0.005).softmax(1)[None]})
    return maps, segment_hierarchy(maps, photograph.images)


@pytest.mark.parametrize("text", ["cup", "cup\nspoon\nsaucer\ntable", "cup, mug, glass, beaker\ntable"])
def test_coarse_noise_on_a_photographs_tree_is_not_taken_for_words(coffee, text):
    """Attention of the photograph's words, none of them there, that differs by a half of its mean."""
    maps, segments = coffee
    names = [piece.text for piece in prompt_of(parse_words(text)) if piece.is_content]
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        noise = 0.02 * torch.randn(len(names), 1, 16, 16, generator=generator).mul(0.5).exp()
        larger_noise = torch.nn.functional.interpolate(noise, size=(32, 32), mode="bilinear")[:, 0]
        words = words_at(text, dict(zip(names, larger_noise, strict=True)), (32, 32))
        assert not any(word.found for word in find_words(segments, maps, words).found[0])


def test_two_words_that_share_the_image_are_both_found():
    sky_and_sea = torch.zeros(8, 8, dtype=torch.long)
    sky_and_sea[5:] = 1
    levels = {"sky": over(sky_and_sea == 0, 0.08, 0.02), "sea": over(sky_and_sea == 1, 0.08, 0.02)}
    words = words_at("sky\nsea", levels | {"background": 0.06, "other objects": 0.06})
    found = find_words(tree(larger(sky_and_sea, 8), [(0, 1)]), within(sky_and_sea, leak=0.05), words)
    assert [word.area for word in found.found[0]] == pytest.approx([5 / 8, 3 / 8])


@pytest.mark.parametrize("others", [0, 2, 16, 36])
def test_an_absent_word_that_draws_more_everywhere_takes_nothing_whatever_the_number_of_lines(others):
    levels = {"giraffe": 0.022, "cup": over(CUP, 0.04, 0.01), "background": 0.01, "other objects": 0.01}
    text = "\n".join(["giraffe", "cup", *(f"word{number}" for number in range(others))])
    found = find(text, levels)
    assert [word.found for word in found.found[0]] == [False, True, *[False] * others]
    assert torch.equal(found.masks[0][1], pixels_of(BODY, HANDLE))


@pytest.mark.parametrize("rival", [0.05, 0.11, 0.2])
@pytest.mark.parametrize("name", ["background", "saucer"])
def test_what_is_never_chosen_must_have_a_larger_share_to_take_a_words_best_leaf(name, rival):
    levels = {"background": 0.03, "cup": over(CUP, 0.22, 0.02), "other objects": over(CUP, 0.07, 0.14)}
    found = find("cup\n!saucer" if name == "saucer" else "cup", levels | {name: over(CUP, rival, 0.03)})
    assert torch.equal(found.masks[0][0], pixels_of(BODY, HANDLE))
    assert not find("cup", levels | {"background": over(CUP, 0.3, 0.03)}).found[0][0].found


def test_a_small_thing_is_found():
    pixels = torch.zeros(400, 400, dtype=torch.long)
    pixels[200:] = 1
    pixels[100:108, 100:108] = 2  # 0.04 % of the image
    grid = pixels[4::8, 4::8]
    words = words_at(
        "cup", {"cup": over(grid == 2, 0.5), "background": 0.02, "other objects": 0.02}, (50, 50)
    )
    found = find_words(tree(pixels, [(0, 2), (0, 1)]), within(grid), words)
    assert torch.equal(found.masks[0][0], pixels == 2)


def test_a_word_that_fills_most_of_the_image_is_found():
    most = SCENE != HANDLE
    levels = {"wall": over(most, 0.5, 0.01), "background": 0.05, "other objects": 0.05}
    word = find("wall", levels).found[0][0]
    assert word.found
    assert word.area > 0.9


def test_a_word_that_fills_the_image_is_found_whole_though_it_is_uneven():
    levels = {"wall": 0.4 + 0.1 * (SCENE == TABLE), "background": 0.05, "other objects": 0.05}
    assert find("wall", levels).masks[0].all()


def test_synonyms_find_what_one_of_them_finds():
    alone = find("cup\ntable")
    both = find("cup, mug, beaker\ntable")
    assert torch.equal(alone.masks[0], both.masks[0])
    assert both.found[0][0].score == pytest.approx(alone.found[0][0].score, abs=1e-5)
    parts = find("cup, mug", LEVELS | {"cup": over(SCENE == BODY), "mug": over(SCENE == HANDLE)})
    assert torch.equal(parts.masks[0][0], pixels_of(BODY, HANDLE))


def test_a_distractor_takes_what_is_its_own_and_has_no_mask():
    vague = LEVELS | {"cup": over(CUP | (SCENE == SPOON), 0.2), "spoon": over(SCENE == SPOON, 0.4)}
    assert torch.equal(find("cup", vague).masks[0][0], pixels_of(BODY, HANDLE, SPOON))
    found = find("!spoon\ncup", vague)
    assert torch.equal(found.masks[0], pixels_of(BODY, HANDLE)[None])
    assert [word.name for word in found.found[0]] == ["cup"]
    assert found.segments.names == (("cup",),)


def test_the_background_takes_what_is_more_its_own():
    vague = LEVELS | {"cup": over(CUP, 0.3) + 0.2 * (SCENE == WALL), "background": over(SCENE == WALL, 0.3)}
    assert torch.equal(find("cup", vague).masks[0][0], pixels_of(BODY, HANDLE))
    eager = find("cup", vague, background_offset=-0.9, threshold=0.2).masks[0][0]
    assert torch.equal(eager, pixels_of(BODY, HANDLE, WALL))
    assert not find("cup", background_offset=1.0).masks[0].any()


def test_a_word_that_takes_nothing_is_not_found_though_it_is_there():
    word = find("cup", threshold=1.0).found[0][0]
    assert (word.found, word.area) == (False, 0.0)
    assert word.score > 0.5


def test_refinement_carries_a_word_over_its_object():
    spot = torch.zeros(8, 8, dtype=torch.bool)
    spot[5, 0] = True  # of the table
    levels = {"table": over(spot, 0.6), "other objects": 0.1, "background": 0.1}
    leaves = torch.where(PIXELS == TABLE, torch.where(torch.arange(64) < 8, 0, 5), PIXELS)  # in two leaves
    halves = tree(leaves, [(0, 5), *JOINS])
    words = words_at("table", levels)
    spread = find_words(halves, within(SCENE), words).masks[0][0]
    assert torch.equal(spread, pixels_of(TABLE))


def test_pixels_of_no_segment_stay_out():
    leaves = PIXELS.clone()
    leaves[:, :12] = -1
    found = find("cup", segments=tree(leaves, JOINS))
    assert torch.equal(found.masks[0][0], pixels_of(BODY, HANDLE) & (torch.arange(64) >= 12))


def test_an_image_without_segments_has_no_words():
    nothing = Segments(torch.full((1, 64, 64), -1, dtype=torch.int32), ())
    found = find("cup\nspoon", segments=nothing)
    assert found.masks[0].shape == (2, 64, 64)
    assert not found.masks[0].any()
    assert [(word.found, word.score, word.place) for word in found.found[0]] == [(False, 0.0, None)] * 2


def test_an_image_of_one_segment_is_the_words_that_fill_it():
    one = tree(torch.zeros(64, 64, dtype=torch.int64), [])
    levels = {"wall": 0.4, "hand": 0.02, "background": 0.1, "other objects": 0.1}
    assert [word.found for word in find("wall\nhand", levels, one).found[0]] == [True, False]


def test_each_image_of_a_batch_has_its_own_words():
    mirrored = SCENE.flip(1)
    segments = [tree(larger(scene, 8), JOINS) for scene in (SCENE, mirrored)]
    both = Segments.of_hierarchies([each.hierarchies[0] for each in segments], [2, 3])
    levels = [{key: torch.as_tensor(level) for key, level in LEVELS.items()}, BASE]
    levels[1] = BASE | {"background": 0.02 + 0.2 * (mirrored == WALL), "spoon": over(mirrored == SPOON)}
    words = words_at("cup\nspoon", levels)
    found = find_words(both, within(torch.stack((SCENE, mirrored)), leak=0.1), words)
    assert [[word.found for word in image] for image in found.found] == [[True, True], [False, True]]
    assert torch.equal(found.masks[0], torch.stack([pixels_of(BODY, HANDLE), pixels_of(SPOON)]))
    assert torch.equal(found.masks[1][1], pixels_of(SPOON).flip(1))
    assert found.segments.names == (("cup", "spoon"), ("spoon",))


def test_words_are_found_in_segments_of_the_attention_itself():
    maps = within(SCENE, leak=0.05)
    colours = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    segments = segment_hierarchy(maps, colours[PIXELS], 5)
    found = find_words(segments, maps, words_at("cup\ntable", LEVELS))
    for mask, truth in zip(found.masks[0], (pixels_of(BODY, HANDLE), pixels_of(TABLE)), strict=True):
        assert ((mask & truth).sum() / (mask | truth).sum()).item() > 0.9


def test_segments_and_words_of_other_images_are_refused():
    two = within(torch.stack((SCENE, SCENE)))
    with pytest.raises(InvalidSettingError, match="got segments of 1 and attention of 2"):
        find_words(tree(PIXELS, JOINS), two, words_at("cup", [LEVELS, LEVELS]))
    with pytest.raises(
        InvalidSettingError, match="attention to the words for each of 1 image.s., got it for 2"
    ):
        find_words(tree(PIXELS, JOINS), within(SCENE), words_at("cup", [LEVELS, LEVELS]))


def test_attention_that_is_not_finite_is_refused():
    words = words_at("cup", LEVELS)
    words.attention.maps[0, 3] = float("nan")
    with pytest.raises(InvalidAttentionError, match="NaN or infinite"):
        find_words(tree(PIXELS, JOINS), within(SCENE), words)


def table(*images: tuple[FoundWord, ...]) -> list[str]:
    nothing = torch.full((len(images), 2, 2), -1, dtype=torch.int32)
    return FoundWords(Segments(nothing, ()), (), images).table().splitlines()


def test_the_table_has_a_line_for_each_word_in_its_order():
    cup = FoundWord("cup", True, 0.834, 0.1239, Point(120, 80))
    wide = FoundWord("long dining table", True, 1.0, 0.4, Point(3, 200))
    hand = FoundWord("hand", False, 0.312, 0.0, Point(4, 5))
    assert table((wide, hand, cup, FoundWord("sky", False, 0.0, 0.0, None))) == [
        "word               score    area  place",
        "long dining table   1.00  40.0 %  3, 200",
        "hand: not found, best 0.31",
        "cup                 0.83  12.4 %  120, 80",
        "sky: not found, best 0.00",
    ]
    assert table((cup, hand), (hand, cup)) == [  # several images are numbered
        "image  word  score    area  place",
        "0      cup    0.83  12.4 %  120, 80",
        "0      hand: not found, best 0.31",
        "1      hand: not found, best 0.31",
        "1      cup    0.83  12.4 %  120, 80",
    ]
    assert table((hand,)) == ["hand: not found, best 0.31"]
