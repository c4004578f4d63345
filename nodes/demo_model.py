"""DiffSeg Demo Model: a very small diffusion model that ships with the pack."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import numpy as np
import torch
from PIL import Image

from .comfy.api import io
from .outputs import as_output
from .types import CATEGORY

FOLDER = Path(__file__).parent.parent / "demo_model"


class ChannelMultiple(Fraction):
    """A level's width as a multiple of the first level's, where that is not a whole number.

    ComfyUI multiplies by it and expects whole channels.
    """

    def __rmul__(self, channels: int) -> int:  # type: ignore[override]
        """The level's channels."""
        return int(Fraction(self) * channels)


class DiffSegDemoModel(io.ComfyNode):
    """A model to try DiffSeg with, before any download."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegDemoModel",
            display_name="DiffSeg Demo Model",
            category=CATEGORY,
            description=(
                "A very small diffusion model that ships with this pack, to see segmentation work before "
                "downloading a checkpoint. Use a merge threshold of 0.3 to 0.7."
            ),
            search_aliases=["test model", "tiny stable diffusion", "no checkpoint", "diffseg"],
            inputs=[],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The denoiser, 1.7 million parameters."),
                io.Vae.Output(display_name="vae", tooltip="Its autoencoder. Works with the stock VAE nodes."),
                io.Conditioning.Output(
                    display_name="conditioning", tooltip="The one conditioning that it was trained with."
                ),
                io.Image.Output(display_name="photograph", tooltip="A photograph to try it on (600×400)."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        conditioning = [[torch.zeros(1, 1, _context_dim()), {}]]
        return io.NodeOutput(_load_model(), _load_vae(), conditioning, _load_photograph())


def _config(part: str) -> dict[str, Any]:
    """The diffusers configuration of "unet" or "vae"."""
    config: dict[str, Any] = json.loads((FOLDER / part / "config.json").read_text(encoding="utf-8"))
    return config


def _context_dim() -> int:
    return int(_config("unet")["cross_attention_dim"])


def _weights(part: str) -> dict[str, torch.Tensor]:
    file = FOLDER / part / "diffusion_pytorch_model.safetensors"
    weights: dict[str, torch.Tensor] = comfy.utils.load_torch_file(str(file), safe_load=True)
    return weights


def _unet_config() -> dict[str, Any]:
    """ComfyUI's description of the UNet that diffusers' configuration describes."""
    config = _config("unet")
    channels = config["block_out_channels"]
    levels, depth = len(channels), config["layers_per_block"]
    return {
        "image_size": config["sample_size"],
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": channels[0],
        "channel_mult": [width // channels[0] for width in channels],
        "num_res_blocks": [depth] * levels,
        "transformer_depth": [1] * (levels * depth),
        "transformer_depth_output": [1] * (levels * (depth + 1)),
        "transformer_depth_middle": 1,
        "context_dim": config["cross_attention_dim"],
        "num_heads": config["attention_head_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "adm_in_channels": None,
        "use_temporal_attention": False,
        "legacy": False,
    }


def _load_model() -> comfy.model_patcher.ModelPatcher:
    unet_config = _unet_config()
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(model_params=2_000_000)
    config = comfy.supported_models.SD15(unet_config)
    config.unet_config["num_heads"] = unet_config["num_heads"]  # SD 1.5's own are 8
    config.latent_format.scale_factor = _config("vae")["scaling_factor"]
    config.set_inference_dtype(dtype, comfy.model_management.unet_manual_cast(dtype, device))
    offload_device = comfy.model_management.unet_offload_device()
    model = config.get_model({}, "", device=offload_device)
    names = comfy.utils.unet_to_diffusers(unet_config)
    weights = {names[name]: value for name, value in _weights("unet").items()}
    model.load_model_weights(weights, "")
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload_device)


def _load_vae() -> comfy.sd.VAE:
    config = _config("vae")
    channels = config["block_out_channels"]
    ddconfig = {
        "double_z": True,
        "z_channels": config["latent_channels"],
        "resolution": 256,
        "in_channels": config["in_channels"],
        "out_ch": config["out_channels"],
        "ch": channels[0],
        "ch_mult": [ChannelMultiple(width, channels[0]) for width in channels],
        "num_res_blocks": config["layers_per_block"],
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    parameters = {"params": {"ddconfig": ddconfig, "embed_dim": config["latent_channels"]}}
    return comfy.sd.VAE(sd=_weights("vae"), config=parameters)


def _load_photograph() -> torch.Tensor:
    with Image.open(FOLDER / "photograph.jpg") as image:
        pixels = np.array(image.convert("RGB"), dtype=np.float32) / 255.0
    return as_output(torch.from_numpy(pixels)[None])  # [1, H, W, 3]
