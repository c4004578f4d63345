"""DiffSeg Select Segments: the segments that a person clicks."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch

from ..diffseg_core import InvalidSettingError, parse_objects
from ..diffseg_core.checks import position
from ..diffseg_core.images import alpha_of, matching_images
from ..diffseg_core.objects.points import Point, parse_points
from ..diffseg_core.objects.prompts import Click
from ..diffseg_core.output.label_map import draw_label_map
from ..diffseg_core.settings import GRANULARITY, INVERT, MODE, Mode
from .comfy.api import io
from .inputs import (
    checked_images,
    choice_input,
    image_index_input,
    image_of,
    number_input,
    refusal,
    switch_input,
)
from .outputs import mask_batch
from .picker import shown_files
from .picker.prompts import as_json, connected_objects, united, without_blanks
from .picker.selection import at_granularity, chosen_segments, count_outside, found_objects, warn
from .picker.view import VERSION, kept_finder, picker_pictures
from .picker.words import lines_of, look_for, with_clicks, words_view
from .types import CATEGORY, ESSENTIALS, CapturedSegments, SegmentsType

BoundingBox = io.Custom("BOUNDING_BOX")  # ComfyUI's own input is not in every release


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
                "Run once, then click segments in the image on the node; drag to take several in one "
                "stroke. The choice is kept as points, and a point names the segment under it, so it "
                "outlives another merge threshold. With DiffSeg Hierarchy, a slider goes from coarse to "
                "fine, and the switch to Object finds whole things by clicks for and against, boxes and "
                "strokes. Only this node and what follows it run again."
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
                    tooltip="Instead of the captured one: an image of the same size, to click on and to cut "
                    "out. Where a latent was captured and none is connected, the segments' colours take its "
                    "place.",
                ),
                io.String.Input(
                    "more_points",
                    optional=True,
                    force_input=True,
                    tooltip='More points from another node, as JSON [{"x": 120, "y": 80}] in pixels. The '
                    "segments under them are chosen in addition. With mode object, prompts of all kinds.",
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
                    "Into how many segments the image is cut; 0 keeps the number of the input. "
                    "The slider of the picker writes this. Segments without a hierarchy are not changed.",
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
                    tooltip="With mode object: a box from another node, or several, each around an object of "
                    "its own.",
                ),
                io.Mask.Input(
                    "scribble",
                    optional=True,
                    tooltip="With mode object: a mask painted roughly over the first object.",
                ),
                io.String.Input(
                    "negative_points",
                    optional=True,
                    force_input=True,
                    tooltip="Points against from another node, such as negative_coords of a points editor: "
                    "the segments under them are left out (with invert, they are chosen too). With mode "
                    "object, prompts that all count against.",
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
        if mode is not None and (refused := refusal(lambda: MODE.checked(mode))) is not True:
            return refused  # ComfyUI leaves it to a node that looks at it
        if mode == "object":
            objects = (points, False), (more_points, False), (negative_points, True)
            return refusal(lambda: lines_of([parse_objects(*each) for each in objects]))
        return refusal(lambda: [_read_points(each) for each in (points, more_points, negative_points)])

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
        found, image = segments.segments, image_of(image, segments.capture)
        image_index = position(image_index, found.batch_size, "an image index", "images")
        INVERT.checked(invert)
        GRANULARITY.checked(granularity)
        MODE.checked(mode)
        seen = None if image is None else checked_images(image)
        view: dict[str, Any] = {"version": VERSION, "batch_size": found.batch_size, "more_points": []}
        view["has_clip"] = segments.capture.clip is not None
        words: list[dict[str, Any]] = []
        if mode == "object":
            if not found.hierarchies:
                raise InvalidSettingError(
                    "Expected segments with a hierarchy to find objects in, got segments without one. "
                    "Connect DiffSeg Hierarchy in the place of DiffSeg Segment, or set mode to segments."
                )
            connected = connected_objects(
                more_points, negative_points, bounding_box, scribble, found, image_index
            )
            own = parse_objects(points)
            word_places = look_for(lines_of((connected, own)), segments, image_index)
            words = words_view(word_places)
            connected, own = with_clicks(connected, word_places), with_clicks(own, word_places)
            finder = kept_finder(found, image, seen, image_index).finder
            view["more_prompts"] = as_json(connected, finder)
            objects = united(connected, own)
            every = [prompt for prompts in objects.values() for prompt in prompts]
            view["outside"] = count_outside(every, found, "prompt")
            masks, chosen = found_objects(finder, without_blanks(objects), found, image_index, invert)
        else:
            if bounding_box is not None or scribble is not None:
                warn("bounding_box and scribble are ignored, as mode is segments. Set it to object.")
            others, against = _read_points(more_points), _read_points(negative_points)
            view["more_points"] = [point._asdict() for point in others]
            view["negative_points"] = [point._asdict() for point in against]
            named = [*_read_points(points), *others]
            view["outside"] = count_outside([Click(each) for each in (*named, *against)], found, "point")
            masks, chosen = chosen_segments(
                at_granularity(found, granularity), named, against, image_index, invert
            )

        images = draw_label_map(found) if seen is None else matching_images(seen, found)
        device = comfy.model_management.intermediate_device()
        mask = masks.any(0).float()[None].to(device)
        opaque = mask[0]
        if seen is not None:
            opaque = opaque * alpha_of(seen, found)[image_index].to(device)
        cutout = torch.cat([images[image_index].to(device), opaque[..., None]], dim=-1)
        view["pictures"] = picker_pictures(found, image, seen, images, image_index)
        shown = view["pictures"][str(image_index)]
        if words and "segments" in shown:
            shown["words"] = words
        for files in view["pictures"].values():
            entries = (entry for entry in files.values() if isinstance(entry, dict))
            shown_files.note(cls._node_id(), entries)
        return io.NodeOutput(
            mask,
            mask_batch(masks.float(), found.image_size),
            cutout[None],
            segments.replaced(chosen, image),
            ui={"diffseg_view": [view]},
        )

    @classmethod
    def _node_id(cls) -> str:
        return str(cls.hidden.unique_id) if cls.hidden else ""


def _read_points(value: Any) -> tuple[Point, ...]:
    """Points, and where other prompts are among them, the mode that takes these."""
    try:
        return parse_points(value)
    except InvalidSettingError as error:
        try:
            parse_objects(value)
        except InvalidSettingError:
            raise error from None
        raise InvalidSettingError(f"{error} Boxes, strokes and words are for the mode object.") from None
