"""DiffSeg Find by Words: segments named by the model's own attention to a text."""

from __future__ import annotations

import torch

from ..diffseg_core import draw_overlay
from ..diffseg_core.settings import WORD_THRESHOLD
from ..diffseg_core.words.find_words import find_words
from ..diffseg_core.words.lines import parse_words
from .comfy.api import io, ui
from .comfy.words import read_words
from .inputs import images_to_draw_on, model_and_clip, number_input, refusal, segments_input
from .outputs import as_output, mask_batch
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
                "Finds what you name, by the loaded model's own text encoder and attention; no second model. "
                "Experimental: how well it finds things with released weights has not been measured yet."
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
                segments_input("Captured with clip connected at DiffSeg Capture Attention."),
                io.String.Input(
                    "words",
                    default="",
                    multiline=True,
                    placeholder="cup, mug\ntable\n!hand",
                    tooltip="A line for each class; commas between words that mean the same. ! begins a line "
                    "that is never chosen.",
                ),
                number_input(
                    "threshold",
                    WORD_THRESHOLD,
                    "How strongly a place must answer to a word, 0 to 1. Lower takes more.",
                    step=0.01,
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask", tooltip="All that was found together, one mask for each image."
                ),
                io.Mask.Output(
                    display_name="masks", tooltip="A mask for each line without !, image after image."
                ),
                SegmentsType.Output(display_name="segments", tooltip="What was found, with its names."),
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
        table = found.table()
        overlay = draw_overlay(images_to_draw_on(segments), found.segments)
        return io.NodeOutput(
            as_output(found.segments.union()),
            mask_batch(torch.cat(found.masks).float(), found.segments.image_size),
            segments.replaced(found.segments),
            table,
            ui={**ui.PreviewImage(overlay, cls=cls).as_dict(), **ui.PreviewText(table).as_dict()},
        )
