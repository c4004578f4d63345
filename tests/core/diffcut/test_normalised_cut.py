"""The tree of normalised cuts: made features whose parts are known, and the authors' own partitions."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from make_cutting_golden import FINE, FOLDER, MAPS, POWER, THRESHOLD
from scipy.optimize import linear_sum_assignment

from diffseg_core.diffcut import normalised_cut
from diffseg_core.diffcut.normalised_cut import LIMIT, MOST, CutTree, recursive_cut
from diffseg_core.errors import InvalidSettingError
from diffseg_core.progress import callbacks
from diffseg_core.tree import Hierarchy

SAME_NODES = 0.999
SAME_AS_RELEASED = 0.98
"""Two lost nodes move the thresholds of a cut, and with them a few nodes of its border."""

golden_maps = pytest.mark.parametrize("name", MAPS)


@cache
def features_of(name: str) -> torch.Tensor:
    values = MAPS[name]()
    return torch.from_numpy(values.reshape(-1, values.shape[-1]))


@cache
def tree_of(name: str) -> CutTree:
    return recursive_cut(features_of(name), power=POWER, threshold=THRESHOLD)


@cache
def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: file[key].ravel() for key in ("labels", "fine", "as_released", "kept")}


def around(*means: list[float], size: int = 20, noise: float = 0.02, seed: int = 0) -> torch.Tensor:
    """Groups of nodes around means, one group after the other: float64 `[groups * size, C]`."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor(means, dtype=torch.float64).repeat_interleave(size, 0)
    return centres + noise * torch.randn(centres.shape, generator=generator, dtype=torch.float64)


def groups(count: int, size: int = 20) -> list[int]:
    return np.arange(count).repeat(size).tolist()


