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
from .filtering import filter_segments, parse_indices
from .grid import GridSize
from .hierarchy import Hierarchy
from .label_map import draw_label_map, parse_classes
from .nested_segmentation import segment_nested
from .overlay import draw_overlay
from .refining import refine, soft_masks
from .segmentation import segment
from .segments import Segments
from .snapping import snap

__all__ = [
    "AttentionAccumulator",
    "AttentionMaps",
    "CaptureError",
    "DiffSegError",
    "GridSize",
    "Hierarchy",
    "InvalidAttentionError",
    "InvalidSettingError",
    "Segments",
    "UnsupportedModelError",
    "capture_diffusers",
    "draw_label_map",
    "draw_overlay",
    "filter_segments",
    "parse_classes",
    "parse_indices",
    "refine",
    "segment",
    "segment_nested",
    "snap",
    "soft_masks",
]
