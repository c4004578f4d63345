"""Time one captured denoising step beside one plain step of SD 1.5's UNet, at its real size.

    python benchmarks/captured_step.py --comfyui DIR [--pairs N]

Random weights, a 64 by 64 latent, float32, on the CPU. Steps alternate, so that both meet the same machine;
the figure is the median of the pairs' ratios. Run it on a quiet machine: beside other work, waiting threads
are what it measures. DIR is a folder of ComfyUI, whose packages this Python must have. No download is needed,
but 4 GB of memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / ".cache" / "lib"))  # only needed outside the environment that `make bench` sets up

from diffseg_tools.in_process import import_comfyui, import_pack  # noqa: E402

LATENT = (1, 4, 64, 64)  # a picture of 512 by 512 pixels
SD15_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "channel_mult": [1, 2, 4, 4],
    "num_res_blocks": [2, 2, 2, 2],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "context_dim": 768,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "legacy": False,
    "dtype": torch.float32,
}


def random_model() -> Any:
    """A MODEL in the shape of SD 1.5."""
    import comfy.model_patcher
    import comfy.supported_models

    device = torch.device("cpu")
    model = comfy.supported_models.SD15(SD15_UNET).get_model({}, "", device)
    torch.manual_seed(0)
    for weight in model.diffusion_model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:
            torch.nn.init.constant_(weight, 0.1)
    return comfy.model_patcher.ModelPatcher(model, device, device)


def plain_step(model: Any, latent: torch.Tensor, conditioning: list[Any]) -> None:
    """One step of ComfyUI's own Euler sampler."""
    import comfy.sample
    import comfy.samplers

    sigma = model.get_model_object("model_sampling").sigmas[300]
    comfy.sample.sample_custom(
        model,
        torch.zeros_like(latent),
        cfg=1.0,
        sampler=comfy.samplers.sampler_object("euler"),
        sigmas=torch.stack((sigma, torch.zeros(()))),
        positive=conditioning,
        negative=conditioning,
        latent_image=latent,
        disable_pbar=True,
    )


def seconds(step: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Print every pair and the median ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comfyui", type=Path, required=True, metavar="DIR", help="folder of ComfyUI")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of steps to time (default: 5)")
    arguments = parser.parse_args()
    import_comfyui(arguments.comfyui)
    capture = import_pack().nodes.comfy_capture.capture
    model = random_model()
    latent = torch.randn(LATENT)
    conditioning = [[torch.randn(1, 77, 768), {}]]

    def plain() -> None:
        plain_step(model, latent, conditioning)

    def captured() -> None:
        capture(model, latent, conditioning, timestep=300, noise_seed=None, resolutions="all")

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    plain()
    captured()
    ratios = []
    for _ in range(arguments.pairs):
        one, other = seconds(plain), seconds(captured)
        ratios.append(other / one)
        print(f"plain {one:.2f} s, captured {other:.2f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} of {len(ratios)} pairs")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
