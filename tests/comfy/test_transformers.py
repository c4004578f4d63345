"""Diffusion transformers: what is captured of them, on tiny random models of ComfyUI's own classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.model_sampling
import pytest
import torch
from cases import exhaustive_but
from comfy_extras import nodes_model_advanced
from comfyui_capture import capture_in_comfyui
from model_state import left_as_it_was
from transformer_checks import captured_output, check_architecture, plain_pass
from transformer_models import TINY, known, tiny_conditioning, tiny_latent, tiny_model

NAMES = [name for name in TINY if known(name)]
QUICK = [name for name in NAMES if name != "Anima"]  # whose adapter of text has its real width
# What is the same for all: the image before the text, behind it, in one stream with it, and without any.
FOUR = ["HiDream", "Flux dev", "Z-Image", "PixArt sigma"]
MOSTLY_FOUR = exhaustive_but(FOUR, QUICK)


@pytest.fixture
def capture_tiny(pack) -> Callable[..., Any]:
    """Capture a tiny model, with the usual settings unless told otherwise."""

    def run(name: str, model: Any = None, **settings: Any) -> Any:
        latent = settings.pop("latent", None)
        conditioning = settings.pop("conditioning", None) or tiny_conditioning(name)
        return capture_in_comfyui(
            pack,
            model or tiny_model(name),
            tiny_latent(name) if latent is None else latent,
            conditioning,
            **{"noise_level": 300, "noise_seed": None, **settings},
        )

    return run


def test_every_supported_transformer_is_tried(pack):
    tried = {TINY[name].config for name in TINY}
    for row in pack.nodes.comfy.transformers.TRANSFORMERS:
        assert tried & set(row.configs), row.name


@pytest.mark.parametrize("name", NAMES)
def test_the_softmax_of_the_pictures_own_tokens_is_captured(pack, name):
    check_architecture(pack, name)


@pytest.mark.parametrize("name", MOSTLY_FOUR)
def test_each_picture_of_a_batch_has_its_own_map(capture_tiny, name):
    latents = tiny_latent(name, 2)
    together = capture_tiny(name, latent=latents, layers="all")
    for image in range(2):
        alone = capture_tiny(name, latent=latents[image : image + 1], layers="all")
        atol = 1e-4 / alone.grid.tokens
        torch.testing.assert_close(together[together.grid][image], alone[alone.grid][0], rtol=1e-4, atol=atol)


@pytest.mark.parametrize("name", MOSTLY_FOUR)
def test_bfloat16_models_are_captured(capture_tiny, name):
    exact = capture_tiny(name, layers="0")
    rough = capture_tiny(name, tiny_model(name, torch.bfloat16), layers="0")
    assert rough[rough.grid].dtype == torch.float32
    assert rough.features.dtype in (torch.bfloat16, torch.float16)
    difference = (rough[rough.grid] - exact[exact.grid]).abs().sum(-1)  # 0..2 per row
    assert difference.mean() < 0.15


def shown(model: Any, run: Callable[[], Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network saw during one capture: its input, and the timestep that it was told."""
    seen: list[Any] = []
    net = model.model.diffusion_model
    hook = net.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[:2]))
    try:
        run()
    finally:
        hook.remove()
    ((x, t),) = seen
    return x, t


@pytest.mark.parametrize("level", [0, 300, 900])
@pytest.mark.parametrize("name", MOSTLY_FOUR)
def test_the_clean_latent_is_seen_at_every_noise_level(capture_tiny, name, level):
    model, latent = tiny_model(name), tiny_latent(name)
    x, _ = shown(model, lambda: capture_tiny(name, model, latent=latent, noise_level=level))
    expected = model.model.process_latent_in(latent)
    channels = expected.shape[1]  # Flux Fill's mask and image stand behind them
    torch.testing.assert_close(x[:, :channels], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Qwen-Image", "Z-Image"])
def test_the_noise_level_is_the_share_of_noise_whatever_the_shift(capture_tiny, name, shift):
    model = nodes_model_advanced.ModelSamplingAuraFlow().patch_aura(tiny_model(name), shift)[0]
    latent = tiny_latent(name)
    _, told = shown(model, lambda: capture_tiny(name, model, latent=latent, noise_level=300))
    assert told.float().item() == pytest.approx(0.3, rel=1e-3)


def test_noise_is_mixed_in_by_that_share(capture_tiny):
    model, latent = tiny_model("Flux dev"), tiny_latent("Flux dev")
    x, _ = shown(model, lambda: capture_tiny("Flux dev", model, latent=latent, noise_seed=7))
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    expected = 0.3 * noise + 0.7 * model.model.process_latent_in(latent)
    torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)


