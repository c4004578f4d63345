"""Which node of a tree a click means, and what it takes in another size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..tree import Hierarchy, TreeNodes

Bitmap = npt.NDArray[np.bool_]

LARGEST = 0.35  # share of the image up to which a click takes a node by itself


def clicked_node(tree: Hierarchy, leaf: int, blocked: Bitmap) -> int:
    """The node that a click on a leaf means: of those above it the most persistent large one.

    Persistence (how much further the next join is) times area, among nodes of at most `LARGEST` of the
    image that hold no blocked leaf.

    Args:
        tree: of the image.
        leaf: which was clicked.
        blocked: bool ``[S]``, leaves that it must not take.
    """
    nodes, areas = tree.nodes, tree.node_areas
    heights = np.append(np.zeros(tree.count), tree.heights.cpu().numpy())
    free = [node for node in nodes.upwards(leaf)[:-1] if not blocked[nodes.leaves(node)].any()] or [leaf]
    small = [node for node in free if areas[node] <= LARGEST * int(areas[-1])] or [leaf]
    worth = [(heights[nodes.parents[node]] - heights[node]) * areas[node] for node in small]
    return small[int(np.argmax(worth))]


def resized_click(
    nodes: TreeNodes, leaf: int, before: Bitmap, after: Bitmap, free: Bitmap, beyond: Bitmap, steps: int
) -> Bitmap:
    """What a click takes in another size: each step is a node above it that takes more, or less.

    Steps up add to what the click takes by itself the next larger node with something that is not taken
    yet; steps down leave of what it added what lies in the next smaller node with less of it.

    Args:
        nodes: of the tree.
        leaf: which was clicked.
        before: bool ``[S]``, what is taken without the click.
        after: bool ``[S]``, what is taken with it; all of `before` is in it.
        free: bool ``[S]``, leaves that it may add or leave out; the others stay as they are after it.
        beyond: bool ``[S]``, further leaves that it may add, once there are no others.
        steps: up (larger) or down (smaller), as far as there are.
    """
    above = nodes.upwards(leaf)
    nearness = np.zeros(len(free), dtype=np.int64)  # which of them is the first to hold each leaf
    for place in reversed(range(len(above))):
        nearness[nodes.leaves(above[place])] = place
    nearness += len(free) * beyond
    changing = (free | beyond) & (~after if steps > 0 else after & ~before)
    reached = np.unique(nearness[changing])
    if not reached.size:
        return after
    if steps > 0:
        return after | changing & (nearness <= reached[min(steps, reached.size) - 1])
    return after & ~(changing & (nearness >= reached[max(reached.size + steps, 0)]))
