"""DiffSeg Find by Words: segments named by the model's own attention to a text."""

from __future__ import annotations

import comfy.model_management
import torch

from ..diffseg_core import draw_overlay
from ..diffseg_core.images import matching_images
from ..diffseg_core.output.label_map import draw_label_map
from ..diffseg_core.settings import WORD_THRESHOLD
from ..diffseg_core.words.find_words import find_words
from ..diffseg_core.words.lines import parse_words
from .comfy.api import io, ui
from .comfy.words import read_words
from .inputs import checked_images, model_and_clip, number_input, refusal
from .outputs import mask_batch
from .types import CATEGORY, CapturedSegments, SegmentsType


class DiffSegFindWords(io.ComfyNode):
    """What words mean in the images, by the text encoder and the attention that are loaded already."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegFindWords",
            display_name="DiffSeg Find by Words",
            category=CATEGORY,
            description=(
                "Finds what you name: a line of words for each class. It asks the loaded model itself, by "
                "its text encoder and its attention to text; no second model. New words run no model of "
                "images (Stable Diffusion), or a part of one step (SD3, Flux and their kind). Experimental: "
                "how well it finds things with released weights has not been measured yet."
            ),
            search_aliases=[
                "text to mask",
                "clipseg",
                "grounding dino",
                "segment anything",
                "find object by text",
                "diffseg",
            ],
            is_experimental=True,
            inputs=[
                SegmentsType.Input(
                    "segments",
                    tooltip="Captured with clip connected at DiffSeg Capture Attention. Of DiffSeg "
                    "Hierarchy's, each word takes the parts of the tree that suit it; of others, whole "
                    "segments.",
                ),
                io.String.Input(
                    "words",
                    default="",
                    multiline=True,
                    placeholder="cup, mug\ntable\n!hand",
                    tooltip="A line for each class; commas between words that mean the same. A line that "
                    "begins with ! is looked for and never chosen: it takes what is not meant. (cup:1.3) "
                    "gives a word more weight.",
                ),
                number_input(
                    "threshold",
                    WORD_THRESHOLD,
                    "How strongly a place must answer to a word, from 0 (its weakest answer in the "
                    "image) to 1 (its strongest). Lower takes more.",
                    step=0.01,
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask", tooltip="All that was found together, one mask for each image."
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="A mask for each line without !, in their order, image after image; zeros for "
                    "what was not found.",
                ),
                SegmentsType.Output(
                    display_name="segments",
                    tooltip="What was found as segments with their names, for Select, Label Map, SEGS and "
                    "Save.",
                ),
                io.String.Output(
                    display_name="table", tooltip="What was found, with scores, areas and places, as text."
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, words: str | None = None) -> bool | str:
        """Refuse words that cannot be read before anything runs; linked ones are not known yet."""
        return True if words is None else refusal(lambda: parse_words(words))

    @classmethod
    def execute(cls, segments: CapturedSegments, words: str, threshold: float) -> io.NodeOutput:
        """Read the words, and choose the segments that they mean."""
        lines = parse_words(words)
        WORD_THRESHOLD.checked(threshold)  # before the model runs
        found = find_words(
            segments.segments,
            segments.capture.maps,
            read_words(*model_and_clip(segments.capture), segments.capture, lines),
            threshold=threshold,
        )
        image = segments.capture.image
        shown = (
            draw_label_map(segments.segments)
            if image is None
            else matching_images(checked_images(image), segments.segments)
        )
        table = found.table()
        overlay = draw_overlay(shown, found.segments)
        return io.NodeOutput(
            found.segments.union().to(comfy.model_management.intermediate_device()),
            mask_batch(torch.cat(found.masks).float(), found.segments.image_size),
            segments.replaced(found.segments),
            table,
            ui={**ui.PreviewImage(overlay, cls=cls).as_dict(), **ui.PreviewText(table).as_dict()},
        )
