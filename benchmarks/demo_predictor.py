"""The demo model as a method to measure, at the one setting that its workflow uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from diffseg_core import capture_diffusers, segment

FOLDER = Path(__file__).resolve().parent.parent / "demo_model"
TIMESTEP, SIZE = 25, 384
MERGE_THRESHOLD, SMALLEST_AREA = 0.63, 0.02


def demo_method() -> Callable[[Image.Image], npt.NDArray[Any]]:
    """Load the demo model into diffusers; a method from a picture to its labels."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        FOLDER,
        local_files_only=True,
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    embeds = torch.zeros(1, 1, pipeline.unet.config.cross_attention_dim)

    def predict(image: Image.Image) -> npt.NDArray[Any]:
        maps = capture_diffusers(pipeline, image, timestep=TIMESTEP, size=SIZE, prompt_embeds=embeds)
        segments = segment(
            maps,
            (image.height, image.width),
            merge_threshold=MERGE_THRESHOLD,
            smallest_area=SMALLEST_AREA,
        )
        labels: npt.NDArray[np.int32] = segments.labels[0].numpy()
        return labels

    return predict
