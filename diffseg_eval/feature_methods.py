"""Trees and cuts of one capture, each with the evidence that its row is named after.

``diffcut`` is the method of Couairon et al. ("DiffCut", NeurIPS 2024) with the settings of its code:
affinities to the power 10, and each pixel with the part whose concept is nearest. It is without PAMR, a step
after it with which its figures were published. The model and its features are those of the capture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from diffseg_cli.batch.settings import NestedSettings
from diffseg_core.attention.maps import AttentionMaps
from diffseg_core.diffcut.segment_cut import segment_cut
from diffseg_core.editing.edge_refinement import refine_edges
from diffseg_core.hierarchy.segment_hierarchy import segment_hierarchy
from diffseg_core.images import Images, as_images
from diffseg_core.segments import Segments
from diffseg_core.settings import CUT_POWER, FINEST, Borders, Evidence

from .attention_methods import Labels, SharedCapture
from .types import AnnotatedImage

Segmentation = Callable[[AttentionMaps, Images], Segments]
"""From a capture, and the image that it is of, to segments of the image's size."""

EVIDENCE: Final[Mapping[str, Evidence]] = {
    "hierarchy": "attention",
    "hierarchy-refined": "attention",
    "features-hierarchy": "features",
    "both-hierarchy": "both",
}
"""What tells segments apart, by the method's name. ``hierarchy`` does not take what is best for the model:
its rows compare with those of runs from before there were features."""
REFINED: Final = "hierarchy-refined"
BORDERS: Final[Mapping[str, Borders]] = {"cut": "image edges", "diffcut": "features"}
"""What the borders of a cut follow, by the method's name."""


@dataclass(frozen=True)
class MapsMethod:
    """Segmentations of one capture at one or more settings.

    Attributes:
        name: of its row.
        capture: shared with other methods.
        segmentations: by the name of the setting.
    """

    name: str
    capture: SharedCapture
    segmentations: Mapping[str, Segmentation]

    def segment(self, image: AnnotatedImage) -> dict[str, Labels]:
        """The image's labels at every setting.

        Raises:
            InvalidSettingError: a method on features, of a model that has none.
        """
        maps, pixels = self.capture.of(image), as_images(image.pixels)
        return {
            setting: segmentation(maps, pixels).labels[0].cpu().numpy()
            for setting, segmentation in self.segmentations.items()
        }


def by_hierarchy(kind: str, tree: NestedSettings, number: int) -> Segmentation:
    """The segmentation of a hierarchy.

    Args:
        kind: one of `EVIDENCE`.
        tree: how it is built.
        number: of segments; 0 for the tree's own choice.
    """

    def segmentation(maps: AttentionMaps, image: Images) -> Segments:
        segments = segment_hierarchy(
            maps,
            image,
            number=number or None,
            neighbours_only=tree.neighbours_only,
            contrast=tree.contrast,
            colour=tree.colour,
            finest=FINEST.checked_percent(tree.finest),
            evidence=EVIDENCE[kind],
        )
        return refine_edges(segments, image) if kind == REFINED else segments

    return segmentation


def by_cutting(kind: str, threshold: float) -> Segmentation:
    """The segmentation of normalised cuts of features.

    Args:
        kind: one of `BORDERS`.
        threshold: of the cuts.
    """
    return lambda maps, image: segment_cut(maps, image, threshold, CUT_POWER.default, BORDERS[kind])
