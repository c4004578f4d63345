"""A node for the tests: an image that is cut into as many segments as asked for.

A custom node of its own, laid beside the pack in the test server's `custom_nodes`. It takes the classes of
the pack from where ComfyUI has imported it.
"""

import sys
from types import ModuleType
from typing import Any

import torch
from scipy.spatial import cKDTree

import nodes


def part_of_the_pack(name: str) -> ModuleType:
    """A module of the pack, such as `diffseg_core`."""
    package = nodes.NODE_CLASS_MAPPINGS["DiffSegSelect"].__module__.removesuffix(".nodes.select")
    return sys.modules[f"{package}.{name}"]


def carried(segments: Any, image: torch.Tensor) -> Any:
    """Segments as they travel between nodes, with a capture that knows the image alone."""
    core, types = part_of_the_pack("diffseg_core"), part_of_the_pack("nodes.types")
    maps = core.AttentionMaps({(2, 2): torch.full((1, 4, 4), 0.25)})
    captured = types.CapturedAttention(maps, segments.image_size, image=image)
    return types.CapturedSegments(segments, captured)


class DiffSegTestCells:
    """Every pixel belongs to the nearest of some random places. The smallest segments join first."""

    CATEGORY = "DiffSeg tests"
    FUNCTION = "cut"
    RETURN_TYPES = ("DIFFSEG_SEGMENTS", "IMAGE", "IMAGE")
    RETURN_NAMES = ("segments", "image", "numbers")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        return {
            "required": {
                "count": ("INT", {"default": 300}),
                "side": ("INT", {"default": 1024}),
                "tree": ("BOOLEAN", {"default": True}),
                "width": ("INT", {"default": 0}),
            }
        }

    def cut(
        self, count: int, side: int, tree: bool, width: int = 0
    ) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """Segments, an image of them, and their numbers as an image: the number is red + 256 green.

        The image is of ``side`` rows, and as many columns where no ``width`` is given.
        """
        size = torch.tensor([side, width or side])
        places = torch.rand(count, 2, generator=torch.Generator().manual_seed(1)) * size
        axes = [torch.arange(int(length)) + 0.5 for length in size]
        pixels = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)  # [side, width, (y, x)]
        nearest = torch.from_numpy(cKDTree(places.numpy()).query(pixels.numpy())[1])  # [side, width]
        order = nearest.flatten().bincount(minlength=count).argsort(descending=True, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(count)
        labels = rank[nearest].to(torch.int32)[None]
        image = torch.cat([pixels / size, (nearest[..., None] % 7) / 7], dim=-1)
        numbers = torch.stack([labels[0] % 256, labels[0] // 256, labels[0] * 0], dim=-1) / 255
        distances = torch.cdist(places[order], places[order])
        joins = [[int(distances[cell, :cell].argmin()), cell] for cell in range(count - 1, 0, -1)]
        core = part_of_the_pack("diffseg_core")
        if not tree:
            return carried(core.Segments(labels, ()), image[None]), image[None], numbers[None]
        keys = (torch.arange(16) + 0.5) / 16
        grid = torch.stack(torch.meshgrid(keys, keys, indexing="ij"), dim=-1).flatten(0, 1)
        near = torch.cdist(places[order] / size, grid) * 4
        maps = torch.exp(-(near**2)) + 1e-4
        maps = (maps / maps.sum(1, keepdim=True)).view(count, 16, 16)
        hierarchy = core.Hierarchy(labels[0], torch.tensor(joins), torch.linspace(0, 1, count - 1), maps)
        segments = core.Segments.of_hierarchies([hierarchy], [count])
        return carried(segments, image[None]), image[None], numbers[None]


NODE_CLASS_MAPPINGS = {"DiffSegTestCells": DiffSegTestCells}
