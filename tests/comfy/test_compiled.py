"""Models that were compiled are captured as if they were not, in every way in which nodes compile them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete, ModelSamplingSD3
from comfyui_capture import capture_in_comfyui
from model_state import left_as_it_was
from transformer_models import tiny_conditioning, tiny_latent, tiny_model

# Parts that nodes compile one by one: the blocks of a transformer, of a UNet what is in them.
PARTS = {
    "Flux dev": ("double_blocks.0", "double_blocks.1", "single_blocks.0", "single_blocks.1"),
    "Qwen-Image": ("transformer_blocks.0", "transformer_blocks.1"),
    "sd1": (
        *("input_blocks.1.1.transformer_blocks.0", "input_blocks.5.1.transformer_blocks.0"),
        *("middle_block.1.transformer_blocks.0.attn1", "output_blocks.3.1.transformer_blocks.0.attn2"),
    ),
}


def never(*_: Any) -> None:
    raise AssertionError("the compiled model ran")


def compiled(module: Any, **options: Any) -> Any:
    return torch.compile(module, backend=never, **options)


def whole(model: Any, parts: list[str]) -> None:
    model.add_object_patch("diffusion_model", compiled(model.get_model_object("diffusion_model")))


def one_by_one(model: Any, parts: list[str], **options: Any) -> None:
    for part in parts:
        model.add_object_patch(part, compiled(model.get_model_object(part), **options))


def functions(model: Any, parts: list[str]) -> None:
    for part in parts:
        model.add_object_patch(f"{part}.forward", compiled(model.get_model_object(part).forward))


def in_place(model: Any, parts: list[str]) -> None:
    for part in parts:
        model.get_model_object(part).compile(backend=never)


WAYS: dict[str, Callable[[Any, list[str]], None]] = {
    "ComfyUI's wrapper": lambda model, parts: set_torch_compile_wrapper(model, never),
    "ComfyUI's wrapper of parts": lambda model, parts: set_torch_compile_wrapper(model, never, keys=parts),
    "a patch": whole,
    "patches of parts": one_by_one,
    "patches of parts, with fullgraph": lambda model, parts: one_by_one(model, parts, fullgraph=True),
    "patches of functions": functions,
    "in place": in_place,
}


@pytest.mark.parametrize("name", PARTS)
def test_a_compiled_model_is_captured_as_it_is_uncompiled(pack, sd1, make_model, name):
    if name == "sd1":
        model, conditioning = make_model(), sd1.conditioning
        latent = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(5))
    else:
        model, conditioning, latent = tiny_model(name), tiny_conditioning(name), tiny_latent(name)
    # With a sampling that a node has set, and LoRA: neither may get lost beside what was compiled.
    sampling = (ModelSamplingDiscrete(), "lcm", False) if name == "sd1" else (ModelSamplingSD3(), 3.0)
    model = sampling[0].patch(model, *sampling[1:])[0]
    weights = model.model_state_dict()
    adapted = next(key for key in weights if key.endswith(("to_q.weight", "qkv.weight")))
    model.add_patches({adapted: ("diff", (torch.ones_like(weights[adapted]) / 8,))})

    def capture(model: Any) -> tuple[list[torch.Tensor], int]:
        maps = capture_in_comfyui(
            pack, model, latent, conditioning, noise_level=300, noise_seed=None, layers="all"
        )
        return [*(maps[grid] for grid in maps), maps.features], len(maps.queries)

    def assert_same(model: Any, way: str) -> None:
        tensors, queries = capture(model)
        assert queries == expected[1], way
        for found, right in zip(tensors, expected[0], strict=True):
            assert torch.allclose(found, right, atol=1e-6), way

    expected = capture(model)
    for way, compile_by in WAYS.items():
        one = model.clone()
        compile_by(one, [f"diffusion_model.{part}" for part in PARTS[name]])
        assert_same(one, way)
        with left_as_it_was(one):  # once more after the compiled parts were in place
            assert_same(one, way)
    torch.compiler.reset()


def test_where_pytorch_is_too_old_to_run_it_uncompiled_a_compiled_model_is_refused(
    pack, sd1, capture, monkeypatch
):
    monkeypatch.setattr(pack.nodes.comfy.capture, "RUNS_UNCOMPILED", False)
    for way in ("a patch", "patches of parts"):
        model = sd1.model.clone()
        WAYS[way](model, ["diffusion_model.input_blocks.1.1.transformer_blocks.0"])
        with pytest.raises(
            pack.diffseg_core.UnsupportedModelError, match="before the compile node, or use PyTorch"
        ):
            capture(sd1, model)
