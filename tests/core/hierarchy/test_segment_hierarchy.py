"""What the settings of nested segmentation mean: their defaults, their ends, and what each hands on."""

from __future__ import annotations

import math

import pytest
import torch
from golden_files import photograph
from made_images import mosaic

from diffseg_core import AttentionMaps, InvalidSettingError, segment_hierarchy
from diffseg_core.hierarchy.tree_building import build_hierarchy, mean_maps
from diffseg_core.image.boundary_contrast import Contrast
from diffseg_core.image.colour_histograms import colour_histograms
from diffseg_core.image.smoothing import smoothed
from diffseg_core.image.superpixels import superpixels
from diffseg_core.progress import callbacks


@pytest.fixture
def maps(attention):
    return AttentionMaps({(12, 16): attention((12, 16), sharpness=0.5)})


IMAGE = mosaic(96, 128, seed=4)


def heights_of(maps, **settings):
    return segment_hierarchy(maps, IMAGE, number=5, **settings).hierarchies[0].heights


def test_the_defaults_are_what_they_are_said_to_be(maps):
    default = segment_hierarchy(maps, IMAGE).hierarchies[0]
    said = segment_hierarchy(maps, IMAGE, None, None, True, 0.5, 0.25, 0.0006).hierarchies[0]
    assert torch.equal(default.leaves, said.leaves)
    assert torch.equal(default.heights, said.heights)
    assert torch.equal(default.joins, said.joins)


@pytest.mark.parametrize(("contrast", "colour"), [(0.5, 0.25), (1.0, 0.0), (0.0, 2.0), (2.0, 10.0)])
def test_neighbours_join_by_attention_times_contrast_beside_colours_of_the_smoothed_image(
    maps, contrast, colour
):
    found = segment_hierarchy(maps, IMAGE, contrast=contrast, colour=colour).hierarchies[0]
    leaves, smooth = superpixels(IMAGE[0], 0.0006), smoothed(IMAGE[0])
    count = int(leaves.max()) + 1
    expected = build_hierarchy(
        mean_maps(maps.aggregate()[0], maps.grid, leaves, count).view(count, *maps.key_grid),
        leaves,
        Contrast(smooth, leaves, contrast),
        colour_histograms(smooth, leaves),
        colour,
    )
    assert torch.equal(found.leaves, leaves)
    assert torch.equal(found.joins, expected.joins)
    assert torch.equal(found.heights, expected.heights)
    assert torch.equal(found.maps, expected.maps)


def test_contrast_counts_between_neighbours_alone(maps):
    apart = [heights_of(maps, neighbours_only=False, contrast=contrast) for contrast in (0.0, 2.0)]
    assert torch.equal(*apart)
    assert not torch.equal(*(heights_of(maps, contrast=contrast) for contrast in (0.0, 2.0)))


def test_colours_count_among_neighbours_and_among_all(maps):
    for neighbours_only in (False, True):
        plain, coloured = (heights_of(maps, neighbours_only=neighbours_only, colour=each) for each in (0, 1))
        assert not torch.equal(plain, coloured)


@pytest.mark.parametrize("finest", [0.0006, 0.003, 0.01, 0.1])
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_no_leaf_is_smaller_than_the_finest_area(maps, name, finest):
    tree = segment_hierarchy(maps, photograph(name), finest=finest).hierarchies[0]
    pixels = tree.leaves.numel()
    assert int(tree.areas.min()) >= math.ceil(finest * pixels)
    assert int(tree.areas.min()) < 4 * finest * pixels  # and some are nearly as small


def test_a_height_cuts_every_tree_at_its_own_number(attention):
    both = AttentionMaps({(12, 16): attention((12, 16), batch=2, sharpness=0.7)})
    images = torch.cat((IMAGE, mosaic(96, 128, cells=3)))
    trees = segment_hierarchy(both, images).hierarchies
    height = float(trees[0].heights[-4])
    found = segment_hierarchy(both, images, height=height)
    assert found.counts == [tree.number_at(height) for tree in trees]
    assert found.counts[0] != found.counts[1]
    assert segment_hierarchy(both, images, number=7).counts == [7, 7]
    assert segment_hierarchy(both, images).counts == [tree.automatic_number() for tree in trees]


def test_every_image_of_a_batch_has_the_tree_it_has_alone(attention):
    scenes = attention((12, 16), batch=2)
    images = torch.cat((IMAGE, mosaic(96, 128, seed=9)))
    trees = segment_hierarchy(AttentionMaps({(12, 16): scenes}), images).hierarchies
    for index, tree in enumerate(trees):
        alone = segment_hierarchy(
            AttentionMaps({(12, 16): scenes[index : index + 1]}), images[index : index + 1]
        )
        assert torch.equal(tree.leaves, alone.hierarchies[0].leaves)
        assert torch.equal(tree.joins, alone.hierarchies[0].joins)


def test_the_end_of_every_image_is_told_and_an_error_ends_the_call(attention):
    both, images = AttentionMaps({(8, 8): attention((8, 8), batch=2)}), mosaic(40, 40).expand(2, -1, -1, -1)
    told = []
    with callbacks(on_image=told.append):
        segment_hierarchy(both, images)
    assert told == [1, 2]

    def stop(done: int) -> None:
        told.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), callbacks(on_image=stop):
        segment_hierarchy(both, images)
    assert told == [1, 2, 1]


def test_alpha_is_left_out(maps):
    generator = torch.Generator().manual_seed(0)
    with_alpha = torch.cat((IMAGE, torch.rand(1, 96, 128, 1, generator=generator)), 3)
    assert torch.equal(segment_hierarchy(maps, with_alpha).labels, segment_hierarchy(maps, IMAGE).labels)


@pytest.mark.parametrize(
    "settings",
    [
        {"number": 1},
        {"height": 0.0},
        {"contrast": 0.0},
        {"contrast": 2.0},
        {"colour": 0.0},
        {"colour": 10.0},
        {"finest": 0.1},
        {"finest": 1e-4},
    ],
)
def test_the_ends_of_a_setting_are_within(maps, settings):
    assert segment_hierarchy(maps, IMAGE[:, :24, :24], **settings).labels.shape == (1, 24, 24)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": 3, "height": 0.0}, r"got both \(3, 0.0\)"),
    ],
)
def test_a_setting_beyond_its_ends_is_refused(maps, settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        segment_hierarchy(maps, IMAGE, **settings)
