"""DiffSeg Select Segments: the segments that a person clicks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io

from ..diffseg_core import Segments
from ..diffseg_core.editing.points import Point, complement, parse_points, segments_under, split_by_place
from ..diffseg_core.images import alpha_of, matching_images
from ..diffseg_core.output.label_map import draw_label_map
from . import shown_files
from .inputs import checked_images, image_index_input, refusal
from .picker_view import VERSION, picker_view
from .types import CATEGORY, SegmentsType

MAX_IMAGES = 16  # of a batch that the picker gets; of a longer one it gets the image at hand


class DiffSegSelect(io.ComfyNode):
    """Chosen segments of one image as masks, with a picker on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegSelect",
            display_name="DiffSeg Select Segments",
            category=CATEGORY,
            description=(
                "Run once, then click segments in the image on the node; drag to take several in one "
                "stroke. The choice is kept as points, and a point names the segment under it, so it "
                "outlives another merge threshold. With DiffSeg Hierarchy, a slider goes from coarse to "
                "fine. Only this node and what follows it run again."
            ),
            search_aliases=["click mask", "pick segment", "segment anything", "points editor", "diffseg"],
            inputs=[
                SegmentsType.Input(
                    "segments",
                    tooltip="From DiffSeg Segment, DiffSeg Hierarchy or DiffSeg Filter Segments.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The image that went into the capture, to click on and to cut out. Without it "
                    "the segments' colours take its place.",
                ),
                io.String.Input(
                    "more_points",
                    optional=True,
                    force_input=True,
                    tooltip='More points from another node, as JSON [{"x": 120, "y": 80}] in pixels. The '
                    "segments under them are chosen in addition.",
                ),
                io.String.Input(
                    "points",
                    default="[]",
                    socketless=True,
                    tooltip="The picker writes this; it can also be typed. JSON such as "
                    '[{"x": 120, "y": 80}] in the pixels of the image: the segment under each is chosen.',
                ),
                io.Boolean.Input(
                    "invert",
                    default=False,
                    socketless=True,
                    tooltip="Choose every segment that has no point instead.",
                ),
                image_index_input("Which image of a batch to choose in; the first is 0."),
                io.Int.Input(
                    "granularity",
                    optional=True,  # prompts of before it was there still run
                    default=0,
                    min=0,
                    max=65535,
                    socketless=True,
                    tooltip="Into how many segments the image is cut; 0 keeps the number of the input. "
                    "The slider of the picker writes this. Segments without a hierarchy are not changed.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The chosen segments together, [1, height, width]; all zeros where none is "
                    "chosen.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="Each chosen segment as a mask of its own, the largest first; one mask of zeros "
                    "where none is chosen.",
                ),
                io.Image.Output(
                    display_name="cutout",
                    tooltip="The image with an alpha channel that is opaque in the chosen segments only.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(cls, points: Any = None, more_points: Any = None) -> bool | str:
        """Refuse points that cannot be read before anything runs."""
        return refusal(lambda: (parse_points(points), parse_points(more_points)))

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> int:
        """Another value once files that the picker needs are gone, so that the node runs again."""
        return shown_files.losses(cls._node_id())

    @classmethod
    def execute(
        cls,
        segments: Segments,
        points: Any,
        invert: bool,
        image_index: int,
        image: torch.Tensor | None = None,
        more_points: Any = None,
        granularity: int = 0,
    ) -> io.NodeOutput:
        """Masks of the chosen segments, and what the picker shows."""
        given = segments.counts
        if granularity and segments.hierarchies:
            segments = segments.at_granularity(granularity)
        elif granularity:
            logging.warning(
                "DiffSeg Select Segments: granularity of %d is ignored: these segments have no hierarchy.",
                granularity,
            )
        labels = segments.labels_of(image_index)
        seen = None if image is None else checked_images(image)
        images = draw_label_map(segments) if seen is None else matching_images(seen, segments)
        others = parse_points(more_points)
        named = [*parse_points(points), *others]
        chosen = segments_under(labels, named)
        if invert:
            chosen = complement(chosen, segments.counts[image_index])

        device = comfy.model_management.intermediate_device()
        indices = torch.tensor(chosen, dtype=labels.dtype, device=labels.device)
        masks = (labels == indices[:, None, None]).float()  # [chosen, H, W]
        mask = torch.isin(labels, indices).float()[None]
        opaque = mask[0].to(device)
        if seen is not None:
            opaque = opaque * alpha_of(seen, segments)[image_index].to(device)
        cutout = torch.cat([images[image_index].to(device), opaque[..., None]], dim=-1)
        view = _view(segments, given, images, image_index, others)
        view["outside"] = _count_outside(named, segments)
        for files in view["pictures"].values():
            shown_files.note(cls._node_id(), (files[name] for name in ("ids", "picture") if name in files))
        return io.NodeOutput(
            mask.to(device),
            (masks if chosen else mask).to(device),
            cutout[None],
            ui={"diffseg_view": [view]},
        )

    @classmethod
    def _node_id(cls) -> str:
        return str(cls.hidden.unique_id) if cls.hidden else ""


def _count_outside(points: Sequence[Point], segments: Segments) -> int:
    """How many points lie outside the image; the log says so too."""
    _, outside = split_by_place(points, segments.image_size)
    if outside:
        logging.warning(
            "DiffSeg Select Segments: %d of %d point(s) ignored, as they lie outside the image of %s "
            "pixels, such as x %d, y %d.",
            len(outside), len(points), segments.image_size, *outside[0],
        )  # fmt: skip
    return len(outside)


def _view(
    segments: Segments,
    given: Sequence[int],
    images: torch.Tensor,
    image_index: int,
    more_points: Sequence[Point],
) -> dict[str, Any]:
    """What the picker shows, as `web/PROTOCOL.md` says: every image, so that it can turn to another one.

    Segments with a tree go to it as that tree, whatever the cut is: it makes every cut by itself. ``given``
    is the number of segments of each image that come in.
    """
    few = segments.batch_size <= MAX_IMAGES
    shown = range(segments.batch_size) if few else [image_index]
    views: dict[str, dict[str, Any]] = {}
    for index in shown:
        if segments.hierarchies:
            tree = segments.hierarchies[index]
            view = picker_view(tree.leaves, images[index], tree.joins)
            views[str(index)] = view | {"given": given[index]}
        else:
            views[str(index)] = picker_view(segments.labels[index], images[index])
    return {
        "version": VERSION,
        "batch_size": segments.batch_size,
        "pictures": views,
        "more_points": [point._asdict() for point in more_points],
    }
