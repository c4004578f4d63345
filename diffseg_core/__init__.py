"""DiffSeg: segments of everything in an image, from a diffusion model's self-attention.

Tian et al., "Diffuse, Attend, and Segment: Unsupervised Zero-Shot Segmentation using Stable
Diffusion", CVPR 2024, arXiv 2308.12469.
"""

from .attention.accumulator import AttentionAccumulator
from .attention.maps import AttentionMaps
from .diffcut.segment_cut import segment_cut
from .diffusers.capture import capture_diffusers
from .diffusers.words import read_words
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
from .hierarchy.segment_hierarchy import segment_hierarchy
from .images import Images, as_images
from .merging.segment import segment
from .objects.find_object import find_object, find_objects
from .objects.prompts import parse_objects, parse_prompts
from .output.label_map import draw_label_map, parse_classes
from .output.overlay import draw_overlay
from .progress import callbacks
from .segments import Segments, parse_indices
from .tree import Hierarchy
from .words.find_words import find_words
from .words.lines import parse_words

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
    "callbacks",
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
    "segment_hierarchy",
    "snap",
    "soft_masks",
]
