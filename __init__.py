"""DiffSeg for ComfyUI: masks of everything in a picture, from the Stable Diffusion model at hand."""

from .nodes import comfy_entrypoint

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
