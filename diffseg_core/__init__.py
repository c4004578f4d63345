"""DiffSeg: segments of everything in a picture, from a diffusion model's self-attention.

Tian et al., "Diffuse, Attend, and Segment: Unsupervised Zero-Shot Segmentation using Stable
Diffusion", CVPR 2024, arXiv 2308.12469.
"""

from .accumulator import AttentionAccumulator
from .attention_maps import AttentionMaps
from .diffusers_capture import capture_diffusers
from .errors import (
    CaptureError,
    DiffSegError,
    InvalidAttentionError,
    InvalidSettingError,
    UnsupportedModelError,
)
from .grid import GridSize
from .overlay import draw_overlay
from .segmentation import segment
from .segments import Segments

__all__ = [
    "AttentionAccumulator",
    "AttentionMaps",
    "CaptureError",
    "DiffSegError",
    "GridSize",
    "InvalidAttentionError",
    "InvalidSettingError",
    "Segments",
    "UnsupportedModelError",
    "capture_diffusers",
    "draw_overlay",
    "segment",
]