def test_cosmos_counts_the_same_share(capture_tiny):
    model, latent = tiny_model("Cosmos Predict 2"), tiny_latent("Cosmos Predict 2")
    _, told = shown(model, lambda: capture_tiny("Cosmos Predict 2", model, latent=latent, noise_level=300))
    torch.testing.assert_close(told.flatten().float(), torch.tensor([0.3]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", MOSTLY_FOUR)
def test_the_model_is_as_it_was_after_success(capture_tiny, name):
    model = tiny_model(name)
    with left_as_it_was(model), no_traces(model):
        capture_tiny(name, model)


@pytest.mark.parametrize("name", exhaustive_but(FOUR, NAMES))
def test_the_model_is_as_it_was_after_an_error(pack, capture_tiny, name):
    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory, say")

    model = tiny_model(name)
    backbone = pack.nodes.comfy.capture.backbone_of(model)
    last = list(pack.nodes.comfy.transformers.layers_of(backbone.row, backbone.net).values())[-1]
    with left_as_it_was(model), no_traces(model):
        hook = last.register_forward_pre_hook(fail)
        try:
            with pytest.raises(RuntimeError, match="out of memory, say"):
                capture_tiny(name, model, layers="all")
        finally:
            hook.remove()
    capture_tiny(name, model)


@pytest.mark.parametrize("name", MOSTLY_FOUR)
def test_the_model_is_as_it_was_after_an_interrupt(capture_tiny, name):
    model = tiny_model(name)
    done: list[int] = []

    def interrupt_after_one(layers: int, _: int) -> None:
        done.append(layers)
        comfy.model_management.interrupt_current_processing()

    with (
        left_as_it_was(model),
        no_traces(model),
        pytest.raises(comfy.model_management.InterruptProcessingException),
    ):
        capture_tiny(name, model, layers="all", on_layer=interrupt_after_one)
    assert done == [1]
    capture_tiny(name, model)


class no_traces:  # noqa: N801
    """Within it, a capture; afterwards no hook is left on the model and no global of ComfyUI's exchanged."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def globals(self) -> dict[str, Any]:
        import comfy.ldm.hydit.attn_layers
        import comfy.ldm.pixart.blocks

        modules = (comfy.ldm.hydit.attn_layers, comfy.ldm.pixart.blocks)
        return {module.__name__: module.optimized_attention for module in modules}

    def __enter__(self) -> None:
        self.before = self.globals()

    def __exit__(self, *_: Any) -> None:
        assert self.globals() == self.before
        for module in self.model.model.modules():
            assert not module._forward_pre_hooks
            assert not module._forward_hooks


@pytest.mark.parametrize(
    ("choice", "layers"),
    [("recommended", 1), ("middle third", 2), ("all", 4), ("0", 1), ("1-2", 2), (" 0, 2 - 3 ", 3)],
)
def test_blocks_choose_the_layers(capture_tiny, choice, layers):
    done: list[tuple[int, int]] = []
    capture_tiny("Flux dev", layers=choice, on_layer=lambda *progress: done.append(progress))
    assert done == [(number, layers) for number in range(1, layers + 1)]


@pytest.mark.parametrize("choice", ["", "7-9", "1-", "last", "3-1", "-1", "finest"])
def test_other_blocks_are_refused(pack, capture_tiny, choice):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Expected layers"):
        capture_tiny("Flux dev", layers=choice)


def test_recommended_blocks_of_the_released_models(pack):
    rows = pack.diffseg_core.attention.architectures.ARCHITECTURES
    assert rows["SD3 and SD3.5"].recommended.scaled(24) == range(7, 10)
    assert rows["SD3 and SD3.5"].recommended.scaled(38) == range(11, 16)
    assert rows["Flux.1"].recommended.scaled(19) == range(12, 19)
    assert rows["Flux.2"].recommended.scaled(8) == range(5, 8)


@pytest.mark.parametrize("name", MOSTLY_FOUR)
def test_features_are_the_middle_layers_output(capture_tiny, name):
    maps = capture_tiny(name, layers="0")
    assert maps.features.shape[0] == 1
    assert maps.features.shape[2:] == maps.grid
    assert maps.features.dtype == torch.float16
    assert maps.evidence == "attention"
    assert any(tensor is maps.features for tensor in maps.tensors)


def test_attention_that_all_goes_to_the_text_has_rows_that_sum_to_1(pack, capture_tiny):
    """Slicing the picture out of the whole softmax would leave zeros: float32 underflows."""
    model, conditioning = tiny_model("SD3"), tiny_conditioning("SD3")
    for block in model.model.diffusion_model.joint_blocks:
        block.context_block.attn.qkv.weight.data.mul_(300.0)
    _, calls = plain_pass(pack, model, tiny_latent("SD3"), conditioning)
    image = calls[-1].queries.shape[2] - 24
    scores = calls[-1].queries @ calls[-1].keys.transpose(2, 3) / calls[-1].queries.shape[-1] ** 0.5
    assert scores.float().softmax(-1)[..., image:, image:].sum(-1).min() == 0.0
    maps = capture_tiny("SD3", model, layers="all")
    torch.testing.assert_close(maps[maps.grid].sum(-1), torch.ones(1, 24), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Qwen-Image", "Z-Image"])
def test_an_override_of_the_user_runs_as_ever(pack, name):
    """The key is one slot: theirs is chained to, and as often as without a capture."""
    counts = []
    outputs = []
    for with_capture in (False, True):
        calls: list[int] = []

        def theirs(function: Any, *args: Any, calls: list[int] = calls, **named: Any) -> Any:
            calls.append(1)
            return function(*args, **named) * 1.01

        model = tiny_model(name)
        model.model_options["transformer_options"]["optimized_attention_override"] = theirs
        run = captured_output if with_capture else plain_pass
        outputs.append(run(pack, model, tiny_latent(name), tiny_conditioning(name))[0])
        counts.append(len(calls))
        assert model.model_options["transformer_options"]["optimized_attention_override"] is theirs
    assert counts[0] == counts[1] > 0
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", ["PixArt sigma", "HunyuanDiT"])
def test_where_comfyui_asks_no_override_a_users_own_changes_nothing(pack, name):
    def theirs(function: Any, *args: Any, **named: Any) -> Any:
        return function(*args, **named) * 0.0

    model, latent, conditioning = tiny_model(name), tiny_latent(name), tiny_conditioning(name)
    model.model_options["transformer_options"]["optimized_attention_override"] = theirs
    plain, _ = plain_pass(pack, model, latent, conditioning)
    captured, _ = captured_output(pack, model, latent, conditioning)
    assert torch.equal(captured, plain)
