"""ComfyUI's node interface, by its version, which every release goes on having."""

from comfy_api.v0_0_2 import ComfyExtension, io, ui

__all__ = ["ComfyExtension", "io", "ui"]
