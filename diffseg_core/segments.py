"""The result of a segmentation: a label map, the proposals behind it, and facts on every segment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch

from . import checks
from .errors import InvalidSettingError
from .grid import GridSize, nearest_cells
from .settings import NUMBER
from .tree import Hierarchy

Value = TypeVar("Value")
EXAMPLE_INDICES = '"0, 2, 5-7"'


@dataclass(frozen=True, eq=False)
class Segments:
    """Nested by image: every pixel of every image belongs to one segment, or to none.

    What is worked out of the tensors is kept with them, so they must not be changed in place.

    Attributes:
        labels: int32 ``[B, H, W]``; per image 0..K-1 in descending order of area, 0 the largest, and −1
            where no segment is. An image may have no segment at all.
        proposals: per image float32 ``[K, h, w]`` on the grid of the attention's keys, in the order of the
            labels: the attention map that stands for each segment. Empty where segments come from elsewhere.
        hierarchies: per image the tree that the segments are a cut through; empty where there is none.
        names: per image what each segment is called, "" for no name; empty where none has a name.
    """

    labels: torch.Tensor
    proposals: tuple[torch.Tensor, ...]
    hierarchies: tuple[Hierarchy, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()

    @property
    def tensors(self) -> list[Any]:
        """All tensors that are held, those of the trees too: tensors, and lists or tuples of them."""
        return [self.labels, self.proposals, *(tree.tensors for tree in self.hierarchies)]

    def name(self, image_index: int, index: int) -> str:
        """What a segment is called: by its name or, without one, "segment 0" and so on."""
        name = self.names[image_index][index] if self.names else ""
        return name or f"segment {index}"

    @property
    def image_size(self) -> GridSize:
        """Size of the label maps in pixels."""
        return GridSize(*self.labels.shape[1:])

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return self.labels.shape[0]

    @cached_property
    def counts(self) -> list[int]:
        """Number of segments in each image; read from the device once."""
        return [int(count) + 1 for count in self.labels.amax((1, 2)).tolist()]

    def areas(self, image_index: int = 0) -> torch.Tensor:
        """Pixels of every segment of one image: int64 ``[K]``, descending; counted once.

        Raises:
            InvalidSettingError: there is no such image.
        """
        labels, image_index = self.labels_of(image_index), int(image_index)
        length = self.counts[image_index] + 1
        return self.keep(
            ("areas", image_index), lambda: (labels.flatten() + 1).bincount(minlength=length)[1:]
        )

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """What others have worked out of these segments and keep with them, by a key of their own."""
        return {}

    def keep(self, key: object, make: Callable[[], Value]) -> Value:
        """What is kept under a key, made where there is nothing yet."""
        if key not in self.kept:
            self.kept[key] = make()
        value: Value = self.kept[key]
        return value

    def masks(self, image_index: int = 0) -> torch.Tensor:
        """One mask per segment of one image: float32 ``[K, H, W]`` of zeros and ones."""
        labels = self.labels_of(image_index)
        indices = torch.arange(self.counts[int(image_index)], device=labels.device, dtype=labels.dtype)
        return (labels == indices[:, None, None]).float()

    def union(self) -> torch.Tensor:
        """Pixels that belong to any segment: float32 ``[B, H, W]`` of zeros and ones."""
        return (self.labels >= 0).float()

    @classmethod
    def of_hierarchies(cls, hierarchies: Sequence[Hierarchy], numbers: Sequence[int]) -> Segments:
        """Cut a tree for each image.

        Args:
            hierarchies: of images of one size.
            numbers: of segments, ≥ 1 for each; a tree of fewer leaves gives all of them.

        Raises:
            InvalidSettingError: fewer than 1 segment.
        """
        cuts = [tree.cut(number) for tree, number in zip(hierarchies, numbers, strict=True)]
        ordered = [order_by_area(labels, proposals) for labels, proposals in cuts]
        labels, proposals = zip(*ordered, strict=True)
        return cls(torch.stack(labels), proposals, tuple(hierarchies))

    @classmethod
    def of_masks(cls, masks: Sequence[torch.Tensor], names: Sequence[Sequence[str]]) -> Segments:
        """Masks as segments; where some overlap, the pixels are the last one's, and an empty one is left out.

        Args:
            masks: for each image bool ``[K, H, W]``, K from 0.
            names: what each mask is called, "" for no name.
        """
        labels = []
        for image_masks in masks:
            painted = torch.full(image_masks.shape[1:], -1, dtype=torch.int32, device=image_masks.device)
            for index, mask in enumerate(image_masks):
                painted[mask] = index
            labels.append(painted)
        return cls(torch.stack(labels), (), (), tuple(map(tuple, names))).repainted(labels)

    def repainted(
        self, labels: Sequence[torch.Tensor], leaves: Sequence[torch.Tensor] | None = None
    ) -> Segments:
        """The same segments with other pixels, numbered anew by area; those without a pixel are left out.

        Args:
            labels: for each image int32 ``[H, W]``, in these segments' numbers, −1 where none is.
            leaves: for each image those of its tree, see `Hierarchy.restrict`; by default as they are where a
                segment is.
        """
        numbered, proposals, trees, names = [], [], [], []
        for index, image_labels in enumerate(labels):
            count = len(self.names[index]) if self.names else self.counts[index]
            ordered, order = order_by_area(image_labels, torch.arange(count, device=image_labels.device))
            numbered.append(ordered)
            if self.proposals:
                proposals.append(self.proposals[index][order])
            if self.names:
                names.append(tuple(self.names[index][place] for place in order.tolist()))
            if self.hierarchies:
                tree = self.hierarchies[index]
                here = torch.where(ordered >= 0, tree.leaves, -1) if leaves is None else leaves[index]
                trees.append(tree.restrict(here))
        are_named = any(map(any, names))
        return Segments(
            torch.stack(numbered), tuple(proposals), tuple(trees), tuple(names) if are_named else ()
        )

    def resized(self, size: GridSize) -> Segments:
        """The same segments at another size in pixels, every pixel as the one that its centre lies in.

        Segments of which no pixel is left are left out. At their own size they are returned as they are; at
        another one the last answer is kept.
        """
        if size == self.image_size:
            return self
        resized = self.kept.get("resized")
        if resized is None or resized.image_size != size:
            places = (torch.from_numpy(index) for index in nearest_cells(self.image_size, size))
            rows, columns = (index.to(self.labels.device) for index in places)
            leaves = [tree.leaves[rows[:, None], columns] for tree in self.hierarchies]
            resized = self.repainted(list(self.labels[:, rows[:, None], columns]), leaves)
            self.kept["resized"] = resized
        return resized

    def at_granularity(self, number: int) -> Segments:
        """The same images in ``number`` segments each, by another cut through their trees.

        Raises:
            InvalidSettingError: segments that have no tree, or fewer than 1.
        """
        if not self.hierarchies:
            raise InvalidSettingError(
                f"Expected segments of DiffSeg Hierarchy for a granularity of {number}, got some without a "
                "hierarchy. Set the granularity to 0, or connect DiffSeg Hierarchy."
            )
        return Segments.of_hierarchies(self.hierarchies, [NUMBER.checked(number)] * self.batch_size)

    def subset(self, chosen: Sequence[Sequence[int]]) -> Segments:
        """Keep some segments of every image, renumbered; the others' pixels belong to none.

        The hierarchy goes on over the pixels that are kept: see `Hierarchy.restrict`.

        Args:
            chosen: per image the indices to keep, in any order. They do not decide the new numbers, which
                are again in descending order of area.

        Raises:
            InvalidSettingError: other than one list per image, or an index that an image does not have.

        Example:
            >>> three = Segments(torch.tensor([[[0, 0, 0], [1, 1, 2]]], dtype=torch.int32), ())
            >>> three.subset([[2, 0]]).labels.tolist()
            [[[0, 0, 0], [-1, -1, 1]]]
        """
        if len(chosen) != self.batch_size:
            raise InvalidSettingError(
                f"Expected indices for each of {self.batch_size} image(s), got them for {len(chosen)}."
            )
        labels = []
        for image_index, (indices, count) in enumerate(zip(chosen, self.counts, strict=True)):
            for index in indices:
                if type(index) is not int or not 0 <= index < count:
                    checks.position(index, count, "an index", f"segments in image {image_index}")
            numbers = torch.full((count + 1,), -1, dtype=torch.int32)
            numbers[list(indices)] = torch.tensor(indices, dtype=torch.int32)
            labels.append(numbers.to(self.labels.device)[self.labels[image_index].long()])  # −1: the last
        return self.repainted(labels)

    def labels_of(self, image_index: int) -> torch.Tensor:
        """The label map of one image: int32 ``[H, W]``.

        Raises:
            InvalidSettingError: there is no such image.
        """
        return self.labels[checks.position(image_index, self.batch_size, "an image index", "images")]


def order_by_area(labels: torch.Tensor, proposals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number the segments of one image 0..K-1 in descending order of area, leaving out empty ones.

    Segments of equal area keep their order.

    Args:
        labels: int ``[H, W]``, −1 where no segment is.
        proposals: ``[K, …]``, indexed by the labels: maps, or anything else that goes with the segments.

    Returns:
        int32 ``[H, W]`` and the proposals in the new order.
    """
    numbers = labels.flatten() + 1  # 0 where no segment is
    areas = numbers.bincount(minlength=len(proposals) + 1)[1:]
    order = torch.argsort(areas, descending=True, stable=True)
    order = order[: int((areas > 0).sum())]
    rank = torch.full((len(areas) + 1,), -1, dtype=torch.int32, device=labels.device)
    rank[order + 1] = torch.arange(len(order), dtype=torch.int32, device=labels.device)
    return rank.index_select(0, numbers).view(labels.shape), proposals[order]


