"""The words' shares of attention: by hand, and against matrices in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from made_words import within, words_at

from diffseg_core import AttentionMaps, GridSize, InvalidAttentionError, InvalidSettingError
from diffseg_core.attention.text import TextAttention, on_grid
from diffseg_core.words.lines import TokenPlaces
from diffseg_core.words.scores import word_maps

LEFT = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
ONE_BLOCK = torch.zeros(2, 2)
SHARED = {"other objects": 0.1, "background": 0.1}


def shares(text: str, levels: dict, refinements: int = 0) -> torch.Tensor:
    words = words_at(text, levels, (2, 2))
    return word_maps(within(ONE_BLOCK), words, 0, refinements).shares


def test_a_share_is_of_the_words_and_not_of_the_whole_prompt():
    found = word_maps(
        within(ONE_BLOCK), words_at("cup\n!hand", {"cup": 0.2 * LEFT, "hand": 0.1} | SHARED, (2, 2)), 0, 0
    )
    # left 0.2 of 0.2 + 0.1 + 0.1 + 0.1, right nothing of it; hand 0.1 of 0.5 and of 0.3
    torch.testing.assert_close(found.shares[0], 0.4 * LEFT)
    torch.testing.assert_close(found.shares[1], torch.tensor([[0.2, 1 / 3]] * 2))
    torch.testing.assert_close(found.scores[-1], torch.tensor([[0.2, 1 / 3]] * 2))
    mass = torch.stack((0.2 * LEFT, torch.full((2, 2), 0.1), torch.full((2, 2), 0.1)))
    torch.testing.assert_close(found.attention, mass)
    assert found.competitors == 4


def test_synonyms_count_as_the_strongest_and_do_not_share():
    alone = shares("cup", {"cup": 0.2 * LEFT} | SHARED)
    with_synonyms = shares("cup, mug, beaker", {"cup": 0.2 * LEFT, "mug": 0.2 * LEFT, "beaker": 0.0} | SHARED)
    torch.testing.assert_close(with_synonyms, alone)
    sides = shares("cup, mug", {"cup": 0.2 * LEFT, "mug": 0.2 * (1 - LEFT)} | SHARED)
    torch.testing.assert_close(sides, torch.full((1, 2, 2), 0.5))


def test_a_word_of_several_tokens_has_their_mean():
    found = shares("ice cream", {"ice cream/0": 0.3, "ice cream/1": 0.1} | SHARED)
    torch.testing.assert_close(found, torch.full((1, 2, 2), 0.5))


def test_the_background_can_be_a_word():
    words = words_at("cup\nbackground", {"cup": 0.2, "background": 0.1, "other objects": 0.1}, (2, 2))
    found = word_maps(within(ONE_BLOCK), words, 0, 0)
    torch.testing.assert_close(found.shares, torch.tensor([0.5, 0.25])[:, None, None].expand(2, 2, 2))
    assert (found.scores[-1] == 0).all()
    torch.testing.assert_close(found.attention[:, 0, 0], torch.tensor([0.2, 0.1, 0.0]))
    assert found.competitors == 3


def test_places_that_attend_to_nothing_that_is_named_have_no_share():
    found = shares("cup", {"cup": 0.0, "other objects": 0.0, "background": 0.0})
    assert (found == 0).all()


def test_attention_within_an_object_spreads_its_word_over_it():
    blocks = torch.tensor([[0, 0, 0, 1]] * 4)
    seen = torch.zeros(4, 4)
    seen[1, 1] = 0.8  # one place of twelve
    words = words_at("cup", {"cup": seen, "other objects": 0.05, "background": 0.05}, (4, 4))
    once = word_maps(within(blocks), words, 0, 1).shares[0]
    torch.testing.assert_close(once, torch.where(blocks == 0, 0.8 / 0.9 / 12, 0.0))


@pytest.mark.parametrize("refinements", [1, 2, 5])
def test_each_refinement_is_a_product_with_the_aggregate(refinements):
    generator = torch.Generator().manual_seed(1)
    fine, coarse = (torch.randn(2, n, n, generator=generator).mul(3).softmax(2) for n in (30, 12))
    maps = AttentionMaps({(5, 6): fine, (3, 4): coarse})
    level = 0.5 * torch.rand(5, 6, generator=generator)
    words = words_at("cup", [{"cup": 0.1}, {"cup": level} | SHARED], (5, 6))
    found = word_maps(maps, words, 1, refinements)
    matrix = torch.linalg.matrix_power(maps.aggregate()[1].double(), refinements)
    expected = matrix @ (level / (level + 0.2)).flatten().double()
    torch.testing.assert_close(found.shares[0].flatten().double(), expected, atol=1e-6, rtol=1e-5)
    expected = matrix @ (0.1 / (level + 0.2)).flatten().double()
    torch.testing.assert_close(found.scores[-1].flatten().double(), expected, atol=1e-6, rtol=1e-5)
    # Attention and raw score are not spread, and the joint score is spread once.
    share = level / (level + 0.2)
    torch.testing.assert_close(found.attention[0], level)
    torch.testing.assert_close(found.raw_scores[0], share)
    expected = maps.aggregate()[1].double() @ (level * share).flatten().double()
    torch.testing.assert_close(found.joint_scores[0].flatten().double(), expected, atol=1e-6, rtol=1e-5)


def test_where_keys_are_pooled_a_cell_of_them_has_its_mean():
    generator = torch.Generator().manual_seed(2)
    maps = AttentionMaps({(4, 6): torch.randn(1, 24, 6, generator=generator).mul(3).softmax(2)})
    assert maps.key_grid == GridSize(2, 3)
    level = 0.5 * torch.rand(4, 6, generator=generator)
    share = level / (level + 0.2)
    found = word_maps(maps, words_at("cup", {"cup": level} | SHARED, (4, 6)), 0, 1).shares[0]
    cells = F.avg_pool2d(share[None].double(), 2).flatten()
    torch.testing.assert_close(
        found.flatten().double(), maps.aggregate()[0].double() @ cells, atol=1e-6, rtol=1e-5
    )


def test_attention_on_a_coarser_grid_is_resized_bilinearly():
    level = torch.tensor([[0.3, 0.0, 0.1]] * 2)
    words = words_at("cup", {"cup": level} | SHARED, (2, 3))
    found = word_maps(within(torch.zeros(5, 7)), words, 0, 0).shares
    small = (level / (level + 0.2))[None, None]
    expected = F.interpolate(small, size=(5, 7), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(found, expected)


def test_attention_on_a_finer_grid_is_averaged():
    fine = torch.rand(1, 3, 8, 6, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(on_grid(fine, GridSize(4, 3)), F.avg_pool2d(fine, 2))
    torch.testing.assert_close(on_grid(fine, GridSize(1, 1))[..., 0, 0], fine.mean((2, 3)))
    across = F.interpolate(F.avg_pool2d(fine, (1, 2)), size=(16, 3), mode="bilinear")
    torch.testing.assert_close(on_grid(fine, GridSize(16, 3)), across)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_attention_that_is_not_finite_says_what_to_do(value):
    words = words_at("cup", {"cup": 0.1}, (2, 2))
    broken = words.attention.maps.clone()
    broken[0, 0, words.places.lines[0][0][0]] = value
    words = replace(words, attention=TextAttention(GridSize(2, 2), broken))
    with pytest.raises(InvalidAttentionError, match="NaN or infinite entries.*run it in float32 or bfloat16"):
        word_maps(within(ONE_BLOCK), words)


def test_words_and_attention_that_do_not_belong_together_are_refused():
    maps, words = within(ONE_BLOCK), words_at("cup, mug", {}, (2, 2))
    with pytest.raises(InvalidSettingError, match="for each of 1 image.s., got it for 2"):
        word_maps(maps, words_at("cup", [{}, {}], (2, 2)))
    with pytest.raises(InvalidAttentionError, match="to the 12 or more tokens of the words, got it to 11"):
        word_maps(maps, replace(words, places=TokenPlaces((((2,), (3, 11)),))))
