"""DiffSeg: segments of everything in an image, from a diffusion model's self-attention.

Tian et al., "Diffuse, Attend, and Segment: Unsupervised Zero-Shot Segmentation using Stable
Diffusion", CVPR 2024, arXiv 2308.12469.
"""

from .attention.accumulator import AttentionAccumulator
from .attention.diffusers_capture import capture_diffusers
from .attention.maps import AttentionMaps
from .cutting.segment_cut import segment_cut
from .editing.edge_refinement import refine_edges
from .editing.filtering import filter_segments
from .editing.snapping import snap
from .editing.soft_masks import soft_masks
from .errors import (
    CaptureError,
    DiffSegError,
    InvalidAttentionError,
    InvalidSettingError,
    UnsupportedModelError,
)
from .grid import GridSize
from .hierarchy import Hierarchy
from .images import Images, as_images
from .merging.segment import segment
from .naming.diffusers_words import read_words
from .naming.find_words import find_words
from .naming.words import parse_words
from .nested.segment_nested import segment_nested
from .output.label_map import draw_label_map, parse_classes
from .output.overlay import draw_overlay
from .prompting.find_object import find_object, find_objects
from .prompting.prompts import parse_objects, parse_prompts
from .segments import Segments, parse_indices

__version__ = "0.2.0"

__all__ = [
    "AttentionAccumulator",
    "AttentionMaps",
    "CaptureError",
    "DiffSegError",
    "GridSize",
    "Hierarchy",
    "Images",
    "InvalidAttentionError",
    "InvalidSettingError",
    "Segments",
    "UnsupportedModelError",
    "as_images",
    "capture_diffusers",
    "draw_label_map",
    "draw_overlay",
    "filter_segments",
    "find_object",
    "find_objects",
    "find_words",
    "parse_classes",
    "parse_indices",
    "parse_objects",
    "parse_prompts",
    "parse_words",
    "read_words",
    "refine_edges",
    "segment",
    "segment_cut",
    "segment_nested",
    "snap",
    "soft_masks",
]
