"""Diffusion transformers on the accelerator: tiny ones against the CPU, and the cost at the real size."""

from __future__ import annotations

import time

import pytest
import torch
from accelerators import name_of, release_memory, synchronize
from comfyui_capture import capture_in_comfyui
from diffseg_benchmarks.timing import Spread, ratios
from random_models import difference
from real_transformers import REAL, real_conditioning, real_model
from transformer_models import TINY, known, tiny_conditioning, tiny_latent, tiny_model

NAMES = [name for name in TINY if known(name)]
CPU = torch.device("cpu")
# As a share of what sets the maps apart from even attention: rounding in the whole model adds up.
WHOLE_MODEL = {torch.float32: 5e-3, torch.float16: 5e-2, torch.bfloat16: 2e-1}
PAIRS = 3
ROOM = 1024 * 2**20  # beside the maps: a chunk's scores and softmax, queries and keys of a layer in float32


def capture(pack, model, latent, conditioning, layers="recommended"):
    return capture_in_comfyui(
        pack, model, latent, conditioning, noise_level=300, noise_seed=None, layers=layers
    )


@pytest.mark.parametrize("dtype", WHOLE_MODEL, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("name", NAMES)
def test_captured_maps_are_those_of_the_cpu(pack, name, dtype, device, report):
    latent, conditioning = tiny_latent(name, 2), tiny_conditioning(name)
    expected = capture(pack, tiny_model(name), latent, conditioning, "all")
    found = capture(pack, tiny_model(name, dtype, device), latent, conditioning, "all")
    ((grid,), (own,)) = expected.grids, found.grids
    assert grid == own
    assert found[grid].device == CPU  # ComfyUI's intermediate device
    structure = difference(expected[grid], torch.full_like(expected[grid], 1 / grid.tokens))
    share = difference(found[grid], expected[grid]) / structure
    report(f"{name}, {dtype}: {share:.1e} of what makes the attention is other than on the CPU")
    assert share < WHOLE_MODEL[dtype]
    assert torch.isfinite(found.features.float()).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Qwen-Image", "PixArt sigma"])
def test_the_models_output_is_its_own_to_the_bit(pack, name, dtype, device):
    from transformer_checks import captured_output, plain_pass

    model, latent, conditioning = tiny_model(name, dtype, device), tiny_latent(name), tiny_conditioning(name)
    plain, _ = plain_pass(pack, model, latent, conditioning)
    captured, _ = captured_output(pack, model, latent, conditioning, layers="all")
    assert torch.equal(captured, plain)


@pytest.mark.parametrize("name", REAL)
def test_the_cost_of_a_captured_step(pack, name, cuda, report):
    """Recommended blocks, early stop; the plain step is the whole model's."""
    real = REAL[name]
    needed = real.gigabytes * 2**30
    if torch.cuda.mem_get_info(cuda)[0] < needed:
        pytest.skip(f"{name} takes {real.gigabytes} GB of the accelerator's memory, and there are less")
    model, conditioning = real_model(name, cuda), real_conditioning(name)
    latent = torch.randn(real.latent, generator=torch.Generator().manual_seed(5))
    backbone = pack.nodes.comfy.capture.backbone_of(model)
    weights = sum(weight.nbytes for weight in model.model.diffusion_model.parameters())

    def plain():
        pack.nodes.comfy.forward.denoise_once(
            model, latent, conditioning, sigma=backbone.sigma(model, 300), noise_seed=None
        )

    def captured():
        return capture(pack, model, latent, conditioning)

    def seconds(step):
        synchronize(cuda)
        start = time.perf_counter()
        step()
        synchronize(cuda)
        return time.perf_counter() - start

    plain()
    maps = captured()
    assert maps.grids == (real.grid,)
    sums = maps[maps.grid].float().sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-2)
    ones, others = zip(*((seconds(plain), seconds(captured)) for _ in range(PAIRS)), strict=True)
    spread = ratios(others, ones)
    held = sum(tensor.nbytes for tensor in maps.tensors)
    least, most = peak(plain, cuda), peak(captured, cuda)
    report(
        f"{name_of(cuda)}, torch {torch.__version__}, {name}, bfloat16, {weights / 1e9:.1f} GB of weights, "
        f"{real.grid}: plain step {Spread.of(ones).median:.3f} s, captured {Spread.of(others).median:.3f} s, "
        f"ratio {spread.median:.2f} ({spread.least:.2f} to {spread.most:.2f}); peak memory "
        f"{least / 2**20:.0f} and {most / 2**20:.0f} MB; kept {held / 2**20:.0f} MB"
    )
    assert most <= least + 3 * held + ROOM


def peak(step, device):
    """Bytes in use at most while a step runs, the model's weights with them."""
    release_memory(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    synchronize(device)
    return torch.cuda.max_memory_allocated(device)
