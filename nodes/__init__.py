"""The nodes of DiffSeg for ComfyUI: one thin class per concern over ``diffseg_core``."""

from __future__ import annotations

from . import api_values
from .capture import DiffSegCapture
from .check_model import DiffSegCheckModel
from .comfy.api import ComfyExtension, io
from .demo_model import DiffSegDemoModel
from .filter import DiffSegFilter
from .find_words import DiffSegFindWords
from .hierarchy import DiffSegHierarchy
from .label_map import DiffSegLabelMap
from .masks import DiffSegMasks
from .preview import DiffSegPreview
from .refine import DiffSegRefine
from .save import DiffSegSave
from .segment import DiffSegSegment
from .select import DiffSegSelect
from .snap_mask import DiffSegSnapMask
from .to_segs import DiffSegToSEGS

NODES: tuple[type[io.ComfyNode], ...] = (
    DiffSegCapture,
    DiffSegSegment,
    DiffSegHierarchy,
    DiffSegSelect,
    DiffSegFindWords,
    DiffSegFilter,
    DiffSegSnapMask,
    DiffSegRefine,
    DiffSegMasks,
    DiffSegLabelMap,
    DiffSegToSEGS,
    DiffSegSave,
    DiffSegPreview,
    DiffSegCheckModel,
    DiffSegDemoModel,
)
"""In the order of the data's way."""


class DiffSegExtension(ComfyExtension):
    """What ComfyUI asks for the pack's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return list(NODES)


async def comfy_entrypoint() -> DiffSegExtension:
    """ComfyUI's entry point."""
    api_values.register(NODES)
    return DiffSegExtension()
