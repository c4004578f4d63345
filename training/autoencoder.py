"""Train the demo model's autoencoder: AutoencoderKL's layout with few channels.

Latents are 4 channels at an eighth of the image's side, as Stable Diffusion's. Loss: L1 on luminance
and colour at four scales, a term that draws the latent channels to the mean colour (three) and the
contrast (one) of their 8x8 pixels, and a small KL term. After
``--encoder-steps`` the encoder is frozen, so that the denoiser's training can begin while the decoder
still improves. Seeded and resumable: run the same command again after an interruption. ::

    python -m training.autoencoder --photographs build/photographs --out build/autoencoder.pt
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image

from .common import Average, cosine, load_photographs, resume, save_checkpoint, seed_step, to_tensor
from .initialisation import lay_colour_path

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [64, 32, 32, 96],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 32,
}
CROP = 128
# Rows: luminance, red-green, yellow-blue (the colour differences three times as heavy).
OPPONENT = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1.5, -1.5, 0.0], [0.75, 0.75, -1.5]])
# The latent channels they go to, to about equal variance within an image.
LATENT_COLOUR = torch.tensor([[2.5], [6.0], [3.0]]) * OPPONENT


def draw_batch(images: list[Image.Image], size: int, seed: int, step: int) -> torch.Tensor:
    """Random crops at random scales, mirrored half the time: float32 ``[size, 3, CROP, CROP]``."""
    rng, _ = seed_step(seed, step)
    batch = []
    for _ in range(size):
        image = rng.choice(images)
        side = rng.randint(CROP, min(3 * CROP, *image.size))
        left = rng.randint(0, image.width - side)
        top = rng.randint(0, image.height - side)
        box = (left, top, left + side, top + side)
        crop = to_tensor(image.resize((CROP, CROP), Image.Resampling.BILINEAR, box, reducing_gap=2.0))
        batch.append(crop.flip(2) if rng.random() < 0.5 else crop)
    return torch.stack(batch)


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 on luminance and, three times as heavy, on two colour differences, from full to an eighth size.

    The coarse scales and the colour weight make four channels carry the colour of a region first and its
    texture second; plain L1 in RGB spends all four on luminance.
    """
    difference = torch.einsum("oc,bchw->bohw", OPPONENT, output - target)
    loss = difference.abs().mean()
    for _ in range(3):
        difference = F.avg_pool2d(difference, 2)
        loss = loss + difference.abs().mean()
    return loss


def latent_loss(mean: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """L1 between the latents and the mean colour and contrast of their 8x8 pixels.

    Contrast is the logarithm of the luminance's standard deviation: where texture is, not what it is.
    """
    colour = torch.einsum("oc,bchw->bohw", LATENT_COLOUR, F.avg_pool2d(batch, 8))
    light = batch.mean(1, keepdim=True)
    variance = F.avg_pool2d(light.square(), 8) - F.avg_pool2d(light, 8).square()
    contrast = 0.8 * (variance.clamp_min(4e-4).log() / 2.0 + 2.7)
    return F.l1_loss(mean, torch.cat((colour, contrast), 1))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint, written every 100 steps")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--encoder-steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    model = AutoencoderKL(**CONFIG)
    lay_colour_path(model, LATENT_COLOUR)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.01)
    average = Average(model, decay=0.98)
    start = resume(arguments.out, model, optimizer, average)
    images = load_photographs(arguments.photographs)
    began = time.monotonic()
    for step in range(start, arguments.steps):
        batch = draw_batch(images, arguments.batch, arguments.seed, step)
        _, generator = seed_step(arguments.seed, step)
        frozen = step >= arguments.encoder_steps
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.set_grad_enabled(not frozen):
                posterior = model.encode(batch).latent_dist
            output = model.decode(posterior.sample(generator)).sample
        loss = reconstruction_loss(output.float(), batch)
        total = loss
        if not frozen:
            kl = posterior.kl().mean() / posterior.mean[0].numel()
            total = loss + latent_loss(posterior.mean.float(), batch) + 1e-3 * kl
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * cosine(step, arguments.steps)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        if step == arguments.encoder_steps - 1:
            average.copy_to(model, ("encoder.", "quant_conv."))
        done = step + 1
        if done % 50 == 0:
            pace = (time.monotonic() - began) / (done - start)
            parts = f"loss {loss.item():.4f} latents {latent_loss(posterior.mean.float(), batch).item():.4f}"
            print(f"step {done}/{arguments.steps} {parts} {pace:.2f} s/step", flush=True)
        if done % 100 == 0 or done == arguments.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save_checkpoint(arguments.out, {**state, "average": average.values, "step": done})


if __name__ == "__main__":
    main()
