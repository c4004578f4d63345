"""From prompts to the mask of one object.

The first click takes a part of the tree. From the second prompt on a walker with memory decides: leaves under
prompts are fixed, every other one is tied to what it was and to what the Markov maps say of it, and
conductances between neighbours carry the rest (random walker: Grady, 2006). A box fixes what lies outside of
it, and ties what lies inside by likeness to the outside and to the box's middle; of the masks that the
potentials give, the one that fills the box best is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InvalidSettingError
from ..grid import GridSize
from ..hierarchy import Hierarchy
from ..images import matching_images
from ..segments import Segments
from .leaf_graph import LeafGraph
from .markov_maps import MarkovMaps
from .network import potentials
from .prompts import Box, Click, Prompt, Stroke, inside
from .seeds import Seeds
from .shapes import box_iou, line_pixels, rectangle
from .tree_nodes import TreeNodes

if TYPE_CHECKING:
    from ..images import ImageLike

Numbers = npt.NDArray[np.float64]
Bitmap = npt.NDArray[np.bool_]

MEMORY = 0.06  # how strongly a leaf of the mean area is tied, as a share of the mean degree
NEW = 0.5  # of the tie, what the Markov maps say; the rest is what the leaf was
LIKENESS = 0.3  # how strongly a leaf in a box is tied, as a share of the mean degree
IN_BOX = 0.7  # share of a leaf inside a box from which on it may be the object's
CLOSEST = 3  # leaves that a likeness is taken to
CROSSED = 0.1  # share of a leaf, or of the stroke, from which on a stroke fixes the leaf
THRESHOLDS = np.linspace(0.2, 0.8, 25)  # of potentials in a box
FILLING = 1.5  # how much the fit of the boxes counts beside a threshold near a half
COLOUR_REACH = 0.02  # squared difference of colour that counts as much as a leaf's own extent


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


def find_object(
    segments: Segments, images: ImageLike, prompts: Sequence[Prompt]
) -> tuple[Segments, tuple[float, ...]]:
    """One object in each image of a batch, by the same prompts.

    Args:
        segments: with a hierarchy, as `segment_nested` gives them; at which cut does not matter.
        images: of the segments, as `as_images` takes them; alpha is left out.
        prompts: in the order in which they were given; see `parse_prompts`.

    Returns:
        segments of one each, the object, or of none where the prompts mean nothing; and how well each object
        is set off from what is around it, 0..1.

    Raises:
        InvalidSettingError: segments without a hierarchy, or images that do not fit.
    """
    if not segments.hierarchies:
        raise InvalidSettingError(
            "Expected segments with a hierarchy, to find objects in them, got segments without one. Take "
            "them from DiffSeg Hierarchy (segment_nested)."
        )
    found = [
        ObjectFinder(tree, image).find(prompts)
        for tree, image in zip(segments.hierarchies, matching_images(images, segments), strict=True)
    ]
    masks = torch.from_numpy(np.stack([each.mask for each in found])).to(segments.labels.device)
    return Segments(masks.int() - 1, ()), tuple(each.score for each in found)


class ObjectFinder:
    """Finds objects in one image; all of its prompts together answer in milliseconds.

    Args:
        tree: of the image.
        image: float32 ``[H, W, 3]`` in 0..1.
        attention: with False colours alone count, as a control.
    """

    def __init__(self, tree: Hierarchy, image: torch.Tensor, attention: bool = True) -> None:
        self._leaves = tree.leaves.cpu().numpy()
        self._size = GridSize(*self._leaves.shape)
        self._image = image.cpu().numpy()
        self._nodes = TreeNodes.of(tree)
        self._graph = LeafGraph.of(tree, image, attention)
        self._maps = MarkovMaps(self._graph)

    def find(self, prompts: Sequence[Prompt]) -> FoundObject:
        """The object that the prompts mean, in the order in which they were given.

        Those outside the image are left out; without any positive one there is no object.
        """
        label = np.zeros(len(self._graph.areas))
        seeds = Seeds(len(label))
        prompts = inside(prompts, self._size)
        for prompt in prompts:
            if isinstance(prompt, Box):
                label = self._box(prompt, label, seeds)
            elif isinstance(prompt, Click):
                label = self._click(prompt, label, seeds)
            else:
                seeds.add(self._under(prompt), prompt.positive)
                label = self._walk(label, seeds)
        return FoundObject(self._painted(label > 0.5, prompts, seeds.divided), self._score(label > 0.5))

    def _click(self, click: Click, label: Numbers, seeds: Seeds) -> Numbers:
        leaf = int(self._leaves[click.point.y, click.point.x])
        blocked = seeds.of(not click.positive).copy()
        seeds.add([leaf], click.positive, is_click=True)
        if click.size == 0 and label.any():
            return self._walk(label, seeds)
        if click.size == 0 and not click.positive:
            return label  # there is nothing yet that it could be taken from
        changed = label.copy()
        changed[self._nodes.leaves(self._nodes.part(leaf, blocked, click.size))] = float(click.positive)
        return seeds.applied_to(changed)

    def _walk(self, label: Numbers, seeds: Seeds) -> Numbers:
        """The walker's decision, 1 for the object."""
        graph = self._graph
        likely = self._maps.likelihood(*seeds.leaves)
        tie = MEMORY * graph.typical_degree * graph.areas / graph.areas.mean()
        wanted = (1.0 - NEW) * label + NEW * likely
        found = potentials(graph.conductances, tie, tie * wanted, seeds.values)
        return seeds.applied_to((found > 0.5).astype(np.float64))

    def _box(self, box: Box, label: Numbers, seeds: Seeds) -> Numbers:
        graph = self._graph
        share = self._share_of(rectangle(self._size, box.x1, box.y1, box.x2, box.y2))
        if not box.positive:
            seeds.add(np.flatnonzero(share >= IN_BOX), False)
            return seeds.applied_to(label)
        outside = share < min(IN_BOX, share.max())  # of a box smaller than any leaf, what it covers most
        if not outside.any():
            return seeds.applied_to(np.ones_like(label))
        quarter_x, quarter_y = (box.x2 - box.x1) // 4, (box.y2 - box.y1) // 4
        middle = (box.x1 + quarter_x, box.y1 + quarter_y, box.x2 - quarter_x, box.y2 - quarter_y)
        core = self._share_of(rectangle(self._size, *middle))
        cores = np.flatnonzero(core > 0.5)
        cores = cores if cores.size else np.array([int(np.where(outside, -1.0, core).argmax())])
        like_core, like_outside = (
            _likeness(graph.distances, some) for some in (cores, np.flatnonzero(outside))
        )
        likely = like_outside / np.maximum(like_core + like_outside, 1e-9)
        seeds.add(np.flatnonzero(outside), False)
        strength = LIKENESS * graph.typical_degree
        for_it, against = strength * likely**2, strength * (1.0 - likely) ** 2
        found = potentials(graph.conductances, for_it + against, for_it, seeds.values)
        return seeds.applied_to(self._filling(box, found).astype(np.float64))

    def _filling(self, box: Box, found: Numbers) -> Bitmap:
        """Leaves above a threshold, near a half at best, whose bounding box is most like the one drawn."""
        drawn = np.array([box.x1, box.y1, box.x2, box.y2])
        best, chosen = -np.inf, found > 0.5
        for threshold in THRESHOLDS:
            above = found > threshold
            if above.any():
                own = self._extents[above]
                own = np.concatenate((own[:, :2].min(0), own[:, 2:].max(0)))
                worth = FILLING * box_iou(drawn, own) - abs(threshold - 0.5)
                if worth > best:
                    best, chosen = worth, above
        return chosen

    @cached_property
    def _extents(self) -> npt.NDArray[np.int64]:
        """The bounding box of every leaf: int64 ``[S, 4]``, x1, y1 and, exclusive, x2, y2."""
        from scipy import ndimage

        return np.array([
            (across.start, down.start, across.stop, down.stop)
            for down, across in ndimage.find_objects(self._leaves + 1)
        ])  # fmt: skip

    def _under(self, stroke: Stroke) -> npt.NDArray[np.int64]:
        """The leaves that a stroke crosses."""
        following = stroke.points[1:] or stroke.points
        lines = [line_pixels(first, second) for first, second in zip(stroke.points, following, strict=False)]
        pixels = np.concatenate(lines)
        within = ((pixels >= 0) & (pixels < (self._size.width, self._size.height))).all(1)
        pixels = np.unique(pixels[within], axis=0)
        counts = np.bincount(self._leaves[pixels[:, 1], pixels[:, 0]], minlength=len(self._graph.areas))
        enough = (counts > CROSSED * self._graph.areas) | (counts > CROSSED * len(pixels))
        return np.flatnonzero(enough & (counts > 0))

    def _share_of(self, pixels: Bitmap) -> Numbers:
        """How much of each leaf is in a part of the image, 0..1."""
        counts = np.bincount(self._leaves[pixels], minlength=len(self._graph.areas))
        shares: Numbers = counts / self._graph.areas
        return shares

    def _painted(self, chosen: Bitmap, prompts: Sequence[Prompt], divided: Bitmap) -> Bitmap:
        """Leaves to pixels; those to be divided go to the clicks that are nearest in place and colour."""
        mask: Bitmap = chosen[self._leaves]
        by_leaf: dict[int, list[Click]] = {}
        for prompt in prompts:
            if isinstance(prompt, Click):
                by_leaf.setdefault(int(self._leaves[prompt.point.y, prompt.point.x]), []).append(prompt)
        for leaf, clicks in by_leaf.items():
            if divided[leaf]:
                rows, columns = np.nonzero(self._leaves == leaf)
                distances = []
                for click in clicks:
                    x, y = click.point
                    colour = np.square(self._image[rows, columns] - self._image[y, x]).sum(1)
                    place = (rows - y) ** 2 + (columns - x) ** 2
                    distances.append(place / self._graph.areas[leaf] + colour / COLOUR_REACH)
                nearest = np.argmin(distances, axis=0)
                mask[rows, columns] = np.array([click.positive for click in clicks])[nearest]
        return mask

    def _score(self, chosen: Bitmap) -> float:
        if not chosen.any():
            return 0.0
        # A leaf's own: as over a border of its extent without a difference.
        own = np.sqrt(self._graph.areas[chosen]).sum()
        kept = self._graph.conductances[np.ix_(chosen, chosen)].sum() + own
        return float(kept / (self._graph.conductances[chosen].sum() + own))


def _likeness(distances: Numbers, to: npt.NDArray[np.int64]) -> Numbers:
    """The mean distance of every leaf to the closest few of some leaves."""
    few = min(CLOSEST, len(to))
    nearest: Numbers = np.sort(distances[:, to], axis=1)[:, :few].mean(1)
    return nearest
