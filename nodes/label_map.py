"""DiffSeg Label Map: segments as an image in flat colours."""

from __future__ import annotations

from ..diffseg_core import draw_label_map, parse_classes
from ..diffseg_core.output.label_map import check_palette
from ..diffseg_core.settings import PALETTE, Palette
from .comfy.api import io
from .inputs import choice_input, refusal, segments_input
from .outputs import as_output
from .types import MORE, CapturedSegments


class DiffSegLabelMap(io.ComfyNode):
    """One flat colour per segment, for ControlNet or for other programs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegLabelMap",
            display_name="DiffSeg Label Map",
            category=MORE,
            description=(
                "Gives the segments as an image in flat colours. With those of ADE20K it is the image that a "
                "segmentation ControlNet takes, and you can say what the segments are."
            ),
            search_aliases=["controlnet seg", "ade20k", "segmentation map", "color map", "id map", "diffseg"],
            inputs=[
                segments_input(),
                choice_input("palette", PALETTE, "The preview's colours, or those of ADE20K's 150 classes."),
                io.String.Input(
                    "classes",
                    default="",
                    multiline=True,
                    placeholder="0 = sky\n2, 5-7 = person",
                    tooltip="With ADE20K: what the segments are, a line each, such as 0 = sky.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="label_map", tooltip="Flat colours; black where no segment is.")
            ],
        )

    @classmethod
    def validate_inputs(cls, palette: Palette | None = None, classes: str | None = None) -> bool | str:
        """Refuse text that names no classes before anything runs; what is linked is not known yet."""

        def read() -> None:
            named = bool(parse_classes(classes or ""))
            if palette is not None:
                check_palette(palette, named)

        return refusal(read)

    @classmethod
    def execute(cls, segments: CapturedSegments, palette: Palette, classes: str) -> io.NodeOutput:
        drawn = draw_label_map(segments.segments, palette, parse_classes(classes))
        return io.NodeOutput(as_output(drawn))
