"""A custom node for tests: loads tiny random models in place of the checkpoints that a workflow names.

It stands in a folder of its own beside `transformer_models.py`, from which the models are.
"""

import weakref

import comfy.ldm.models.autoencoder
import comfy.sd
import torch

import nodes

from .transformer_models import TINY, known, tiny_conditioning, tiny_latent, tiny_model

VAE_CONFIG = {
    "double_z": True,
    "z_channels": 16,
    "resolution": 128,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "dropout": 0.0,
}


SEEN = {}  # weak references to the models of `WatchedModel`, by seed


class TinyModel:
    """MODEL, VAE, CONDITIONING and a LATENT of one of the tiny models."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802
        return {"required": {"name": ([name for name in TINY if known(name)],)}}

    RETURN_TYPES = ("MODEL", "VAE", "CONDITIONING", "LATENT")
    FUNCTION = "load"
    CATEGORY = "tests"

    def load(self, name):
        torch.manual_seed(3)
        net = comfy.ldm.models.autoencoder.AutoencoderKL(ddconfig=VAE_CONFIG, embed_dim=16)
        for key, weight in net.named_parameters():  # ComfyUI leaves them as memory held them
            if weight.ndim == 1:
                torch.nn.init.constant_(weight, 1.0 if "norm" in key and key.endswith("weight") else 0.0)
            else:
                torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        weights = net.state_dict()
        vae = comfy.sd.VAE(sd=weights, config={"params": {"ddconfig": VAE_CONFIG, "embed_dim": 16}})
        vae.latent_channels = 16  # ComfyUI finds this out of the weights of a VAE of the usual size only
        return tiny_model(name), vae, tiny_conditioning(name), {"samples": tiny_latent(name)}


class WatchedModel:
    """The demo model, another one for each seed, which `ModelsAlive` knows of and does not keep."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802
        return {"required": {"seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ("MODEL", "VAE", "CONDITIONING", "IMAGE")
    FUNCTION = "load"
    CATEGORY = "tests"

    def load(self, seed):
        loaded = nodes.NODE_CLASS_MAPPINGS["DiffSegDemoModel"].execute().args
        SEEN[seed] = weakref.ref(loaded[0].model)
        return loaded


class ModelsAlive:
    """The seeds of the models of `WatchedModel` that are in memory."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802
        return {"required": {"mask": ("MASK",)}}

    RETURN_TYPES = ()
    FUNCTION = "look"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    def look(self, mask):
        return {"ui": {"seeds": [seed for seed, model in SEEN.items() if model() is not None]}}


NODE_CLASS_MAPPINGS = {"TinyModel": TinyModel, "WatchedModel": WatchedModel, "ModelsAlive": ModelsAlive}
