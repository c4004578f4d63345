"""The nodes of DiffSeg for ComfyUI: one thin class per concern over ``diffseg_core``."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .capture import DiffSegCapture
from .demo_model import DiffSegDemoModel
from .masks import DiffSegMasks
from .preview import DiffSegPreview
from .segment import DiffSegSegment


class DiffSegExtension(ComfyExtension):
    """What ComfyUI asks for the pack's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack, in the order of the data's way."""
        return [DiffSegCapture, DiffSegSegment, DiffSegMasks, DiffSegPreview, DiffSegDemoModel]


async def comfy_entrypoint() -> DiffSegExtension:
    """ComfyUI's entry point."""
    return DiffSegExtension()
