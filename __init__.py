"""DiffSeg for ComfyUI: masks of everything in an image, from the diffusion model at hand."""

from .nodes import comfy_entrypoint

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