def same_nodes(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of nodes in the part that corresponds."""
    overlap = np.zeros((int(theirs.max()) + 1, int(ours.max()) + 1), dtype=np.int64)
    np.add.at(overlap, (theirs.astype(int), ours), 1)
    return float(overlap[linear_sum_assignment(-overlap)].sum() / len(theirs))


def assert_valid(tree: CutTree, nodes: int) -> None:
    """The rules of `Hierarchy`, and of numbers in reading order."""
    assert tree.parts.shape == (nodes,)
    assert tree.parts.dtype == tree.joins.dtype == np.int64
    assert tree.heights.dtype == np.float64
    assert tree.joins.shape == (tree.count - 1, 2)
    assert tree.heights.shape == (tree.count - 1,)
    assert_in_reading_order(tree.parts, tree.count)
    assert (np.diff(tree.heights) >= 0).all()
    assert ((tree.heights >= 0) & (tree.heights <= 1)).all()
    alive = set(range(tree.count))
    for first, second in tree.joins.tolist():
        assert first < second
        assert {first, second} <= alive
        alive.remove(second)
    assert alive == {0}


def assert_in_reading_order(parts: np.ndarray, count: int) -> None:
    numbers, first = np.unique(parts, return_index=True)
    assert numbers.tolist() == list(range(count))
    assert (np.diff(first) > 0).all()


def assert_same(one: CutTree, other: CutTree) -> None:
    for name in ("parts", "joins", "heights"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


# Features whose parts are known.


def test_two_blobs():
    tree = recursive_cut(around([1, 0, 0], [0, 1, 0]))
    assert tree.at(0.5).tolist() == groups(2)
    assert tree.heights[-1] > 0.9


def test_three_groups():
    tree = recursive_cut(around([1, 0, 0], [0, 1, 0], [0, 0, 1]))
    assert tree.at(0.5).tolist() == groups(3)


def test_nested_blobs_part_at_a_higher_threshold():
    near = 0.3  # of two cosines of 1 / 1.09, to the power 10: 0.42, and a price of 2 × 0.42 / 1.42
    features = around([1, 0, near, 0], [1, 0, 0, near], [0, 1, near, 0], [0, 1, 0, near])
    tree = recursive_cut(features)
    assert tree.at(0.4).tolist() == groups(2, 40)
    assert tree.at(0.7).tolist() == groups(4)


def test_a_part_may_lie_in_several_places():
    features = around([1, 0], [0, 1], size=1, noise=0.0).repeat(9, 1)
    assert recursive_cut(features).at(0.5).tolist() == [0, 1] * 9


def test_lengths_of_features_do_not_matter():
    features = around([1, 0, 0], [0, 1, 0], [0, 0, 1])
    lengths = torch.logspace(-180, 180, len(features), dtype=torch.float64)[:, None]
    assert recursive_cut(features * lengths).at(0.5).tolist() == groups(3)


def test_a_split_costs_what_it_severs():
    # Four nodes, two and two: across, each pair has the same cosine, scaled to 0 together with all others.
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.1, 1.0], [0.0, 1.0]], dtype=torch.float64)
    tree = recursive_cut(features, power=2.0)
    unit = (features / features.norm(dim=1, keepdim=True)).numpy()
    cosines = unit @ unit.T
    affinity = ((cosines - cosines.min()) / (cosines.max() - cosines.min())) ** 2
    degrees = affinity.sum(1)
    severed = affinity[:2, 2:].sum()
    price = severed / degrees[:2].sum() + severed / degrees[2:].sum()
    assert tree.heights[-1] == pytest.approx(1 - price)


def test_a_higher_power_parts_more():
    features = features_of("pagoda")
    counts = [int(recursive_cut(features, power=power).at(0.5).max()) + 1 for power in (1, 10, 30)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


# The tree.


@golden_maps
def test_trees_are_valid(name: str):
    assert_valid(tree_of(name), len(features_of(name)))


@golden_maps
def test_partitions_are_nested_and_in_reading_order(name: str):
    tree = tree_of(name)
    before = None
    for threshold in (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, LIMIT, 1.0):
        parts = tree.at(threshold)
        assert parts.dtype == np.int64
        assert_in_reading_order(parts, int(parts.max()) + 1)
        if before is not None:
            assert len(np.unique(np.stack((before, parts)), axis=1).T) == parts.max() + 1
        before = parts
    assert (tree.at(0.0) == 0).all()
    assert np.array_equal(tree.at(LIMIT), tree.parts)


def test_the_tree_is_one_of_segments():
    tree = tree_of("coffee")
    joins, heights = torch.from_numpy(tree.joins), torch.from_numpy(tree.heights)
    leaves = torch.from_numpy(tree.parts).view(24, 24).int()
    hierarchy = Hierarchy(leaves, joins, heights, torch.zeros(tree.count, 1, 1))
    for threshold in (0.3, 0.5, 0.8):
        labels, _ = hierarchy.cut(hierarchy.number_at(1.0 - threshold))
        assert np.array_equal(labels.flatten().numpy(), tree.at(threshold))


def test_the_limit_and_the_threshold_leave_cuts_below_them_as_they_are():
    features, whole = features_of("coffee"), tree_of("coffee")
    tree = recursive_cut(features, threshold=0.2, limit=0.6)
    assert 1 < tree.count < whole.count
    assert np.array_equal(tree.parts, whole.at(0.6))
    assert np.array_equal(tree.at(0.5), whole.at(0.5))


def test_beyond_the_threshold_the_tree_ends_at_a_number_of_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(normalised_cut, "MOST", 10)
    whole = tree_of("coffee")
    assert whole.at(0.8).max() + 1 > 10 > whole.at(0.5).max() + 1
    tree = recursive_cut(features_of("coffee"))
    assert tree.count == 10
    assert np.array_equal(tree.heights, whole.heights[-9:])
    assert np.array_equal(tree.at(0.5), whole.at(0.5))
    tree = recursive_cut(features_of("coffee"), threshold=0.8)
    assert np.array_equal(tree.at(0.8), whole.at(0.8))
    assert_valid(tree, 576)


def test_noise_falls_apart_into_all_its_nodes_below_the_threshold():
    features = torch.randn(MOST + 50, 2000, generator=torch.Generator().manual_seed(1))
    tree = recursive_cut(features)
    assert tree.count == MOST + 50
    assert_valid(tree, MOST + 50)


def test_steps_are_told_and_may_end_the_search():
    calls = []
    with callbacks(lambda: calls.append(1)):
        tree = recursive_cut(features_of("blobs"))
    assert len(calls) == 2 * tree.count - 1

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), callbacks(stop):
        recursive_cut(features_of("blobs"))


# Determinism, and maps in which rounding could decide.


@pytest.mark.parametrize("name", ["coffee", "checkerboard", "many_channels"])
def test_the_same_features_give_the_same_tree(name: str):
    np.random.seed(5)  # nothing depends on it
    torch.manual_seed(5)
    assert_same(recursive_cut(features_of(name)), tree_of(name))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [0.0, 0.3, -1e-3])
def test_a_constant_map_is_one_part(dtype: torch.dtype, value: float):
    tree = recursive_cut(torch.full((90, 7), value, dtype=dtype), limit=1.0)
    assert_valid(tree, 90)
    assert tree.count == 1
    assert tree.at(0.5).tolist() == [0] * 90


def test_rounding_of_lengths_does_not_part_a_constant_map():
    features = torch.rand(1, 50, dtype=torch.float64) * torch.linspace(1, 9, 80, dtype=torch.float64)[:, None]
    assert recursive_cut(features, limit=1.0).count == 1


def test_one_node_is_one_part():
    tree = recursive_cut(torch.ones(1, 3))
    assert_valid(tree, 1)
    assert tree.at(0.5).tolist() == [0]


@pytest.mark.parametrize("size", [2, 30, 90])
@pytest.mark.parametrize("kinds", [2, 3, 5])
def test_equal_nodes_are_never_parted(size: int, kinds: int):
    """Kinds at right angles: all eigenvalues but the first are equal, and each belongs to many vectors."""
    features = torch.eye(kinds, dtype=torch.float64).repeat_interleave(size, 0)
    for limit in (LIMIT, 1.0):
        tree = recursive_cut(features, limit=limit)
        assert_valid(tree, kinds * size)
        assert tree.parts.tolist() == groups(kinds, size)
        assert_same(tree, recursive_cut(features, limit=limit))


def test_a_map_that_is_its_own_mirror_image_has_one_tree():
    half = features_of("few_channels")[:120]
    features = torch.cat((half, half.flip(0)))
    tree = recursive_cut(features, limit=1.0)
    assert_valid(tree, 240)
    assert np.array_equal(tree.parts, tree.parts[::-1])  # equal nodes, and so in one part
    assert_same(tree, recursive_cut(features.clone(), limit=1.0))


def test_a_circle_of_features_is_cut_the_same_way_every_time():
    """Of a circle the second eigenvalue belongs to two vectors: every diameter is as good."""
    turns = torch.linspace(0, 2 * torch.pi, 101, dtype=torch.float64)[:-1]
    features = torch.stack((turns.cos(), turns.sin()), 1)
    tree = recursive_cut(features)
    assert_valid(tree, 100)
    assert tree.count > 1
    noise = 1e-15 * torch.randn(features.shape, generator=torch.Generator().manual_seed(2)).double()
    other = recursive_cut(features + noise)
    assert np.array_equal(other.at(0.5), tree.at(0.5))


def test_large_and_small_parts_are_cut_alike(monkeypatch: pytest.MonkeyPatch):
    for name in ("dahlia", "wide"):
        monkeypatch.setattr(normalised_cut, "SMALL", 10_000)
        slow = recursive_cut(features_of(name))
        np.testing.assert_allclose(slow.heights, tree_of(name).heights, rtol=1e-9)
        assert np.array_equal(slow.parts, tree_of(name).parts)
        assert np.array_equal(slow.joins, tree_of(name).joins)


def test_a_vector_that_does_not_come_is_computed_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(normalised_cut, "STEPS", 3)
    assert np.array_equal(recursive_cut(features_of("wide")).parts, tree_of("wide").parts)


@pytest.mark.parametrize("others", [[[1, 0], [0, 1]], [[1, 0], [-1, 0.2]]])
def test_nodes_without_features_are_a_part(others: list[list[float]]):
    features = around([0, 0], *others, noise=0.0)
    tree = recursive_cut(features)
    assert_valid(tree, 60)
    assert np.isfinite(tree.heights).all()
    assert len(set(tree.at(LIMIT)[:20].tolist())) == 1
    assert tree.at(LIMIT).tolist() == groups(3)


# Kinds of input, and errors.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision(dtype: torch.dtype):
    features = around([1, 0, 0], [0, 1, 0], [0, 0, 1])
    assert recursive_cut(features.to(dtype)).at(0.5).tolist() == groups(3)
    halves = features_of("nested_blobs").to(dtype)
    assert same_nodes(recursive_cut(halves).at(0.5), golden("nested_blobs")["labels"]) >= SAME_NODES


def test_features_are_left_as_they_are():
    features = features_of("wide").clone().requires_grad_()
    recursive_cut(features)
    assert torch.equal(features.detach(), features_of("wide"))


def test_features_that_are_none_or_not_finite_are_refused():
    for value in (float("nan"), float("inf"), -float("inf")):
        for dtype in (torch.float32, torch.bfloat16):
            features = torch.rand(5, 3).to(dtype)
            features[2, 1] = value
            with pytest.raises(InvalidSettingError, match="finite numbers in the features, got 1 of 15"):
                recursive_cut(features)
    for shape in ((4,), (2, 3, 4), (0, 3), (3, 0)):
        with pytest.raises(
            InvalidSettingError, match=r"Expected floating-point features \[n, C\].*, got torch"
        ):
            recursive_cut(torch.rand(shape))
    with pytest.raises(InvalidSettingError, match="got torch.int32"):
        recursive_cut(torch.ones(3, 2).int())


@pytest.mark.slow
def test_importing_it_does_not_import_scipy():
    code = "import sys, diffseg_core.diffcut.normalised_cut; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The authors' own partitions (make_cutting_golden.py says how they were made).


def test_golden_maps_are_small_and_complete():
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(MAPS)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


@golden_maps
def test_partitions_equal_the_authors(name: str):
    theirs = golden(name)["labels"]
    ours = tree_of(name).at(THRESHOLD)
    assert ours.max() == theirs.max()
    assert same_nodes(ours, theirs) >= SAME_NODES


@golden_maps
def test_finer_partitions_equal_the_authors(name: str):
    theirs = golden(name)["fine"]
    ours = tree_of(name).at(FINE)
    assert ours.max() == theirs.max()
    assert same_nodes(ours, theirs) >= SAME_NODES


@golden_maps
def test_partitions_are_close_to_the_authors_code_as_released(name: str):
    stored = golden(name)
    kept, ours = stored["kept"].astype(bool), tree_of(name).at(THRESHOLD)
    least = SAME_AS_RELEASED if name == "coffee" else SAME_NODES
    assert kept.mean() > 0.99
    assert same_nodes(ours[kept], stored["as_released"][kept]) >= least
