"""Time one captured denoising step beside one plain step of SD 1.5's UNet, at its real size.

    .venv/bin/python -m diffseg_benchmarks.captured_step --comfyui DIR [--pairs N] [--device D] [--json FILE]

Random weights, a 64 by 64 latent, float32. Steps alternate, so that both meet the same machine; the figure is
the median of the pairs' ratios. Run it on a quiet machine: beside other work, waiting threads are what it
measures. DIR is a folder of ComfyUI, whose packages this Python must have. No download is needed, but 4 GB of
memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffseg_tools.in_process import import_comfyui, import_pack

from .timing import Spread, clock, ratios
from .workers import Compute

LATENT = (1, 4, 64, 64)  # an image of 512 by 512 pixels
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


@dataclass(frozen=True)
class CapturedStep:
    """A captured step over a plain one.

    Attributes:
        time: ratios.
        plain, captured: median seconds of each.
    """

    time: Spread
    plain: float
    captured: float


def measure(compute: Compute, comfyui: Path, pairs: int) -> CapturedStep:
    """Measure in a process of its own: ComfyUI's modules stay out of this one."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "diffseg_benchmarks.captured_step", "--comfyui", str(comfyui)]
        command += ["--pairs", str(pairs), "--device", compute.device, "--json", str(results)]
        subprocess.run(command, check=True, cwd=folder, env=compute.environment)
        values = json.loads(results.read_text(encoding="utf-8"))
    return CapturedStep(Spread(**values["time"]), values["plain"], values["captured"])


def random_model(device: torch.device) -> Any:
    """A MODEL in the shape of SD 1.5."""
    import comfy.model_patcher
    import comfy.supported_models

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

    sigma = model.get_model_object("model_sampling").sigmas[300].cpu()
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


def compare_steps(device: str, pairs: int) -> CapturedStep:
    """Time both steps in turn. ComfyUI must be importable."""
    pack = import_pack()
    capture = pack.nodes.comfy.capture.capture
    settings = pack.diffseg_core.attention.capture_settings.CaptureSettings(300)
    model = random_model(torch.device(device))
    latent = torch.randn(LATENT)
    conditioning = [[torch.randn(1, 77, 768), {}]]
    now = clock(device)

    def plain() -> None:
        plain_step(model, latent, conditioning)

    def captured() -> None:
        capture(model, latent, conditioning, settings)

    def seconds(step: Callable[[], None]) -> float:
        start = now()
        step()
        return now() - start

    plain()
    captured()
    ones, others = zip(*((seconds(plain), seconds(captured)) for _ in range(pairs)), strict=True)
    return CapturedStep(ratios(others, ones), Spread.of(ones).median, Spread.of(others).median)


def main() -> None:
    """Print the ratio, or write it to a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comfyui", type=Path, required=True, metavar="DIR", help="folder of ComfyUI")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of steps to time (default: 5)")
    parser.add_argument("--device", default="cpu", help="cpu (the default) or cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    arguments = parser.parse_args()
    import_comfyui(arguments.comfyui, cpu=arguments.device == "cpu")
    result = compare_steps(arguments.device, arguments.pairs)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(result)), encoding="utf-8")
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"plain {result.plain:.2f} s, captured {result.captured:.2f} s, medians of {result.time.count}")
    print(f"ratio {result.time.median:.2f}, from {result.time.least:.2f} to {result.time.most:.2f}")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
