"""Captures from models that other nodes have patched: right beside most, refused clearly beside the rest."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_freelunch import FreeU_V2
from comfy_extras.nodes_hypertile import HyperTile
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from comfy_extras.nodes_sag import SelfAttentionGuidance
from comfy_extras.nodes_tomesd import TomePatchModel


def same(one: Any, other: Any) -> bool:
    return all(torch.allclose(one[grid], other[grid], atol=1e-6) for grid in one)


@pytest.fixture
def forwards(sd1):
    """How often the UNet ran, as a list that grows."""
    calls: list[int] = []
    hook = sd1.unet.register_forward_hook(lambda *_: calls.append(1))
    yield calls
    hook.remove()


def test_a_lora_changes_the_maps_as_merging_it_does(capture, sd1, make_model):
    layer = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"
    up, down = torch.randn(32, 4), torch.randn(4, 32)
    lora = {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight": up,
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight": down,
    }
    patched, _ = comfy.sd.load_lora_for_models(sd1.model, None, lora, 0.5, 0.0)
    merged = make_model()
    merged.model.diffusion_model.get_submodule(layer).weight.data += 0.5 * up @ down
    plain = capture(sd1)
    with_lora = capture(sd1, patched)
    assert not same(with_lora, plain)
    assert same(with_lora, capture(sd1, merged))
    assert same(capture(sd1), plain)  # the LoRA went with its own MODEL


def test_freeu_acts(capture, sd1, forwards):
    plain = capture(sd1)
    patched = FreeU_V2.execute(sd1.model, 1.3, 1.4, 0.9, 0.2)[0]
    assert not same(capture(sd1, patched), plain)
    assert len(forwards) == 2


def test_cross_attention_patches_act(capture, sd1):
    """As IPAdapter's, which adds attention to an image's tokens."""
    used: Counter[str] = Counter()
    image = torch.randn(1, 3, 64)

    def replaced(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        used["replace"] += 1
        tokens = image.expand(len(q), -1, -1)
        text = optimized_attention(q, k, v, options["n_heads"])
        return text + optimized_attention(q, tokens, tokens, options["n_heads"])

    def patched(n: Any, context: Any, value: Any, options: dict[str, Any]) -> Any:
        used["patch"] += 1
        return n, context * 2.0, value * 2.0

    plain = capture(sd1)
    model = sd1.model.clone()
    model.set_model_attn2_replace(replaced, "input", 3)
    with_replacement = capture(sd1, model)
    model.set_model_attn2_patch(patched)
    with_both = capture(sd1, model)
    assert used == {"replace": 2, "patch": 10}
    assert not same(with_replacement, plain)
    assert not same(with_both, with_replacement)


@pytest.mark.parametrize(
    "guide",
    [
        lambda model: PerturbedAttentionGuidance.execute(model, 3.0)[0],
        lambda model: SelfAttentionGuidance.execute(model, 0.5, 2.0)[0],
    ],
    ids=["PAG", "SAG"],
)
def test_guidance_is_left_out_so_that_the_model_runs_once(capture, sd1, forwards, guide):
    plain = capture(sd1)
    forwards.clear()
    assert same(capture(sd1, guide(sd1.model)), plain)
    assert len(forwards) == 1


def test_hypertile_is_refused_by_the_layer_that_it_folds(pack, capture, sd1):
    model = HyperTile.execute(sd1.model, 32, 2, 0, False)[0]
    with pytest.raises(
        pack.diffseg_core.CaptureError,
        match=r"keys as queries at input block 1, transformer 0, got 256 and \d+\. .*HyperTile",
    ):
        capture(sd1, model)


def test_hypertile_is_let_be_where_it_folds_nothing(capture, sd1):
    model = HyperTile.execute(sd1.model, 256, 2, 0, False)[0]
    assert same(capture(sd1, model), capture(sd1))


def test_tome_is_refused_by_the_layer_that_it_merges(pack, capture, sd1):
    model = TomePatchModel.execute(sd1.model, 0.3)[0]
    with pytest.raises(
        pack.diffseg_core.CaptureError,
        match=r"keys as queries at input block 1, transformer 0, got 256 and 180\. .*ToMe",
    ):
        capture(sd1, model)


def test_reference_attention_is_refused_by_the_layer_that_it_widens(pack, capture, sd1):
    model = sd1.model.clone()
    model.set_model_attn1_patch(lambda q, k, v, options: (q, torch.cat((k, k), 1), torch.cat((v, v), 1)))
    with pytest.raises(pack.diffseg_core.CaptureError, match=r"got 512 and 256\. .*reference attention"):
        capture(sd1, model)


def test_an_attention_override_keeps_the_cross_attention(capture, sd1):
    keys: list[int] = []

    def override(function: Any, q: Any, k: Any, v: Any, heads: int, *rest: Any, **named: Any) -> Any:
        keys.append(k.shape[1])
        return function(q, k, v, heads, *rest, **named)

    model = sd1.model.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = override
    assert same(capture(sd1, model), capture(sd1))
    assert keys == [sd1.conditioning[0][0].shape[1]] * 10  # ten transformer blocks, no self-attention


def test_a_wrapper_that_runs_the_model_twice_is_refused(pack, capture, sd1):
    model = sd1.model.clone()

    def twice(apply_model: Any, arguments: dict[str, Any]) -> torch.Tensor:
        apply_model(arguments["input"], arguments["timestep"], **arguments["c"])
        return apply_model(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(twice)
    with pytest.raises(
        pack.diffseg_core.CaptureError, match=r"input block 1, transformer 0 to run once, but it ran again"
    ):
        capture(sd1, model)


def test_a_wrapper_that_skips_the_model_is_refused(pack, capture, sd1):
    model = sd1.model.clone()
    model.set_model_unet_function_wrapper(lambda apply_model, arguments: torch.zeros_like(arguments["input"]))
    with pytest.raises(
        pack.diffseg_core.CaptureError,
        match=r"all 10 attention layers .* but input block 1, transformer 0 did not \(10 missing\)",
    ):
        capture(sd1, model)


def test_a_whole_block_replacement_of_self_attention_gives_way(capture, sd1):
    """PAG-like nodes of other packs patch a block without naming the transformer in it."""
    model = sd1.model.clone()
    model.set_model_attn1_replace(lambda q, k, v, options: v, "middle", 0)
    assert same(capture(sd1, model), capture(sd1))


FOR_16 = torch.zeros(1, 32, 16, 16)  # as features of an image at 128×128


def add_features(h: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    """As Fooocus' inpainting: features of a latent of one size, added to the first block."""
    return h + FOR_16 if options["block"][1] == 0 else h


