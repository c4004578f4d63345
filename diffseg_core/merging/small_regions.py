"""Connected pieces of a label map, and merging the small ones into their neighbours."""

from __future__ import annotations

import heapq
from collections import Counter

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int32]


def connected_components(labels: Labels) -> Labels:
    """Number the 4-connected pieces of equal label: int32 ``[H, W]``, 0..P-1 in reading order.

    −1, where no segment is, is a label like the others, here and for small regions. Horizontal runs of equal
    label are the nodes of a graph, and those that touch from row to row its edges.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components as components_of

    change = np.ones(labels.shape, dtype=bool)
    change[:, 1:] = labels[:, 1:] != labels[:, :-1]
    run = (np.cumsum(change, dtype=np.int32) - 1).reshape(labels.shape)
    upper, lower = run[:-1], run[1:]
    same = labels[:-1] == labels[1:]
    same[:, 1:] &= (change[:-1] | change[1:])[:, 1:]  # once for two runs
    edges = np.ones(int(same.sum()), dtype=bool), (upper[same], lower[same])
    pieces: Labels = components_of(csr_matrix(edges, shape=(run[-1, -1] + 1,) * 2), directed=False)[1]
    return pieces.astype(np.int32)[run]


def merge_small_regions(labels: Labels, smallest_area: int) -> Labels:
    """Give every connected piece smaller than ``smallest_area`` pixels to a neighbour.

    The smallest piece goes first, to the label with which it shares most border (the lower label of
    equals); what it has joined counts as one piece from then on. A piece without a neighbour stays.

    Args:
        labels: int32 ``[H, W]``.
        smallest_area: in pixels.

    Returns:
        int32 ``[H, W]``; labels may be missing that stood in small regions only.
    """
    pieces = connected_components(labels)
    areas = np.bincount(pieces.ravel())
    if areas.min() >= smallest_area:
        return labels
    label_of = np.empty(len(areas), dtype=np.int32)
    label_of[pieces.ravel()] = labels.ravel()
    borders = _shared_borders(pieces, len(areas))
    owner = np.arange(len(areas))

    def find(piece: int) -> int:
        while owner[piece] != piece:
            owner[piece] = owner[owner[piece]]
            piece = owner[piece]
        return piece

    queue = [(int(area), piece) for piece, area in enumerate(areas) if area < smallest_area]
    heapq.heapify(queue)
    while queue:
        area, piece = heapq.heappop(queue)
        if owner[piece] != piece or area != areas[piece] or not borders[piece]:
            continue  # joined another piece, or grew, since it was queued
        shared: Counter[int] = Counter()
        for neighbour, length in borders[piece].items():
            shared[label_of[neighbour]] += length
        label = min(shared, key=lambda candidate: (-shared[candidate], candidate))
        # Joining a label joins every neighbouring piece of that label into one.
        joined = [n for n in borders[piece] if label_of[n] == label]
        target = max(joined, key=lambda n: (len(borders[n]), -n))
        for other in (piece, *(n for n in joined if n != target)):
            owner[other] = target
            areas[target] += areas[other]
            for neighbour, length in borders[other].items():
                del borders[neighbour][other]
                if neighbour != target:
                    borders[target][neighbour] += length
                    borders[neighbour][target] += length
            borders[other].clear()
        if areas[target] < smallest_area:
            heapq.heappush(queue, (int(areas[target]), target))
    roots = np.array([find(piece) for piece in range(len(owner))])
    return label_of[roots][pieces]


def _shared_borders(pieces: Labels, count: int) -> list[Counter[int]]:
    """For every piece, how many pixel edges it shares with each neighbouring piece."""
    pairs = [(pieces[:, 1:], pieces[:, :-1]), (pieces[1:], pieces[:-1])]
    first = np.concatenate([a[a != b] for a, b in pairs])
    second = np.concatenate([b[a != b] for a, b in pairs])
    low, high = np.minimum(first, second).astype(np.int64), np.maximum(first, second)
    keys, lengths = np.unique(low * count + high, return_counts=True)
    borders: list[Counter[int]] = [Counter() for _ in range(count)]
    for key, length in zip(keys.tolist(), lengths.tolist(), strict=True):
        a, b = divmod(key, count)
        borders[a][b] = borders[b][a] = length
    return borders
