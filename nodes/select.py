"""DiffSeg Select Segments: the segments that a person clicks."""

from __future__ import annotations

from typing import Any

import torch

from ..diffseg_core.checks import position
from ..diffseg_core.images import alpha_of, matching_images
from ..diffseg_core.output.label_map import draw_label_map
from ..diffseg_core.settings import GRANULARITY, INVERT, MODE, Mode
from .comfy.api import io
from .inputs import (
    captured_images,
    choice_input,
    image_index_input,
    number_input,
    refusal,
    segments_input,
    segments_on,
    switch_input,
)
from .outputs import as_output, mask_batch
from .picker import shown_files
from .picker.selection import check_prompts, choose
from .picker.view import VERSION, picker_pictures
from .types import CATEGORY, ESSENTIALS, CapturedSegments, SegmentsType

BoundingBox = io.Custom("BOUNDING_BOX")  # ComfyUI's own input is not in every release


def _points_input(name: str, tooltip: str) -> io.String.Input:
    return io.String.Input(name, optional=True, force_input=True, tooltip=tooltip)


class DiffSegSelect(io.ComfyNode):
    """Chosen segments of one image as masks, with a picker on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegSelect",
            display_name="DiffSeg Select Segments",
            category=CATEGORY,
            essentials_category=ESSENTIALS,
            description=(
                "Run once, then click segments in the image on the node, or drag over several. A point "
                "names the segment under it, so the choice outlives another merge threshold. With DiffSeg "
                "Hierarchy, a slider goes from coarse to fine, and the switch to Object finds whole things "
                "by clicks for and against, boxes and strokes."
            ),
            search_aliases=["click mask", "pick segment", "segment anything", "points editor", "diffseg"],
            inputs=[
                segments_input("From DiffSeg Segment, DiffSeg Hierarchy or DiffSeg Filter Segments."),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Instead of the captured one: an upscaled one, say, to click on and to cut out. "
                    "After a captured latent, the segments' colours take its place.",
                ),
                _points_input(
                    "more_points",
                    'More points from another node, as JSON [{"x": 120, "y": 80}] in pixels: chosen in '
                    "addition. With mode object, prompts of all kinds.",
                ),
                io.String.Input(
                    "points",
                    default="[]",
                    socketless=True,
                    tooltip="The picker writes this; it can also be typed. JSON such as "
                    '[{"x": 120, "y": 80}] in the pixels of the image: the segment under each is chosen. '
                    "With mode object, prompts: the help page has examples.",
                ),
                switch_input(
                    "invert", INVERT, "Choose every segment that has no point instead.", socketless=True
                ),
                image_index_input("Which image of a batch to choose in; the first is 0."),
                number_input(
                    "granularity",
                    GRANULARITY,
                    "Into how many segments the image is cut, by the picker's slider; 0 keeps the number of "
                    "the input. Segments without a hierarchy are not changed.",
                    optional=True,
                    socketless=True,
                ),
                choice_input(
                    "mode",
                    MODE,
                    "segments: a point chooses the segment under it. object: clicks, boxes and "
                    "strokes for and against say what thing is meant; it needs DiffSeg Hierarchy.",
                    optional=True,
                    socketless=True,
                ),
                BoundingBox.Input(
                    "bounding_box",
                    optional=True,
                    extra_dict={"forceInput": True},
                    tooltip="With mode object: a box or several, each around an object of its own.",
                ),
                io.Mask.Input(
                    "scribble",
                    optional=True,
                    tooltip="With mode object: a mask painted roughly over the first object.",
                ),
                _points_input(
                    "negative_points",
                    "Points against from another node, such as negative_coords of a points editor: the "
                    "segments under them are left out (with invert, they are chosen too). With mode object, "
                    "prompts that all count against.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The chosen segments together, [1, height, width]; zeros where none is chosen.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="Each chosen segment as a mask of its own, the largest first, or each object in "
                    "the order of the list; one mask of zeros where none is chosen.",
                ),
                io.Image.Output(
                    display_name="cutout",
                    tooltip="The image with an alpha channel that is opaque in what is chosen only.",
                ),
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="What is chosen as segments, objects with their names, for SEGS, Save and Label "
                    "Map. Other images of a batch have none.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            has_intermediate_output=True,
        )

    @classmethod
    def validate_inputs(
        cls,
        points: Any = None,
        more_points: Any = None,
        negative_points: Any = None,
        mode: Mode | None = None,
    ) -> bool | str:
        """Refuse points, prompts and modes that cannot be read before anything runs."""
        return refusal(lambda: check_prompts(points, more_points, negative_points, mode))

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> int:
        """Another value once files that the picker needs are gone, so that the node runs again."""
        return shown_files.losses(cls._node_id())

    @classmethod
    def execute(
        cls,
        segments: CapturedSegments,
        points: Any,
        invert: bool,
        image_index: int,
        image: torch.Tensor | None = None,
        more_points: Any = None,
        granularity: int = 0,
        mode: Mode = "segments",
        bounding_box: Any = None,
        scribble: torch.Tensor | None = None,
        negative_points: Any = None,
    ) -> io.NodeOutput:
        """Masks of what is chosen, and what the picker shows."""
        segments = segments_on(segments, image)
        batch, images = segments.segments, captured_images(segments)
        image_index = position(image_index, batch.batch_size, "an image index", "images")
        connected = more_points, negative_points, bounding_box, scribble
        masks, chosen, prompts, words = choose(
            segments, images, mode, points, connected, granularity, image_index, invert
        )
        drawn = draw_label_map(batch) if images is None else matching_images(images, batch)
        mask = as_output(masks.any(0).float()[None])
        opaque = mask[0] if images is None else mask[0] * as_output(alpha_of(images, batch)[image_index])
        cutout = torch.cat([as_output(drawn[image_index]), opaque[..., None]], dim=-1)
        pictures = picker_pictures(segments, images, drawn, image_index, words)
        files = (file for picture in pictures.values() for file in picture.values() if isinstance(file, dict))
        shown_files.note(cls._node_id(), files)
        view = {
            "version": VERSION,
            "batch_size": batch.batch_size,
            "has_clip": segments.capture.clip is not None,
            "pictures": pictures,
            **prompts,
        }
        return io.NodeOutput(
            mask,
            mask_batch(masks.float(), batch.image_size),
            cutout[None],
            segments.replaced(chosen),
            ui={"diffseg_view": [view]},
        )

    @classmethod
    def _node_id(cls) -> str:
        return str(cls.hidden.unique_id) if cls.hidden else ""