class AddFeatures:
    """The same as an object."""

    def __call__(self, h: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        return add_features(h, options)


def as_function(model: Any) -> None:
    model.set_model_input_block_patch(add_features)


def as_object(model: Any) -> None:
    model.set_model_input_block_patch(AddFeatures())


def as_partial(model: Any) -> None:
    model.set_model_input_block_patch(partial(add_features))


def as_attention(model: Any) -> None:
    def widened(q: Any, k: Any, v: Any, options: dict[str, Any]) -> Any:
        return q + torch.zeros(1, 256, 32), k, v

    model.set_model_attn2_patch(widened)


def as_function_wrapper(model: Any) -> None:
    def concatenated(apply_model: Any, arguments: dict[str, Any]) -> torch.Tensor:
        x = torch.cat((arguments["input"], torch.zeros(len(arguments["input"]), 4, 16, 16)), 1)
        return apply_model(x, arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(concatenated)


def as_wrapper(model: Any) -> None:
    def concatenated(executor: Any, x: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        return executor(torch.cat((x, torch.zeros(len(x), 4, 16, 16)), 1)[:, :4], *rest, **named)

    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "layers", concatenated)


def as_object_patch(model: Any) -> None:
    block = model.model.diffusion_model.input_blocks[0][0]

    def forward(x: torch.Tensor) -> torch.Tensor:
        return type(block).forward(block, x) + FOR_16

    model.add_object_patch("diffusion_model.input_blocks.0.0.forward", forward)


def test_a_patch_for_another_latent_size_is_named(pack, capture, sd1):
    for patch, name in (
        (as_function, "input_block_patch add_features"),
        (as_object, "input_block_patch AddFeatures"),
        (as_partial, "input_block_patch add_features"),
        (as_attention, "attn2_patch as_attention.widened"),
        (as_function_wrapper, "model_function_wrapper as_function_wrapper.concatenated"),
        (as_wrapper, "diffusion_model_wrapper as_wrapper.concatenated"),
        (as_object_patch, "input_blocks.0.0.forward as_object_patch.forward"),
    ):
        model = sd1.model.clone()
        patch(model)
        with pytest.raises(
            pack.diffseg_core.CaptureError,
            match=rf"fit a latent of 8×12, got “[^”]+” from \S*{name} of \S*test_patches\. A patch made",
        ) as caught:
            capture(sd1, model, torch.randn(1, 4, 8, 12))
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert "connect the model before that patch" in str(caught.value)


def test_such_a_patch_acts_at_its_own_size(capture, sd1):
    model = sd1.model.clone()
    as_function(model)
    latent = torch.randn(1, 4, 16, 16)
    assert same(capture(sd1, model, latent), capture(sd1, latent=latent))


def test_what_fails_after_a_patch_names_all_of_them(pack, capture, sd1):
    model = sd1.model.clone()
    model.set_model_input_block_patch(lambda h, options: h[:, :-1] if options["block"][1] == 2 else h)
    model.set_model_output_block_patch(lambda h, skip, options: (h, skip))
    conditioning = [[sd1.conditioning[0][0], {"concat_latent_image": torch.zeros(1, 4, 8, 8)}]]
    names = r"input_block_patch \S+ of \S+ or output_block_patch \S+ of \S+ or the conditioning's concat"
    with pytest.raises(pack.diffseg_core.CaptureError, match=names):
        capture(sd1, model, conditioning=conditioning)


@pytest.mark.parametrize("message", ["CUDA out of memory: tried a size of 2 GB", "the disk is full"])
def test_other_failures_in_a_patch_go_through(capture, sd1, message):
    def fail(*_: Any) -> None:
        raise RuntimeError(message)

    model = sd1.model.clone()
    model.set_model_input_block_patch(fail)
    with pytest.raises(RuntimeError, match=message):
        capture(sd1, model)


def test_an_adapters_own_block_is_not_taken_for_one_of_the_unets(capture, sd1):
    """It calls the patches of self-attention outputs too, and does not say which block it is."""
    plain, model, called = capture(sd1), sd1.model.clone(), []

    def adapter(executor: Any, x: torch.Tensor, *args: Any, **named: Any) -> Any:
        for patch in args[-1]["patches"]["attn1_output_patch"]:
            called.append(patch(torch.randn(2, 16, 32), {"n_heads": 4, "dim_head": 8}))
        return executor(x, *args, **named)

    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "adapter", adapter)
    found = capture(sd1, model)
    assert called
    assert all(torch.equal(found[grid], plain[grid]) for grid in plain)
    assert torch.equal(found.features, plain.features)
