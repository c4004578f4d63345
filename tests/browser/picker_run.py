"""What a run of the workflow gave: see the module ``workflows`` for what is saved there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

Pixel = tuple[float, float]  # x, y in the image, from its left upper corner


@dataclass(frozen=True)
class PickerRun:
    """What the server did with the prompt that the front end sent, and the images that it saved.

    Attributes:
        executed: types of the nodes that ran.
        cached: types of the nodes whose results the server still had.
        images: by the name they were saved under, as in ``workflows.save_everything``.
    """

    executed: set[str]
    cached: set[str]
    images: dict[str, list[np.ndarray]]

    @property
    def labels(self) -> np.ndarray:
        """The number of the segment at each pixel ``[H, W]``, of this very run."""
        if "numbers" in self.images:  # see many_segments.py
            (numbers,) = self.images["numbers"]
            return numbers[..., 0] + 256 * numbers[..., 1].astype(int)
        return self.labels_of(0)

    def labels_of(self, image_index: int) -> np.ndarray:
        """The same of an image of a batch: its segments cover it, and those of the next one follow."""
        masks = np.stack([mask[..., 0] for mask in self.images["segment"]]) == 255
        images = (masks.sum((1, 2)).cumsum() - 1) // masks[0].size
        return masks[images == image_index].argmax(0)

    @property
    def mask(self) -> np.ndarray:
        """The union that the node gave, as booleans ``[H, W]``."""
        (union,) = self.images["union"]
        assert set(np.unique(union)) <= {0, 255}
        return union[..., 0] == 255

    @property
    def masks(self) -> np.ndarray:
        """The chosen segments one by one, as booleans ``[K, H, W]``."""
        return np.stack([mask[..., 0] == 255 for mask in self.images["chosen"]])

    def segments(self, pixels: Iterable[Pixel], image_index: int = 0) -> np.ndarray:
        """The union of the segments under these pixels, by the label map of this run."""
        labels = self.labels_of(image_index) if image_index else self.labels
        return np.isin(labels, [labels[int(y), int(x)] for x, y in pixels])


def inside(labels: np.ndarray, segment: int) -> Pixel:
    """The pixel of a segment that is farthest from its border."""
    room = distance_transform_edt(np.pad(labels == segment, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(room.argmax(), room.shape)
    return int(x), int(y)


def as_painted(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of the image at the size of the canvas, every pixel that of the nearest."""
    rows, columns = (
        ((np.arange(there) + 0.5) * here / there).astype(int)
        for here, there in zip(mask.shape, shape, strict=True)
    )
    return mask[rows][:, columns]
