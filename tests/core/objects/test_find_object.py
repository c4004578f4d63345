"""Objects by clicks, boxes and strokes, in an image whose things are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from diffseg_core import (
    GridSize,
    InvalidSettingError,
    Segments,
    find_object,
    parse_prompts,
    segment_hierarchy,
)
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.image import pyramid
from diffseg_core.image.pyramid import sampled
from diffseg_core.objects import leaf_graph
from diffseg_core.objects.attention_chain import arrivals, attention_between, balanced_chain
from diffseg_core.objects.leaf_graph import LeafGraph
from diffseg_core.objects.markov_maps import MarkovMaps
from diffseg_core.objects.network import potentials
from diffseg_core.objects.object_finder import ObjectFinder
from diffseg_core.objects.prompts import Scribble

SIZE, CELLS = 96, 24
SHIRT, TROUSERS, BALL, GROUND = range(4)
COLOURS = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.2, 0.8], [0.9, 0.8, 0.1], [0.3, 0.5, 0.3]])


def scene() -> torch.Tensor:
    """A person of two parts, a ball beside them, and the ground: int64 `[SIZE, SIZE]`."""
    labels = torch.full((SIZE, SIZE), GROUND)
    labels[16:44, 16:40] = SHIRT
    labels[44:80, 16:40] = TROUSERS
    labels[24:48, 60:84] = BALL
    return labels


def photographed(labels: torch.Tensor) -> torch.Tensor:
    noise = torch.rand(SIZE, SIZE, 3, generator=torch.Generator().manual_seed(0))
    return (COLOURS[labels] + 0.04 * (noise - 0.5)).clamp(0, 1)


@pytest.fixture(scope="module")
def nested() -> tuple[Segments, torch.Tensor]:
    """Attention that knows the person: shirt and trousers look at one another, the rest at themselves."""
    labels = scene()
    step = SIZE // CELLS
    tokens = labels[step // 2 :: step, step // 2 :: step].flatten()
    things = torch.where(tokens == TROUSERS, torch.tensor(SHIRT), tokens)
    attention = 0.02 + (things[:, None] == things).float() + 0.7 * (tokens[:, None] == tokens).float()
    attention /= attention.sum(1, keepdim=True)
    image = photographed(labels)
    return segment_hierarchy(AttentionMaps({(CELLS, CELLS): attention[None]}), image[None]), image


@pytest.fixture
def finder(nested) -> ObjectFinder:
    segments, image = nested
    return ObjectFinder(segments.hierarchies[0], image)


def shares(mask: np.ndarray) -> list[float]:
    """How much of shirt, trousers, ball and ground is in a mask."""
    labels = scene().numpy()
    return [round(float(mask[labels == part].mean()), 1) for part in range(4)]


def found(finder: ObjectFinder, *prompts: dict) -> list[float]:
    return shares(finder.find(parse_prompts(list(prompts))).mask)


PERSON, PLUS = [1, 1, 0, 0], {"x": 28, "y": 30}


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([], [0, 0, 0, 0]),
        ([{"x": 28, "y": 30, "label": 0}], [0, 0, 0, 0]),
        ([{"x": 300, "y": 30}], [0, 0, 0, 0]),
        ([{"x": 72, "y": 36}], [0, 0, 1, 0]),
        ([PLUS, {"x": 28, "y": 60}], PERSON),
        ([PLUS, {"x": 28, "y": 60, "label": 0}], [1, 0, 0, 0]),
        ([PLUS, {"x": 28, "y": 60}, {"x": 72, "y": 36}], [1, 1, 1, 0]),
        ([PLUS, {"x": 28, "y": 60}, {"x": 75, "y": 30, "label": 0}], PERSON),
        ([{"x": 28, "y": 60, "label": 0}, PLUS], [1, 0, 0, 0]),
        ([{"box": [70, 34, 73, 37]}], [0, 0, 1, 0]),  # smaller than the ball, which is a leaf
        ([{"box": [14, 14, 42, 82]}], PERSON),
        ([{"box": [58, 22, 86, 50]}], [0, 0, 1, 0]),
        ([{"box": [14, 14, 42, 82]}, {"x": 28, "y": 60, "label": 0}], [1, 0, 0, 0]),
        ([{"box": [0, 0, 96, 96]}], [1, 1, 1, 1]),
        ([{"stroke": [[20, 25], [35, 35]]}, {"stroke": [[20, 50], [35, 75]]}], PERSON),
        ([{"stroke": [[20, 25], [28, 75]]}], PERSON),
        ([{"stroke": [[20, 25], [28, 75]]}, {"box": [0, 44, 50, 96], "label": 0}], [1, 0, 0, 0]),
    ],
)
def test_the_mask_is_what_the_prompts_mean(finder, prompts, expected):
    assert found(finder, *prompts) == expected


def test_the_size_of_a_click_takes_more_and_less(finder):
    areas = [
        finder.find(parse_prompts([{"x": 28, "y": 30, "size": size}])).mask.sum() for size in range(-8, 9)
    ]
    assert areas == sorted(areas)
    assert areas[0] < areas[-1] == SIZE * SIZE


def test_a_mask_holds_its_positive_clicks_and_none_of_the_negative_ones(finder):
    generator = np.random.default_rng(0)
    for _ in range(25):
        places = generator.integers(0, (SIZE, SIZE, 2), (6, 3)).tolist()
        prompts = [{"x": x, "y": y, "label": label} for x, y, label in places]
        mask = finder.find(parse_prompts(prompts)).mask
        first_positive = any(prompt["label"] for prompt in prompts)
        for prompt in prompts:
            assert mask[prompt["y"], prompt["x"]] == (bool(prompt["label"]) and first_positive)


def test_a_leaf_with_clicks_for_and_against_is_divided_among_them(finder):
    finder_leaves = finder._leaves
    leaf = finder_leaves[36, 72]
    rows, columns = np.nonzero(finder_leaves == leaf)
    left, right = columns.argmin(), columns.argmax()
    prompts = [
        {"x": int(columns[left]), "y": int(rows[left])},
        {"x": int(columns[right]), "y": int(rows[right]), "label": 0},
    ]
    mask = finder.find(parse_prompts(prompts)).mask
    assert mask[rows[left], columns[left]]
    assert not mask[rows[right], columns[right]]


def test_what_belongs_together_scores_higher_than_a_part_of_it(finder):
    graph = finder.graph
    first, second = graph.borders[graph.conductances.argmax()]
    part = np.arange(len(graph.areas)) == first
    both = part | (np.arange(len(graph.areas)) == second)
    assert 0 < finder._score(part) < finder._score(both) <= 1
    kept = np.sqrt(graph.areas[first])
    lost = graph.conductances[(graph.borders == first).any(1)].sum()
    assert finder._score(part) == pytest.approx(kept / (kept + lost))
    assert finder._score(np.ones(len(part), bool)) == 1
    assert finder.find(()).score == 0


def test_attention_joins_what_colours_do_not(nested):
    segments, image = nested
    tree = segments.hierarchies[0]
    with_attention, without = LeafGraph.of(tree, image), LeafGraph.of(tree, image, attention=False)
    shirt, trousers = int(tree.leaves[30, 28]), int(tree.leaves[60, 28])
    ball = int(tree.leaves[36, 72])
    assert with_attention.arrivals[shirt, trousers] < with_attention.arrivals[shirt, ball] / 10
    assert with_attention.arrivals[shirt, trousers] < without.arrivals[shirt, trousers] / 10


def test_the_chain_is_stationary_in_the_areas(nested):
    segments, _ = nested
    areas = segments.hierarchies[0].areas.numpy()
    chain = balanced_chain(attention_between(segments.hierarchies[0]), areas)
    np.testing.assert_allclose(chain.sum(1), 1.0)
    shares = areas / areas.sum()
    np.testing.assert_allclose(shares @ chain, shares, rtol=2e-3)


def walked(chain, areas, start, stop):
    """When a walk arrives, step by step."""
    walk, before = np.eye(len(areas))[start], np.eye(len(areas))[start]
    for step in range(1, 301):
        walk = walk @ chain
        density = walk / areas
        density = density / density.max()
        if density[stop] > 0.3:
            gained = density[stop] - before[stop] if step > 1 else 0.7
            return step - min((density[stop] - 0.3) / gained, 1.0)
        before = density
    return 300.0


def test_attention_arrives_when_a_walk_does():
    generator = np.random.default_rng(3)
    near = np.exp(-np.abs(np.subtract.outer(np.arange(12), np.arange(12))) * 1.5) * generator.random((12, 12))
    areas = generator.integers(5, 50, 12)
    chain = balanced_chain(near, areas)
    found = arrivals(chain, areas)
    assert (found.diagonal() == 0).all()
    expected = np.array([[walked(chain, areas, i, j) if i != j else 0 for j in range(12)] for i in range(12)])
    assert expected.max() > 40  # far more than the single steps
    np.testing.assert_allclose(found[expected <= 32], expected[expected <= 32], atol=1e-3)
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_attention_that_never_arrives_ends_somewhere():
    apart = np.kron(np.eye(2), np.ones((2, 2)))
    found = arrivals(balanced_chain(apart, np.array([4, 4, 4, 4])), np.array([4, 4, 4, 4]))
    assert found[0, 1] < 2 < 300 == found[0, 2] == found.max()


def test_the_graph_has_every_border_once(nested):
    segments, image = nested
    tree = segments.hierarchies[0]
    graph = LeafGraph.of(tree, image)
    leaves = tree.leaves.numpy()
    pairs = np.concatenate(
        [
            np.stack((leaves[:, 1:], leaves[:, :-1]), -1).reshape(-1, 2),
            np.stack((leaves[1:], leaves[:-1]), -1).reshape(-1, 2),
        ]
    )
    counts = {}
    for one, other in pairs.tolist():
        if one != other:
            counts[min(one, other), max(one, other)] = counts.get((min(one, other), max(one, other)), 0) + 1
    assert [tuple(pair) for pair in graph.borders.tolist()] == sorted(counts)
    assert graph.lengths.tolist() == [counts[tuple(pair)] for pair in graph.borders.tolist()]
    assert (graph.distances == graph.distances.T).all()
    for leaf, (beside, borders) in enumerate(graph.around):
        assert beside.tolist() == sorted({*graph.borders[(graph.borders == leaf).any(1)].ravel()} - {leaf})
        assert (graph.borders[borders] == leaf).any(1).all()


def test_a_large_image_is_measured_smaller_unless_a_leaf_is_missed(nested, monkeypatch):
    segments, image = nested
    tree = segments.at_granularity(4).hierarchies[0]
    full = LeafGraph.of(tree, image)
    monkeypatch.setattr(leaf_graph, "MAX_PIXELS", (SIZE // 2) ** 2)
    large = [leaf for leaf in range(tree.count) if full.areas[leaf] > 100]
    some = tree.restrict(torch.where(torch.isin(tree.leaves, torch.tensor(large)), tree.leaves, -1))
    smaller = LeafGraph.of(some, image)
    monkeypatch.undo()
    expected = LeafGraph.of(some, image)
    assert smaller.areas.tolist() == expected.areas.tolist()
    assert smaller.borders.tolist() == expected.borders.tolist()
    np.testing.assert_allclose(smaller.lengths, expected.lengths, rtol=0.1)
    np.testing.assert_allclose(smaller.steps, expected.steps, rtol=0.35)
    np.testing.assert_allclose(smaller.conductances, expected.conductances, rtol=0.2)
    monkeypatch.setattr(leaf_graph, "MAX_PIXELS", 30)  # five by six pixels miss the ball
    np.testing.assert_array_equal(LeafGraph.of(some, image).lengths, expected.lengths)


def test_a_tree_of_a_part_of_the_image_is_searched_alone(nested):
    segments, image = nested
    trees = segments.at_granularity(4)
    kept = trees.subset([[int(trees.labels[0, 36, 72]), int(trees.labels[0, 30, 28])]])
    for seen in (image, None):
        finder = ObjectFinder(kept.hierarchies[0], seen)
        assert found(finder, {"x": 72, "y": 36}) == [0, 0, 1, 0]
        assert found(finder, {"x": 3, "y": 3}) == [0, 0, 0, 0]  # nothing is there
        assert found(finder, {"box": [58, 22, 86, 50]}) == [0, 0, 1, 0]
    nothing = ObjectFinder(kept.subset([[]]).hierarchies[0], image)
    assert not nothing.find(parse_prompts([{"x": 72, "y": 36}, {"box": [0, 0, 50, 50]}])).mask.any()


def any_prompt(generator: np.random.Generator) -> dict:
    """A click, now and then of another size, a box or a stroke, for or against."""
    (x, y), label = generator.integers(0, SIZE, 2).tolist(), int(generator.random() < 0.6)
    kind = generator.random()
    if kind < 0.25:
        return {"box": [x, y, x + 5 + int(generator.integers(40)), y + 20], "label": label}
    if kind < 0.5:
        return {"stroke": [[x, y], [min(x + 9, SIZE - 1), y]], "label": label}
    return {"x": x, "y": y, "label": label, "size": int(generator.integers(-2, 3))}


def beyond(leaves: np.ndarray, box: list[int]) -> np.ndarray:
    """Which of the leaves are too little in a box to be of what it is around."""
    x1, y1, x2, y2 = box
    areas = np.bincount(leaves.ravel())
    share = np.bincount(leaves[y1:y2, x1:x2].ravel(), minlength=len(areas)) / areas
    return share < min(0.7, share.max())


def test_a_prompt_for_takes_nothing_away_but_what_lies_outside_a_box_and_one_against_adds_nothing(finder):
    generator, taken = np.random.default_rng(5), 0
    leaves = finder._leaves
    for _ in range(30):
        prompts: list[dict] = []
        fixed = np.zeros(leaves.max() + 1, dtype=bool)  # by clicks and strokes for it
        before = np.zeros((SIZE, SIZE), bool)
        for _ in range(6):
            last = any_prompt(generator)
            prompts.append(last)
            mask = finder.find(parse_prompts(prompts)).mask
            clicked = np.isin(leaves, [leaves[each["y"], each["x"]] for each in prompts if "x" in each])
            lost, won = before & ~mask & ~clicked, mask & ~before & ~clicked  # a clicked leaf may be divided
            if not last["label"]:
                assert not won.any(), prompts
            elif "box" not in last:
                assert not lost.any(), prompts
            else:
                outside = beyond(leaves, last["box"])
                assert outside[leaves[lost]].all(), prompts
                assert not fixed[leaves[lost]].any(), prompts
                taken += lost.any()
            if "x" in last:
                fixed[leaves[last["y"], last["x"]]] = last["label"]
            elif "stroke" in last:
                fixed[finder.leaves_under(*parse_prompts([last]))] = last["label"]
            elif not last["label"]:
                fixed &= beyond(leaves, last["box"])
            before = mask
    assert taken > 5  # else the boxes show nothing


def test_a_click_outside_a_box_stays_whichever_comes_first(finder):
    click, box = {"x": 72, "y": 36}, {"box": [14, 14, 42, 82]}
    for prompts in ([click, box], [box, click]):
        assert found(finder, *prompts) == [1, 1, 1, 0]
    # What the click took beyond its finest segment goes with the box.
    part, drawn = {**PLUS, "size": 9}, {"box": [58, 22, 86, 50]}
    mask = finder.find(parse_prompts([part, drawn])).mask
    assert shares(mask)[1:] == [0, 1, 0]
    assert mask[30, 28]


def test_of_clicks_on_the_very_same_pixel_the_last_one_counts(finder):
    generator = np.random.default_rng(2)
    for x, y in generator.integers(0, SIZE, (6, 2)).tolist():
        given = [PLUS, {"x": 28, "y": 60}]
        for label in (1, 0, 1, 1, 0, 0):
            given.append({"x": x, "y": y, "label": label})
            assert finder.find(parse_prompts(given)).mask[y, x] == bool(label)


def test_a_step_of_the_size_is_more_than_the_click_by_itself_and_a_step_down_less(finder):
    generator, grown, shrunk = np.random.default_rng(11), 0, 0
    for _ in range(20):
        before = [any_prompt(generator) for _ in range(generator.integers(0, 4))]
        x, y = generator.integers(0, SIZE, 2).tolist()
        for label in (1, 0):
            sized = [
                finder.find(parse_prompts([*before, {"x": x, "y": y, "label": label, "size": size}])).mask
                for size in range(-3, 4)
            ]
            taken = sized if label else [~mask for mask in sized]
            for smaller, larger in pairwise(taken):
                assert not (smaller & ~larger).any(), "each size holds the smaller ones"
            largest = finder.find(parse_prompts([*before, {"x": x, "y": y, "label": label, "size": 99}])).mask
            if (largest != sized[3]).any():
                assert taken[4].sum() > taken[3].sum()
                grown += 1
            shrunk += taken[2].sum() < taken[3].sum()
    assert grown > 10
    assert shrunk > 3


def test_a_scribble_fixes_what_it_covers(finder):
    pixels = np.zeros((SIZE, SIZE), bool)
    pixels[26:46, 62:80] = True
    assert shares(finder.find([Scribble(pixels)]).mask) == [0, 0, 1, 0]
    assert not finder.find([Scribble(pixels, positive=False)]).mask.any()
    assert not finder.find([Scribble(np.zeros_like(pixels))]).mask.any()


def test_a_click_on_an_image_that_is_shown_smaller_names_the_segment_of_its_pixel(nested, monkeypatch):
    segments, image = nested
    tree = segments.hierarchies[0]
    monkeypatch.setattr(pyramid, "MAX_SIDE", SIZE // 5)
    finder = ObjectFinder(tree, image)
    leaves = tree.leaves.numpy()
    cells = sampled(leaves, GridSize(*finder._shown.leaves.shape))
    assert cells.shape == (SIZE // 5, SIZE // 5)
    rows, columns = np.nonzero(enlarged(cells) != leaves)
    assert len(rows) > 50
    for y, x in list(zip(rows.tolist(), columns.tolist(), strict=True))[::7]:
        alone = parse_prompts([{"x": x, "y": y, "size": -99}])
        assert np.array_equal(finder.find(alone).mask, leaves == leaves[y, x])


def enlarged(cells: np.ndarray) -> np.ndarray:
    """The cell that each pixel lies in."""
    of = (2 * np.arange(SIZE) + 1) * len(cells) // (2 * SIZE)
    return cells[of][:, of]


def test_what_is_drawn_where_no_segment_is_says_nothing(nested):
    segments, image = nested
    trees = segments.at_granularity(4)
    kept = trees.subset([[int(trees.labels[0, 36, 72]), int(trees.labels[0, 30, 28])]])
    finder = ObjectFinder(kept.hierarchies[0], image)
    for label in (1, 0):
        drawn = [{"x": 3, "y": 3}, {"box": [0, 0, 9, 9]}, {"stroke": [[1, 1], [9, 2]]}]
        for prompt in drawn:
            given = {**prompt, "label": label}
            assert not finder.find(parse_prompts([given])).mask.any()
            click = {"x": 72, "y": 36}
            assert np.array_equal(
                finder.find(parse_prompts([click, given])).mask, finder.find(parse_prompts([click])).mask
            )


def test_a_markov_map_is_0_where_it_starts_and_far_beyond_the_ground(nested):
    segments, image = nested
    tree = segments.hierarchies[0]
    maps = MarkovMaps(LeafGraph.of(tree, image))
    shirt, trousers, ball = (int(tree.leaves[y, x]) for y, x in ((30, 28), (60, 28), (36, 72)))
    values = maps.map(shirt)
    assert values[shirt] == 0
    assert values.max() == 65535
    assert values[trousers] < values[ball]
    likely = maps.likelihood([shirt], [ball])
    assert likely[shirt] > 0.99 > 0.01 > likely[ball]
    assert likely[trousers] > 0.5
    assert ((likely >= 0) & (likely <= 1)).all()


def test_potentials_are_those_of_the_network_solved_densely():
    generator = np.random.default_rng(1)
    conductances = generator.random((7, 7))
    conductances = conductances + conductances.T
    np.fill_diagonal(conductances, 0)
    ties, drive = generator.random(7), generator.random(7)
    fixed = np.array([1.0, np.nan, np.nan, 0.0, np.nan, np.nan, np.nan])
    free = np.isnan(fixed)
    matrix = np.diag(conductances.sum(1) + ties) - conductances
    expected = np.linalg.solve(
        matrix[np.ix_(free, free)], conductances[free][:, ~free] @ fixed[~free] + drive[free]
    )
    borders = np.stack(np.triu_indices(7, 1), 1)
    solved = potentials(borders, conductances[tuple(borders.T)], ties, drive, fixed)
    np.testing.assert_allclose(solved[free], expected, atol=1e-9)
    assert solved[0] == 1
    assert solved[3] == 0


def test_a_batch_has_an_object_in_each_image(nested):
    segments, image = nested
    both = Segments(segments.labels.expand(2, -1, -1), segments.proposals * 2, segments.hierarchies * 2)
    result, scores = find_object(both, torch.stack((image, image)), parse_prompts([{"x": 72, "y": 36}]))
    assert result.counts == [1, 1]
    assert scores[0] == scores[1] > 0
    assert shares(result.union()[1].numpy() > 0) == [0, 0, 1, 0]
    nothing, scores = find_object(segments, image[None], ())
    assert nothing.counts == [0]
    assert scores == (0.0,)


def test_segments_without_a_hierarchy_are_refused_with_where_to_get_one():
    with pytest.raises(InvalidSettingError, match="DiffSeg Hierarchy"):
        find_object(Segments(torch.zeros(1, 4, 4, dtype=torch.int32), ()), torch.rand(1, 4, 4, 3), ())
