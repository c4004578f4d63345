"""Write the trained weights where the pack looks for them, in diffusers' layout, as float16. ::

python -m training.export --autoencoder build/autoencoder.pt --denoiser build/denoiser.pt --out demo_model
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel

from .common import load_averaged
from .denoiser import CONFIG, SCHEDULE, trained_autoencoder


def trained_pipeline(autoencoder: Path, denoiser: Path) -> StableDiffusionPipeline:
    """Both models with their averaged weights, as a pipeline without a text encoder."""
    unet = UNet2DConditionModel(**CONFIG)
    state = load_averaged(denoiser, unet)
    vae = trained_autoencoder(autoencoder)
    vae.register_to_config(scaling_factor=round(state["scale"], 5))
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=DDPMScheduler(**SCHEDULE, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--denoiser", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    pipeline = trained_pipeline(arguments.autoencoder, arguments.denoiser)
    pipeline.to(torch.float16).save_pretrained(arguments.out)
    sizes = {file.parent.name: file.stat().st_size for file in arguments.out.rglob("*.safetensors")}
    print(", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
