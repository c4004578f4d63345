"""What a captured step costs beside a plain one, in models of the real size."""

from __future__ import annotations

import time

import pytest
import torch
from accelerators import name_of, release_memory, synchronize
from diffseg_benchmarks.captured_step import plain_step
from diffseg_benchmarks.timing import Spread, ratios
from random_models import FULL_SIZE, LATENT_SIDES, random_conditioning, random_latent, random_model

PAIRS = 5
# Beside the maps: scores and softmax of a chunk, a layer's queries and keys in float32, and what the
# allocator rounds up.
ROOM = 512 * 2**20


@pytest.mark.parametrize("name", FULL_SIZE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_captured_step_takes_the_memory_of_its_maps(name, dtype, device, capture, report):
    if device.type == "cpu" and (name, dtype) != ("SD 1.5", torch.float32):
        pytest.skip("on the CPU one model shows that the test runs")
    side = LATENT_SIDES[name] // (4 if device.type == "cpu" else 1)
    model, latent = random_model(name, dtype, device), random_latent(1, side, side)
    conditioning = random_conditioning(name)

    def plain():
        plain_step(model, latent, conditioning)

    def captured():
        return capture(model, latent, conditioning)

    def seconds(step):
        synchronize(device)
        start = time.perf_counter()
        step()
        synchronize(device)
        return time.perf_counter() - start

    plain()
    maps = captured()
    sizes = sum(maps[grid].nbytes for grid in maps)
    pairs = 1 if device.type == "cpu" else PAIRS
    ones, others = zip(*((seconds(plain), seconds(captured)) for _ in range(pairs)), strict=True)
    spread = ratios(others, ones)
    report(
        f"{name_of(device)}, torch {torch.__version__}, {name}, {dtype}: plain step "
        f"{Spread.of(ones).median:.3f} s, captured {Spread.of(others).median:.3f} s, ratio "
        f"{spread.median:.2f} (from {spread.least:.2f} to {spread.most:.2f})"
    )
    if device.type != "cuda":
        return
    least, most = peak(plain, device), peak(captured, device)
    report(
        f"{name_of(device)}, {name}, {dtype}: peak memory of a plain step {least / 2**20:.0f} MB, captured "
        f"{most / 2**20:.0f} MB, of which maps {sizes / 2**20:.0f} MB, ratio {most / least:.2f}"
    )
    assert most <= least + sizes + ROOM


def peak(step, device):
    """Bytes in use at most while a step runs, the model's weights with them."""
    release_memory(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    synchronize(device)
    return torch.cuda.max_memory_allocated(device)