def parse_indices(text: str) -> tuple[int, ...]:
    """Read indices such as ``"0, 2, 5-7"``: each once, in ascending order; empty text gives none.

    A list may end with a comma.

    Raises:
        InvalidSettingError: an entry that is neither a number nor a range; the message quotes it.

    Example:
        >>> parse_indices("5-7, 0")
        (0, 5, 6, 7)
    """
    text = checks.text(text, "indices of segments")
    if not text.strip():
        return ()
    indices: set[int] = set()
    for entry in text.strip().removesuffix(",").split(","):
        # Five digits are more than any image has segments, and keep a slip from filling the memory.
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:[-–]\s*([0-9]{1,5})\s*)?", entry)
        if match is None:
            raise InvalidSettingError(
                f"Expected indices of segments such as {EXAMPLE_INDICES}, numbers and ranges of at most five "
                f"digits with commas between them, got {entry.strip()!r}."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise InvalidSettingError(
                f"Expected a range to go from a smaller index to a larger one, got {entry.strip()!r}. "
                f'Write "{last}-{first}".'
            )
        indices.update(range(first, last + 1))
    return tuple(sorted(indices))


def check_indices(segments: Segments, indices: Iterable[int]) -> set[int]:
    """Indices of segments, each of which some image of the batch has.

    Raises:
        InvalidSettingError: naming the first of them, and what there is.
    """
    if isinstance(indices, str) or not isinstance(indices, Iterable):
        advice = "parse_indices reads them from a text."
        raise checks.unexpected("indices of segments as a list of numbers", indices, advice)
    where = "" if segments.batch_size == 1 else f" in the image with most of {segments.batch_size}"
    there_are, most = f"segments{where} (DiffSeg Preview shows their numbers)", max(segments.counts)
    return {checks.position(index, most, "an index of a segment", there_are) for index in indices}
