"""The MODEL that goes into a capture comes out as it was, however the capture ends."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import pytest
import torch
from model_state import left_as_it_was


@pytest.fixture
def model(sd1):
    """A MODEL with something in every place that a capture might touch."""
    model = sd1.model.clone()
    model.set_model_attn1_replace(lambda q, k, v, options: v, "middle", 0, 0)
    model.set_model_attn2_output_patch(lambda n, options: n)
    model.set_model_sampler_post_cfg_function(lambda args: args["denoised"], disable_cfg1_optimization=True)
    model.add_wrapper_with_key("apply_model", "torch.compile", lambda executor, *a, **k: executor(*a, **k))
    model.add_wrapper_with_key("diffusion_model", "mine", lambda executor, *a, **k: executor(*a, **k))
    model.add_object_patch("model_sampling", model.get_model_object("model_sampling"))
    return model


def test_after_success(capture, sd1, model):
    with left_as_it_was(model):
        capture(sd1, model)


def test_after_success_the_plain_model_predicts_the_same(capture, sd1):
    x, t, context = torch.randn(1, 4, 16, 16), torch.tensor([300.0]), sd1.conditioning[0][0]
    before = sd1.unet(x, t, context=context)
    capture(sd1)
    assert torch.equal(sd1.unet(x, t, context=context), before)


def test_after_an_exception_inside_the_unet(capture, sd1, model):
    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory, say")

    first = capture(sd1)
    with left_as_it_was(model):
        hook = sd1.unet.output_blocks[2][0].register_forward_pre_hook(fail)
        try:
            with pytest.raises(RuntimeError, match="out of memory, say"):
                capture(sd1, model)
        finally:
            hook.remove()
    again = capture(sd1)
    assert all(torch.equal(first[grid], again[grid]) for grid in first)


def test_after_an_interrupt(capture, sd1, model):
    done: list[int] = []

    def interrupt_after_two(layers: int, _: int) -> None:
        done.append(layers)
        if layers == 2:
            comfy.model_management.interrupt_current_processing()

    first = capture(sd1)
    with (
        left_as_it_was(model),
        pytest.raises(comfy.model_management.InterruptProcessingException),
    ):
        capture(sd1, model, on_layer=interrupt_after_two)
    assert done == [1, 2]  # at once, not at the end of the step
    again = capture(sd1)
    assert all(torch.equal(first[grid], again[grid]) for grid in first)


def test_after_a_refusal_in_mid_step(pack, capture, sd1, model):
    model.set_model_attn1_patch(lambda q, k, v, options: (q[:, ::2], k, v))
    with left_as_it_was(model), pytest.raises(pack.diffseg_core.CaptureError):
        capture(sd1, model)
