"""From prompts to the mask of one object of one image.

The first click takes a part of the tree, a first stroke what the Markov maps say. From the second prompt on a
walker with memory decides: leaves under prompts are fixed, every other one is tied to what it was and to what
the Markov maps say of it, and conductances between neighbours carry the rest (random walker: Grady, 2006). A
box says how far the object goes: it takes away and fixes what lies outside of it, but for leaves that prompts
for the object fixed before, and ties what lies inside by likeness to the outside and to the box's middle; of
the masks that the potentials give, the one that fills the box best is added to what was there inside.

The picker in the browser does the same, in `web/picker/prompting/`; both give the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from ..image.bounds import bounding_boxes, corners
from ..tree import Hierarchy
from .click_nodes import clicked_node, resized_click
from .leaf_graph import LeafGraph
from .markov_maps import MarkovMaps
from .points import Point
from .prompts import Box, Click, Placed, Prompt, Scribble, Stroke, split_by_place
from .seeds import Seeds
from .shown_pixels import Colours, ShownPixels, line_pixels

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bitmap = npt.NDArray[np.bool_]

MEMORY = 0.06  # how strongly a leaf of the mean area is tied, as a share of the mean degree
NEW = 0.49  # of the tie, what the Markov maps say; the rest, a little more, is what the leaf was
LIKENESS = 0.3  # how strongly a leaf in a box is tied, as a share of the mean degree
IN_BOX = 0.7  # share of a leaf inside a box from which on it may be the object's
CLOSEST = 3  # leaves that a likeness is taken to
CROSSED = 0.1  # share of a leaf, or of the stroke, from which on a stroke fixes the leaf
THRESHOLDS = [step / 40 for step in range(8, 33)]  # of potentials in a box
FILLING = 1.5  # how much the fit of the boxes counts beside a threshold near a half
COLOUR_REACH = 0.02 * 255**2  # squared difference of colour that counts as much as a leaf's own extent


@dataclass(frozen=True, eq=False)
class FoundObject:
    """What the prompts mean.

    Attributes:
        mask: bool ``[H, W]``.
        score: 0..1, of the conductance that the object's leaves have, their own included, the share that
            stays inside: how well the object is set off from what is around it. 0 where there is none.
    """

    mask: Bitmap
    score: float


class ObjectFinder:
    """Finds objects in one image; all of an object's prompts together answer in milliseconds.

    Args:
        tree: of the image.
        image: float32 ``[H, W, 3]`` in 0..1; without one attention alone counts.
        attention: with False colours alone count, as a control.

    Attributes:
        graph: the leaves and their borders.
        colours: by which leaves with clicks for and against are divided.
    """

    def __init__(
        self,
        tree: Hierarchy,
        image: torch.Tensor | None,
        attention: bool = True,
    ) -> None:
        self._leaves = tree.leaves.cpu().numpy()
        self._shown = ShownPixels(self._leaves, tree.count)
        self.colours = Colours(image, self._shown.size)
        self.graph = LeafGraph.of(tree, image, attention)
        self._tree = tree
        self._maps = MarkovMaps(self.graph)

    def find(self, prompts: Sequence[Prompt]) -> FoundObject:
        """The object that the prompts mean, in the order in which they were given.

        Those outside the image are left out; without any positive one there is no object.

        Raises:
            InvalidSettingError: words among them, which have to be looked for first.
        """
        label = np.zeros(len(self.graph.areas))
        seeds = Seeds(len(label))
        placed = split_by_place(prompts, self._shown.size)[0] if len(label) else []
        for prompt in placed:
            if isinstance(prompt, Box):
                label = self._box(prompt, label, seeds)
            elif isinstance(prompt, Click):
                label = self._click(prompt, label, seeds)
            elif (fixed := self.leaves_under(prompt)).size:
                seeds.add(fixed, prompt.positive)
                label = self._walk(label, seeds, prompt.positive)
        return FoundObject(self._painted(label > 0.5, placed, seeds.divided), self._score(label > 0.5))

    def leaves_under(self, prompt: Stroke | Scribble) -> Integers:
        """The leaves that a stroke or a scribble fixes."""
        if isinstance(prompt, Scribble):
            of = self._leaves[prompt.pixels]
            counts, extents = np.bincount(of + 1, minlength=len(self.graph.areas) + 1)[1:], self.graph.areas
        else:
            corners = [self._shown.cell(point) for point in prompt.points]
            lines = [line_pixels(*ends) for ends in zip(corners, corners[1:] or corners, strict=False)]
            cells = np.concatenate(lines)
            within = ((cells >= 0) & (cells < self._shown.leaves.shape[::-1])).all(1)
            of = np.unique(cells[within], axis=0)
            counts, extents = self._shown.counts_in((of[:, 1], of[:, 0])), self._shown.counts
        enough = (counts > CROSSED * extents) | (counts > CROSSED * len(of))
        return np.flatnonzero(enough & (counts > 0))

    def _click(self, click: Click, label: Numbers, seeds: Seeds) -> Numbers:
        leaf = self._leaf(click)
        if leaf < 0:
            return label
        blocked = seeds.of(not click.positive).copy()
        seeds.add([leaf], click.positive, is_click=True)
        if label.any():
            changed = self._walk(label, seeds, click.positive)
        elif click.positive:
            changed = np.zeros_like(label)
            changed[self._tree.nodes.leaves(clicked_node(self._tree, leaf, blocked))] = 1.0
            changed = seeds.applied_to(changed)
        else:
            return label  # there is nothing yet that it could be taken from
        if click.size:
            # What the click takes: for the object, what it adds; against it, what it adds to the background.
            sides = (label, changed) if click.positive else (1.0 - label, 1.0 - changed)
            before, after = (side > 0.5 for side in sides)
            taken = resized_click(self._tree.nodes, leaf, before, after, seeds.free, seeds.beyond, click.size)
            if click.positive:
                seeds.release(taken)
            changed = seeds.applied_to((taken == click.positive).astype(np.float64))
        return changed

    def _leaf(self, click: Click) -> int:
        """The leaf under a click, -1 for none."""
        return int(self._leaves[click.point.y, click.point.x])

    def _walk(self, label: Numbers, seeds: Seeds, positive: bool) -> Numbers:
        """The walker's decision, 1 for the object: nothing less after a prompt for it, nothing more against.

        Where there is no object yet, it has nothing to remember, and the maps alone decide.
        """
        graph = self.graph
        likely = self._maps.likelihood(*seeds.leaves)
        if positive and not label.any():
            return seeds.applied_to((likely > 0.5).astype(np.float64))
        tie = MEMORY * graph.typical_degree * graph.areas / graph.areas.mean()
        wanted = (1.0 - NEW) * label + NEW * likely
        found = graph.potentials(tie, tie * wanted, seeds.values)
        decided = (found > 0.5).astype(np.float64)
        return seeds.applied_to(np.maximum(label, decided) if positive else np.minimum(label, decided))

    def _box(self, box: Box, label: Numbers, seeds: Seeds) -> Numbers:
        graph = self.graph
        (x1, y1), (x2, y2) = map(self._shown.cell, (Point(box.x1, box.y1), Point(box.x2 - 1, box.y2 - 1)))
        x2, y2 = x2 + 1, y2 + 1
        share = self._shown.shares(x1, y1, x2, y2)
        if not share.any():
            return label  # there is nothing in it
        if not box.positive:
            seeds.add(np.flatnonzero(share >= IN_BOX), False)
            return seeds.applied_to(label)
        outside = share < min(IN_BOX, share.max())  # of a box smaller than any leaf, what it covers most
        if not outside.any():
            return seeds.applied_to(np.ones_like(label))
        quarter_x, quarter_y = (x2 - x1) // 4, (y2 - y1) // 4
        core = self._shown.shares(x1 + quarter_x, y1 + quarter_y, x2 - quarter_x, y2 - quarter_y)
        cores = np.flatnonzero(core > 0.5)
        cores = cores if cores.size else np.array([int(np.where(outside, -1.0, core).argmax())])
        like_core, like_outside = (
            _likeness(graph.distances, some) for some in (cores, np.flatnonzero(outside))
        )
        likely = like_outside / np.maximum(like_core + like_outside, 1e-9)
        seeds.bound(outside)
        strength = LIKENESS * graph.typical_degree
        for_it, against = strength * likely**2, strength * (1.0 - likely) ** 2
        found = graph.potentials(for_it + against, for_it, seeds.values)
        drawn = np.array([x1, y1, x2, y2])
        filling = self._filling(drawn, found, ~outside)
        return seeds.applied_to(np.where(outside, 0.0, np.maximum(label, filling)))

    def _filling(self, drawn: Integers, found: Numbers, within: Bitmap) -> Bitmap:
        """Leaves within, above a threshold near a half, whose bounding box is most like the one drawn.

        Where no leaf is above any, all that lie within.
        """
        best, chosen = -np.inf, within
        for threshold in THRESHOLDS:
            above = within & (found > threshold)
            if above.any():
                own = self._extents[above]
                own = np.concatenate((own[:, :2].min(0), own[:, 2:].max(0)))
                worth = FILLING * box_iou(drawn, own) - abs(threshold - 0.5)
                if worth > best:
                    best, chosen = worth, above
        return chosen

    @cached_property
    def _extents(self) -> Integers:
        """The bounding box of every leaf in cells: int64 ``[S, 4]``, x1, y1 and, exclusive, x2, y2."""
        boxes = bounding_boxes(self._shown.leaves, len(self.graph.areas))
        return np.array([corners(box) for box in boxes])

    def _painted(self, chosen: Bitmap, prompts: Sequence[Placed], divided: Bitmap) -> Bitmap:
        """Leaves to pixels; those to be divided go to the clicks that are nearest in place and colour.

        Of clicks that are as near as one another, the last one counts.
        """
        mask: Bitmap = np.append(chosen, False)[self._leaves]  # no leaf is −1
        by_leaf: dict[int, list[Click]] = {}
        for prompt in prompts:
            if isinstance(prompt, Click):
                by_leaf.setdefault(self._leaf(prompt), []).append(prompt)
        for leaf, clicks in by_leaf.items():
            if leaf >= 0 and divided[leaf]:
                rows, columns = np.nonzero(self._leaves == leaf)
                own = self.colours.at(rows, columns)
                distances = []
                for click in reversed(clicks):
                    x, y = click.point
                    colour = np.square(own - self.colours.at(y, x)).sum(1)
                    place = (rows - y) ** 2 + (columns - x) ** 2
                    distances.append(place / self.graph.areas[leaf] + colour / COLOUR_REACH)
                nearest = np.argmin(distances, axis=0)
                mask[rows, columns] = np.array([click.positive for click in reversed(clicks)])[nearest]
        return mask

    def _score(self, chosen: Bitmap) -> float:
        if not chosen.any():
            return 0.0
        graph = self.graph
        # A leaf's own: as over a border of its extent without a difference.
        own = np.sqrt(graph.areas[chosen]).sum()
        kept = 2.0 * graph.conductances[chosen[graph.borders].all(1)].sum() + own
        return float(kept / (graph.degrees[chosen].sum() + own))


def box_iou(first: Integers, second: Integers) -> float:
    """Intersection over union of two boxes, int64 ``[4]`` each: x1, y1, x2, y2."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = int(np.maximum(sides, 0).prod())
    whole = int((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()) - shared
    return shared / whole


def _likeness(distances: npt.NDArray[np.uint16], to: Integers) -> Numbers:
    """The mean distance of every leaf to the closest few of some leaves."""
    few = min(CLOSEST, len(to))
    nearest: Numbers = np.sort(distances[:, to], axis=1)[:, :few].sum(1, dtype=np.int64) / few
    return nearest
