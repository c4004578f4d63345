"""Captures where memory is short: models loaded in part, and captures that run out of it."""

from __future__ import annotations

import comfy.model_management
import pytest
import torch
from accelerators import release_memory
from model_state import left_as_it_was
from random_models import difference, random_conditioning, random_latent, random_model

CPU = torch.device("cpu")
PATCHED = "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"
LOADED = 600 * 2**20  # bytes of SD 1.5's 1.7 GB in float16


@pytest.fixture
def patched():
    """SD 1.5 in main memory, with a patch of one weight as a LoRA makes it."""

    def make(device):
        model = random_model("SD 1.5", torch.float16, device, CPU)
        weight = model.model.get_parameter(PATCHED)
        assert model.add_patches({PATCHED: (weight.detach().clone(),)}, strength_patch=1.0) == [PATCHED]
        return model

    return make


def test_a_model_loaded_in_part_gives_the_same_attention(cuda, capture, patched, monkeypatch):
    latent, conditioning = random_latent(1, 64, 64), random_conditioning("SD 1.5")
    model = patched(cuda)
    whole = capture(model, latent, conditioning)
    assert not model.model.model_lowvram
    comfy.model_management.unload_all_models()
    release_memory(cuda)
    # All but this much is kept for others, so that the rest of the weights is moved as it is needed.
    free = comfy.model_management.get_free_memory(cuda)
    inference = comfy.model_management.minimum_inference_memory()
    inference -= comfy.model_management.extra_reserved_memory()
    monkeypatch.setattr(comfy.model_management, "EXTRA_RESERVED_VRAM", free - inference - LOADED)
    in_part = capture(model, latent, conditioning)
    assert model.model.model_lowvram
    assert 0 < model.loaded_size() < model.model_size()
    for grid in whole:
        assert difference(whole[grid], in_part[grid]) < 1e-3
    without = capture(random_model("SD 1.5", torch.float16, cuda), latent, conditioning)
    assert max(difference(whole[grid], without[grid]) for grid in whole) > 1e-2  # the patch counts


def test_no_memory_in_mid_step_leaves_the_model_usable(device, capture):
    """As PyTorch reports it, from within a layer."""

    def fail(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    model, latent = random_model("sd1", torch.float32, device), random_latent(1, 16, 16)
    conditioning = random_conditioning("sd1")
    before = capture(model, latent, conditioning)
    with left_as_it_was(model):
        hook = model.model.diffusion_model.output_blocks[3][0].register_forward_pre_hook(fail)
        with pytest.raises(torch.cuda.OutOfMemoryError):
            capture(model, latent, conditioning)
        hook.remove()
    after = capture(model, latent, conditioning)
    for grid in before:
        torch.testing.assert_close(after[grid], before[grid])


def test_maps_that_do_not_fit_leave_the_model_usable(cuda, capture):
    model, latent = random_model("sd1", torch.float16, cuda), random_latent(4, 64, 64)
    conditioning = random_conditioning("sd1")
    before = capture(model, latent, conditioning)
    with left_as_it_was(model):
        release_memory(cuda)
        total = torch.cuda.get_device_properties(cuda).total_memory
        room = torch.cuda.memory_reserved(cuda) + 128 * 2**20  # the maps take 268 MB
        torch.cuda.set_per_process_memory_fraction(room / total, cuda)
        try:
            with pytest.raises(torch.cuda.OutOfMemoryError):
                capture(model, latent, conditioning)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, cuda)
    release_memory(cuda)
    after = capture(model, latent, conditioning)
    for grid in before:
        assert difference(after[grid], before[grid]) < 1e-3


def test_a_failed_capture_keeps_no_memory(cuda, capture):
    model, latent = random_model("sd1", torch.float16, cuda), random_latent(1, 64, 64)
    conditioning = random_conditioning("sd1")
    capture(model, latent, conditioning)
    release_memory(cuda)
    before = torch.cuda.memory_allocated(cuda)

    def fail(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    hook = model.model.diffusion_model.output_blocks[3][0].register_forward_pre_hook(fail)
    with pytest.raises(torch.cuda.OutOfMemoryError) as caught:
        capture(model, latent, conditioning)
    hook.remove()
    del caught
    release_memory(cuda)
    assert torch.cuda.memory_allocated(cuda) - before < 2**20  # a map of this grid takes 67 MB
