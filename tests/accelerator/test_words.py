"""Attention to words on the accelerator: small models against the CPU, and the cost at real sizes."""

from __future__ import annotations

import time

import pytest
import torch
from accelerators import name_of, synchronize
from comfyui_capture import capture_in_comfyui, model_inputs
from random_models import FULL_SIZE, LATENT_SIDES, random_conditioning, random_latent, random_model
from real_transformers import REAL, real_conditioning, real_model
from transformer_models import tiny_conditioning, tiny_latent, tiny_model

# As a share of the greatest probability: rounding in the whole model adds up.
WHOLE_MODEL = {torch.float32: 5e-3, torch.float16: 5e-2, torch.bfloat16: 2e-1}
TIMES = 5
READ = ["SD3", "Flux dev", "Chroma", "Qwen-Image"]


def reader(pack, model, latent, conditioning, seed=None):
    """How attention to a conditioning is read from a captured model, and the size of all its queries."""
    nodes = pack.nodes
    backbone = nodes.comfy.capture.backbone_of(model)
    maps = capture_in_comfyui(pack, model, latent, conditioning, noise_level=300, noise_seed=seed)
    size = pack.diffseg_core.GridSize(*(side * backbone.latent_pixels for side in latent.shape[-2:]))
    step = model_inputs(pack, model, latent, noise_seed=seed)
    captured = nodes.types.CapturedAttention(maps, size, step)
    read = nodes.comfy.words._reader(model, backbone, captured, lambda done, total: None)
    return read, sum(each.queries.nbytes for each in maps.queries)


@pytest.mark.parametrize("dtype", WHOLE_MODEL, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl"])
def test_attention_to_words_by_kept_queries_is_that_of_the_cpu(pack, name, dtype, device, report):
    latent, conditioning = random_latent(2, 32, 24), random_conditioning(name)
    cpu = torch.device("cpu")
    expected, _ = reader(pack, random_model(name, torch.float32, cpu), latent, conditioning)
    found, _ = reader(pack, random_model(name, dtype, device), latent, conditioning)
    compare(expected(conditioning), found(conditioning), dtype, name, report)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", READ)
def test_attention_to_words_by_another_step_is_that_of_the_cpu(pack, name, dtype, device, report):
    latent, conditioning = tiny_latent(name, 2), tiny_conditioning(name)
    expected, _ = reader(pack, tiny_model(name), latent, conditioning)
    found, _ = reader(pack, tiny_model(name, dtype, device), latent, conditioning)
    compare(expected(conditioning), found(conditioning), dtype, name, report)


def compare(expected, found, dtype, name, report):
    assert found.maps.device.type == "cpu"  # ComfyUI's intermediate device
    share = float((found.maps - expected.maps).abs().max() / expected.maps.max())
    report(f"{name}, {dtype}: attention to the text is off by {share:.1e} of its greatest")
    assert share < WHOLE_MODEL[dtype]


@pytest.mark.parametrize("name", [*FULL_SIZE, "SD3.5 Medium", "Flux.1 dev"])
def test_what_new_words_cost_beside_a_capture(pack, name, cuda, report):
    if name in FULL_SIZE:
        model, conditioning = random_model(name, torch.float16, cuda), random_conditioning(name)
        latent = random_latent(1, LATENT_SIDES[name], LATENT_SIDES[name])
    else:
        if torch.cuda.mem_get_info(cuda)[0] < REAL[name].gigabytes * 2**30:
            pytest.skip(f"{name} takes {REAL[name].gigabytes} GB of the accelerator's memory")
        model, conditioning = real_model(name, cuda), real_conditioning(name)
        latent = torch.randn(REAL[name].latent, generator=torch.Generator().manual_seed(5))
    read, kept = reader(pack, model, latent, conditioning)

    def seconds(step):
        synchronize(cuda)
        start = time.perf_counter()
        result = step()
        synchronize(cuda)
        return time.perf_counter() - start, result

    whole = min(
        seconds(lambda: capture_in_comfyui(pack, model, latent, conditioning))[0] for _ in range(TIMES)
    )
    times, results = zip(*(seconds(lambda: read(conditioning)) for _ in range(TIMES)), strict=True)
    report(
        f"{name_of(cuda)}, {name}: a capture {whole:.3f} s, new words {min(times):.3f} s without the text "
        f"encoder, {kept / 1e6:.0f} MB of queries kept"
    )
    sums = results[-1].maps.sum(-1)
    assert kept < 64e6
    assert float(sums.max()) < 1.001
    assert float(sums.min()) > (0.999 if name in FULL_SIZE else 0.0)
