"""Colours for segments: distinct within an image, and the same for the same segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..segments import Segments
from ..tree import Hierarchy
from .poles import Pole, segment_poles

COLOURS = 64
FIRST = 24  # these differ most from each other; images of up to 24 segments need no others
CELL = 8  # pixels: a pole may move this much and keep its colour
LIGHTNESS = (0.35, 0.95)  # in Oklab: neither lost on a black background nor on a white one
CHROMA = 0.12  # least, in Oklab: below, a colour looks grey
APART = 0.3  # distance in Oklab from which on two colours side by side are told apart at a glance


def oklab(colours: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Lightness, green–red and blue–yellow of sRGB in 0..1 (Ottosson, "Oklab", 2020): ``[N, 3]``.

    Equal distances there look about equally far.
    """
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    lab: npt.NDArray[np.float64] = np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )
    return lab


def _palette() -> npt.NDArray[np.float32]:
    """Colours chosen one after the other, each as far as can be from those before it, in Oklab."""
    steps = np.linspace(0.0, 1.0, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    lab = oklab(cube)
    fit = (
        (np.hypot(lab[:, 1], lab[:, 2]) >= CHROMA) & (lab[:, 0] >= LIGHTNESS[0]) & (lab[:, 0] <= LIGHTNESS[1])
    )
    cube, lab = cube[fit], lab[fit]
    chosen = [int(np.argmax(cube @ np.array([1.0, -0.5, -1.0])))]  # red
    distance = np.full(len(cube), np.inf)
    while len(chosen) < COLOURS:
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return cube[chosen]


PALETTE = _palette()  # [64, 3], sRGB in 0..1
_LAB = oklab(PALETTE)
_ARE_APART = np.linalg.norm(_LAB[:, None] - _LAB[None], axis=-1) >= APART


def colours_of(segments: Segments, image_index: int) -> npt.NDArray[np.float32]:
    """A colour for every segment of an image: float32 ``[K, 3]``, sRGB in 0..1.

    Segments of a hierarchy have the same colour at every granularity at which they are the same segment, see
    `tree_colours`; others have colours that follow from their places, see `choose_colours`.
    """
    if not segments.hierarchies:
        return PALETTE[choose_colours(segment_poles(segments, image_index))]
    tree, count = segments.hierarchies[image_index], segments.counts[image_index]
    return segments.keep(("colours", image_index), lambda: _colours_of_cut(tree, count))


def _colours_of_cut(tree: Hierarchy, count: int) -> npt.NDArray[np.float32]:
    if not count:
        return PALETTE[:0]
    nodes, _ = tree.nodes.cut(count)
    by_area = nodes[np.argsort(-tree.node_areas[nodes], kind="stable")]  # as segments are numbered
    colours, carriers = tree_colours(tree), _carriers(tree)
    return PALETTE[[colours[carriers[node]] for node in by_area]]


def tree_colours(tree: Hierarchy) -> list[int]:
    """The colour of every leaf of a hierarchy, as an index into the palette.

    Where two segments join, the larger one hands its colour on. So from the whole image down every split
    brings in one new colour: one that is not in use yet, told apart from that of the other part, and the
    first of those in a sequence that follows from the leaf's place. From the 65th segment on colours repeat.
    """
    carriers = _carriers(tree)
    splits: list[tuple[int | None, int]] = [(None, carriers[-1])]
    for join, (first, second) in reversed(list(enumerate(tree.nodes.children, start=tree.count))):
        handed_on = carriers[join]
        splits.append((handed_on, carriers[second] if carriers[first] == handed_on else carriers[first]))
    leaves = tree.leaves.cpu().numpy()
    starts = np.zeros(tree.count + 1, dtype=np.int64)  # of leaves, their first pixels; −1 takes the last
    starts[leaves.ravel()[::-1]] = np.arange(leaves.size)[::-1]  # backwards: of several the first stays
    rows, columns = (place.tolist() for place in np.divmod(starts, leaves.shape[1]))
    taken: set[int] = set()
    colours = [0] * tree.count
    for larger, smaller in splits:
        preferences = _preferences(Pole(columns[smaller], rows[smaller], 0.0), COLOURS, FIRST)
        beside = preferences if larger is None else [i for i in preferences if _ARE_APART[colours[larger], i]]
        free = [i for i in beside if i not in taken] or [i for i in preferences if i not in taken] or beside
        colours[smaller] = free[0]
        taken.add(free[0])
    return colours


def _carriers(tree: Hierarchy) -> list[int]:
    """The leaf whose colour each node carries."""
    larger = tree.nodes.folded(
        zip(tree.areas.tolist(), range(tree.count), strict=True),
        lambda one, other: (one[0] + other[0], one[1] if one[0] >= other[0] else other[1]),
    )
    return [leaf for _, leaf in larger]


def choose_colours(
    poles: Sequence[Pole],
    colours: int = COLOURS,
    first: int = FIRST,
    fixed: Mapping[int, int] | None = None,
) -> list[int]:
    """An index into a palette for every segment.

    A segment's colour follows from the place of its pole, so the same segment keeps its colour when
    other settings split or merge the rest of the image. Where a larger segment holds the colour
    already, the next one of a sequence that likewise follows from the place is taken; colours repeat
    only in images of more segments than the palette has colours.

    Args:
        poles: poles of inaccessibility, in descending order of the segments' area.
        colours: size of the palette.
        first: the palette's first so many colours are chosen before the others.
        fixed: palette index by segment, where it is set already; other segments take other colours.
    """
    fixed = fixed or {}
    taken = set(fixed.values())
    chosen = []
    for segment, pole in enumerate(poles):
        preferences = _preferences(pole, colours, first)
        free = next((index for index in preferences if index not in taken), preferences[0])
        colour = fixed.get(segment, free)
        taken.add(colour)
        chosen.append(colour)
    return chosen


def _preferences(pole: Pole, colours: int, first: int) -> list[int]:
    """All palette indices in the order in which a segment with this pole would like to have them."""
    place = np.random.default_rng((pole.y // CELL, pole.x // CELL))
    return [*place.permutation(first).tolist(), *(first + place.permutation(colours - first)).tolist()]
