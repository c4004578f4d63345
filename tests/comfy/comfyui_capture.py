"""A capture by ComfyUI, with its settings by name."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch


def capture_in_comfyui(
    pack: ModuleType,
    model: Any,
    latent: torch.Tensor,
    conditioning: list[Any],
    on_layer: Callable[[int, int], None] = lambda done, total: None,
    **settings: Any,
) -> Any:
    """The maps of a latent; settings are those of `CaptureSettings`."""
    asked = pack.diffseg_core.attention.capture_settings.CaptureSettings(**settings)
    latents, host = pack.nodes.comfy.latents, pack.nodes.comfy.capture
    backbone = host.backbone_of(model, asked.layers)  # refuses other models first, as the node does
    latents.check_samples(latent, model.get_model_object("latent_format"))
    step = host.prepared(model, conditioning, asked, pack.diffseg_core.GridSize(*latent.shape[-2:]), backbone)
    return step.capture(step.inputs(latents.Latent(latent)), on_layer)


def model_inputs(pack: ModuleType, model: Any, latent: torch.Tensor, **settings: Any) -> Any:
    """What a capture of this latent gives the model; settings are those of `CaptureSettings`."""
    settings_module = pack.diffseg_core.attention.capture_settings
    asked = settings_module.CaptureSettings(**{"noise_level": 300, **settings})
    return settings_module.ModelInputs(pack.nodes.comfy.capture.backbone_of(model).name, latent, asked)
