"""Train the demo model's UNet: Stable Diffusion's layout, 1.7 million parameters, noise prediction.

The latents of every photograph are computed once, at several scales and mirrored; training draws
32x32 windows (256x256 pixels) of them. Seeded and resumable: run the same command again after an
interruption. ::

    python -m training.denoiser --photographs build/photographs \\
        --autoencoder build/autoencoder.pt --out build/denoiser.pt
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image

from .autoencoder import CONFIG as AUTOENCODER_CONFIG
from .common import (
    Average,
    cosine,
    load_averaged,
    load_checkpoint,
    load_photographs,
    resume,
    save_checkpoint,
    seed_step,
    to_tensor,
)
from .initialisation import tie_queries_to_keys

CONFIG: dict[str, Any] = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3,
    "up_block_types": ["CrossAttnUpBlock2D"] * 3,
    "block_out_channels": [32, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    # diffusers reads this as the number of heads for Stable Diffusion 1.x configurations
    "attention_head_dim": 1,
    "norm_num_groups": 32,
}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WINDOW = 32  # latent pixels
SHORT_SIDES = (288, 448)  # pixels


def trained_autoencoder(file: Path) -> AutoencoderKL:
    """The autoencoder with the averaged weights of its checkpoint."""
    model = AutoencoderKL(**AUTOENCODER_CONFIG)
    load_averaged(file, model)
    return model


@torch.inference_mode()
def encode_photographs(model: AutoencoderKL, images: list[Image.Image]) -> list[torch.Tensor]:
    """Mean latents of every photograph, at every scale, plain and mirrored: float16 ``[4, h, w]`` each."""
    latents = []
    for image in images:
        for short_side in SHORT_SIDES:
            scale = short_side / min(image.size)
            width, height = (round(side * scale / 8) * 8 for side in image.size)
            tensor = to_tensor(image.resize((width, height), Image.Resampling.BICUBIC))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                mean = model.encode(torch.stack((tensor, tensor.flip(2)))).latent_dist.mean
            latents.extend(mean.half().unbind())
    return latents


def draw_windows(latents: list[torch.Tensor], size: int, seed: int, step: int) -> torch.Tensor:
    """Random windows of random latents: float32 ``[size, 4, WINDOW, WINDOW]``."""
    rng, _ = seed_step(seed, step)
    batch = []
    for _ in range(size):
        latent = rng.choice(latents)
        top = rng.randint(0, latent.shape[1] - WINDOW)
        left = rng.randint(0, latent.shape[2] - WINDOW)
        batch.append(latent[:, top : top + WINDOW, left : left + WINDOW])
    return torch.stack(batch).float()


def draw_timesteps(size: int, generator: torch.Generator) -> torch.Tensor:
    """Half of the timesteps from 0..999, half from 150..549, where attention is read."""
    everywhere = torch.randint(0, 1000, (size,), generator=generator)
    middle = torch.randint(150, 550, (size,), generator=generator)
    return torch.where(torch.arange(size) % 2 == 0, everywhere, middle)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint, written every 250 steps")
    parser.add_argument("--steps", type=int, default=5_500)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    cache = arguments.out.with_suffix(".latents.pt")
    stored = load_checkpoint(cache)
    if stored is None:
        images = load_photographs(arguments.photographs)
        latents = encode_photographs(trained_autoencoder(arguments.autoencoder), images)
        scale = 1.0 / torch.cat([latent.float().flatten() for latent in latents]).std().item()
        stored = {"latents": latents, "scale": scale}
        save_checkpoint(cache, stored)
    scale = stored["scale"]
    print(f"{len(stored['latents'])} latents, scaling factor {scale:.5f}", flush=True)

    torch.manual_seed(arguments.seed)
    model = UNet2DConditionModel(**CONFIG)
    tie_queries_to_keys(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.01)
    average = Average(model)
    scheduler = DDPMScheduler(**SCHEDULE)
    context = torch.zeros(arguments.batch, 1, CONFIG["cross_attention_dim"])
    start = resume(arguments.out, model, optimizer, average)
    began, losses = time.monotonic(), []
    for step in range(start, arguments.steps):
        latents = draw_windows(stored["latents"], arguments.batch, arguments.seed, step) * scale
        _, generator = seed_step(arguments.seed, step)
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = draw_timesteps(arguments.batch, generator)
        noised = scheduler.add_noise(latents, noise, timesteps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(noised, timesteps, context).sample
        loss = F.mse_loss(output.float(), noise)
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * cosine(step, arguments.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        losses.append(loss.item())
        done = step + 1
        if done % 50 == 0:
            pace = (time.monotonic() - began) / (done - start)
            mean = sum(losses) / len(losses)
            print(f"step {done}/{arguments.steps} loss {mean:.4f} {pace:.2f} s/step", flush=True)
            losses.clear()
        if done % 250 == 0 or done == arguments.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scale": scale}
            save_checkpoint(arguments.out, {**state, "average": average.values, "step": done})


if __name__ == "__main__":
    main()
