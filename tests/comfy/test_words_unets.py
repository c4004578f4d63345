"""Words read from a UNet: the queries that a capture keeps, and the keys that it makes of the words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.supported_models
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale
from comfyui_capture import capture_in_comfyui, model_inputs
from model_shapes import SHAPES, bare_model
from unet_configs import SMALLEST_UNET
from word_clips import word_clip

CPU = torch.device("cpu")
CLIPS = {"sd1": "SD 1", "sd2-v": "SD 2", "sdxl": "SDXL"}
WORDS = "cup, mug\ntraffic light\n!hand"
KEPT = {
    # Level 1 and 2 of four; of SDXL's class the up blocks at the coarsest.
    "sd1": ["input 3.0", "input 5.0", "output 2.0", "output 3.0", "output 4.0", "output 5.0"],
    "sd2-v": ["input 3.0", "input 5.0", "output 2.0", "output 3.0", "output 4.0", "output 5.0"],
    "sdxl": [f"output {block}.{index}" for block in (0, 1) for index in (0, 1, 2)],
}


@pytest.fixture(scope="module")
def clips() -> Callable[[str], Any]:
    """The CLIP that belongs to a small model, each made once."""
    made: dict[str, Any] = {}

    def clip(name: str) -> Any:
        if name not in made:
            with torch.inference_mode():
                made[name] = word_clip(CLIPS[name])
        return made[name]

    return clip


def unet(name: str, dtype: torch.dtype = torch.float32) -> Any:
    """A small MODEL whose text is as wide as its CLIP's."""
    width = 48 if name == "sdxl" else 32
    shape = replace(SHAPES[name], unet_config={**SHAPES[name].unet_config, "context_dim": width})
    return drawn(bare_model(shape, dtype, CPU, CPU))


def drawn(model: Any) -> Any:
    """The MODEL with random weights, the same each time."""
    generator = torch.Generator().manual_seed(4)
    for name, weight in model.model.diffusion_model.named_parameters():
        gain = 9.0 if ".attn2.to_q" in name else 3.0 if ".to_q" in name else 1.0  # attention is uneven
        spread = weight[0].numel() ** -0.5 * gain if weight.ndim > 1 else 0.1
        one = 1.0 if weight.ndim == 1 and name.endswith("weight") else 0.0
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * spread + one)
    return model


def latent(images: int = 1) -> torch.Tensor:
    return torch.randn(images, 4, 16, 24, generator=torch.Generator().manual_seed(6))


@pytest.fixture
def captured(pack) -> Callable[..., Any]:
    """A captured attention as the node gives it."""

    def run(model: Any, conditioning: Any, samples: Any = None, **settings: Any) -> Any:
        samples = latent() if samples is None else samples
        maps = capture_in_comfyui(
            pack, model, samples, conditioning, noise_level=300, noise_seed=None, **settings
        )
        types = pack.nodes.types
        return types.CapturedAttention(
            maps, pack.diffseg_core.GridSize(128, 192), model_inputs(pack, model, samples)
        )

    return run


@pytest.fixture
def read(pack) -> Callable[..., Any]:
    def run(model: Any, clip: Any, attention: Any, words: str = WORDS) -> Any:
        lines = pack.diffseg_core.words.lines.parse_words(words)
        return pack.nodes.comfy.words.read_words(model, clip, attention, lines)

    return run


@pytest.fixture
def words_conditioning(pack) -> Callable[..., Any]:
    """The conditioning of the very prompt that words are made into."""

    def run(clip: Any, words: str = WORDS) -> Any:
        module = pack.diffseg_core.words.lines
        pieces = module.prompt_of(module.parse_words(words))
        text = "".join(f"({each.text}:1)" if each.is_content else each.text for each in pieces)
        return clip.encode_from_tokens_scheduled(clip.tokenize(text))

    return run


def cross_attention(net: Any, name: str) -> Any:
    block, _, index = name.partition(".")
    part, _, number = block.partition(" ")
    modules = getattr(net, f"{part}_blocks")[int(number)]
    transformer = next(module for module in modules if hasattr(module, "transformer_blocks"))
    return transformer.transformer_blocks[int(index)].attn2


@contextmanager
def projected(net: Any, names: list[str]) -> Iterator[dict[str, tuple[Any, Any]]]:
    """While open, what the layers project in a pass: queries and keys, float64, by name."""
    found: dict[str, Any] = {name: [None, None] for name in names}
    handles = []
    for name in names:
        attention = cross_attention(net, name)
        for place, module in enumerate((attention.to_q, attention.to_k)):

            def keep(_: Any, __: Any, output: Any, name: str = name, place: int = place) -> None:
                found[name][place] = output.double()

            handles.append(module.register_forward_hook(keep))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def defined(net: Any, projections: dict[str, Any], grids: dict[str, Any], rounded: bool) -> torch.Tensor:
    """Layers of a grid averaged, the coarser with 0.7 and the finer with 0.3, on the finer: in float64."""
    by_grid: dict[Any, list[torch.Tensor]] = {}
    for name, (q, k) in projections.items():
        heads = cross_attention(net, name).heads
        if rounded:
            q = q.half().double()
        q, k = (each.unflatten(2, (heads, -1)).transpose(1, 2) for each in (q, k))
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1).mean(1)
        by_grid.setdefault(grids[name], []).append(weights)
    coarse, *finer = sorted(by_grid, key=lambda grid: grid[0] * grid[1])
    mean = {grid: torch.stack(maps).mean(0) for grid, maps in by_grid.items()}
    if not finer:
        return mean[coarse]
    (fine,) = finer
    image = mean[coarse].transpose(1, 2).unflatten(2, tuple(coarse))
    larger = torch.nn.functional.interpolate(image, size=tuple(fine), mode="bilinear")
    return 0.7 * larger.flatten(2).transpose(1, 2) + 0.3 * mean[fine]


@pytest.mark.parametrize("name", list(CLIPS))
def test_kept_queries_give_the_attention_of_the_same_pass(clips, captured, read, words_conditioning, name):
    model, clip = unet(name), clips(name)
    net = model.model.diffusion_model
    with projected(net, KEPT[name]) as projections:
        attention = captured(model, words_conditioning(clip), latent(2))
    assert [each.layer for each in attention.maps.queries] == KEPT[name]
    grids = {each.layer: each.grid for each in attention.maps.queries}
    found = read(model, clip, attention).attention
    assert found.grid == max(grids.values(), key=lambda grid: grid.tokens)
    assert found.maps.shape == (2, found.grid.tokens, 77)
    exact, half = (defined(net, projections, grids, rounded) for rounded in (False, True))
    assert exact.std(1).max() > 0.003, "places differ"
    torch.testing.assert_close(found.maps.double(), half, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.maps.double(), exact, rtol=2e-3, atol=1e-5)  # half: three digits


@pytest.mark.parametrize("name", list(CLIPS))
def test_the_queries_of_an_empty_prompt_are_read_with_the_words_keys(
    clips, captured, read, words_conditioning, name
):
    model, clip = unet(name), clips(name)
    net = model.model.diffusion_model
    with projected(net, KEPT[name]) as empty:
        attention = captured(model, clip.encode_from_tokens_scheduled(clip.tokenize("")))
    with projected(net, KEPT[name]) as words:
        captured(model, words_conditioning(clip))
    grids = {each.layer: each.grid for each in attention.maps.queries}
    mixed = {layer: (empty[layer][0], words[layer][1]) for layer in KEPT[name]}
    found = read(model, clip, attention).attention.maps.double()
    torch.testing.assert_close(found, defined(net, mixed, grids, True), rtol=1e-4, atol=1e-6)
    # What a second pass would have said is another thing: the text has changed what the layers see.
    assert (found - defined(net, words, grids, True)).abs().max() > 1e-4


def smallest() -> Any:
    made = comfy.supported_models.SD15({**SMALLEST_UNET, "dtype": torch.float32}).get_model({}, "", CPU)
    return drawn(comfy.model_patcher.ModelPatcher(made, CPU, CPU))


def test_only_the_first_layers_queries_are_the_same_whatever_the_text(clips, captured, words_conditioning):
    model, clip = smallest(), clips("sd1")
    empty, words = (
        captured(model, conditioning).maps.queries
        for conditioning in (clip.encode_from_tokens_scheduled(clip.tokenize("")), words_conditioning(clip))
    )
    assert [each.layer for each in empty] == [f"input {n}.0" for n in (1, 3)] + [
        f"output {n}.0" for n in range(4)
    ]
    assert torch.equal(empty[0].queries, words[0].queries)
    for one, other in zip(empty[1:], words[1:], strict=True):
        assert (one.queries - other.queries).abs().max() > 1e-3


def test_words_run_no_diffusion_model(clips, captured, read):
    model, clip = unet("sd1"), clips("sd1")
    attention = captured(model, clip.encode_from_tokens_scheduled(clip.tokenize("")))
    ran: list[Any] = []
    hook = model.model.diffusion_model.register_forward_pre_hook(lambda *_: ran.append(1))
    try:
        read(model, clip, attention)
    finally:
        hook.remove()
    assert not ran


def test_the_places_are_those_of_the_words(pack, clips, captured, read):
    model, clip = unet("sd1"), clips("sd1")
    attention = captured(model, clip.encode_from_tokens_scheduled(clip.tokenize("")))
    found = read(model, clip, attention)
    # start, a, photograph, of, cup, ",", mug, ",", traffic, light, ",", hand, ",", other, objects, ...
    assert found.places.lines == (((4,), (6,)), ((8, 9),), ((11,),))
    assert [line.name for line in found.lines] == ["cup", "traffic light", "hand"]


@pytest.mark.parametrize("weight", ["to_k", "to_q"])
def test_a_lora_counts(clips, captured, read, weight):
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    plain = read(model, clip, captured(model, empty)).attention.maps
    name = f"diffusion_model.output_blocks.5.1.transformer_blocks.0.attn2.{weight}.weight"
    original = dict(model.model.named_parameters())[name].clone()
    change = torch.randn(original.shape, generator=torch.Generator().manual_seed(9)) * original.std()
    lora = model.clone()
    lora.add_patches({name: ("diff", (change,))})
    patched = read(lora, clip, captured(lora, empty)).attention.maps
    assert (patched - plain).abs().max() > 1e-4
    # As if the weights were those of the model from the start.
    other = unet("sd1")
    dict(other.model.named_parameters())[name].data.add_(change)
    torch.testing.assert_close(patched, read(other, clip, captured(other, empty)).attention.maps)
    # And the model without it is as it was.
    assert torch.equal(read(model, clip, captured(model, empty)).attention.maps, plain)


@pytest.mark.parametrize("name", list(CLIPS))
def test_each_image_of_a_batch_has_its_own(clips, captured, read, name):
    model, clip = unet(name), clips(name)
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    together = read(model, clip, captured(model, empty, latent(2))).attention.maps
    for image in range(2):
        alone = read(model, clip, captured(model, empty, latent(2)[image : image + 1])).attention.maps
        torch.testing.assert_close(together[image], alone[0], rtol=1e-2, atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_models_in_half_precision_are_read(clips, captured, read, dtype):
    clip = clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    exact = read(unet("sd1"), clip, captured(unet("sd1"), empty)).attention.maps
    model = unet("sd1", dtype)
    attention = captured(model, empty)
    assert {each.queries.dtype for each in attention.maps.queries} == {dtype}
    found = read(model, clip, attention).attention.maps
    assert found.dtype == torch.float32
    assert (found - exact).abs().sum(-1).mean() < 0.1  # 0..2 a row


def test_words_are_read_from_a_model_whose_parts_are_compiled(clips, captured, read):
    model, clip = unet("sd1"), clips("sd1")
    prompt = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    expected = read(model, clip, captured(model, prompt)).attention.maps
    compiled = model.clone()
    for part in ("input_blocks.5.1.transformer_blocks.0", "output_blocks.3.1.transformer_blocks.0.attn2"):
        path = f"diffusion_model.{part}"
        compiled.add_object_patch(path, torch.compile(model.get_model_object(path), backend="eager"))
    for _ in range(2):  # the first reading puts the compiled parts in their places
        found = read(compiled, clip, captured(compiled, prompt)).attention.maps
        torch.testing.assert_close(found, expected)
    torch.compiler.reset()


@pytest.mark.parametrize("name", list(CLIPS))
def test_the_models_output_is_the_same_to_the_bit(pack, clips, captured, name, monkeypatch):
    model, clip = unet(name), clips(name)
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    outputs: list[torch.Tensor] = []
    net = model.model.diffusion_model
    hook = net.register_forward_hook(lambda module, arguments, output: outputs.append(output.clone()))
    try:
        captured(model, empty)
        with monkeypatch.context() as without:
            keeping = pack.diffseg_core.attention.query_keeping
            without.setattr(keeping, "layers_to_keep", lambda *_: [])
            assert captured(model, empty).maps.queries == ()
    finally:
        hook.remove()
    assert torch.equal(*outputs)


def test_no_more_queries_are_kept_than_cost_little(pack, clips, captured, monkeypatch):
    model, clip = unet("sdxl"), clips("sdxl")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))

    def names() -> list[str]:
        return [each.layer for each in captured(model, empty).maps.queries]

    assert names() == KEPT["sdxl"]
    one = 4 * 6 * 128 * 2  # tokens, numbers, bytes of a layer's queries for one image
    monkeypatch.setattr(pack.diffseg_core.attention.query_keeping, "MOST_BYTES", 2 * one)
    assert names() == [KEPT["sdxl"][1], KEPT["sdxl"][4]]


def no_hooks(model: Any) -> bool:
    return not any(
        module._forward_hooks or module._forward_pre_hooks for module in model.model.diffusion_model.modules()
    )


def test_no_hook_is_left_after_success_an_error_or_an_interrupt(clips, captured):
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    captured(model, empty)
    assert no_hooks(model)

    def interrupt(done: int, _: int) -> None:
        if done == 4:
            comfy.model_management.interrupt_current_processing()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        captured(model, empty, on_layer=interrupt)
    assert no_hooks(model)

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    failing = model.clone()
    failing.set_model_output_block_patch(fail)
    with pytest.raises(ZeroDivisionError):
        captured(failing, empty)
    assert no_hooks(model)


def test_reading_can_be_interrupted_between_layers(pack, clips, captured):
    model, clip = unet("sd1"), clips("sd1")
    attention = captured(model, clip.encode_from_tokens_scheduled(clip.tokenize("")))
    done: list[int] = []

    def interrupt(count: int, total: int) -> None:
        done.append(count)
        assert total == len(KEPT["sd1"])
        comfy.model_management.interrupt_current_processing()

    lines = pack.diffseg_core.words.lines.parse_words("cup")
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        pack.nodes.comfy.words.read_words(model, clip, attention, lines, interrupt)
    assert done == [1]


def test_patches_of_others_at_the_same_layers_still_act(clips, captured):
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    plain = captured(model, empty).maps.queries
    patched, seen = model.clone(), []

    def attend(q: Any, k: Any, v: Any, options: Any) -> Any:
        seen.append(options["block"])
        return torch.zeros_like(q)

    patched.set_model_attn2_replace(attend, "input", 3)
    found = captured(patched, empty).maps.queries
    assert seen == [("input", 3)]
    assert torch.equal(found[0].queries, plain[0].queries)  # asked before the patch answers
    assert not torch.equal(found[1].queries, plain[1].queries)


def test_queries_have_the_grid_that_a_patch_shrunk_them_to(clips, captured, read):
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    shrunk = PatchModelAddDownscale.execute(model, 3, 2.0, 0.0, 1.0, True, "bicubic", "bicubic")[0]
    usual, fewer = (captured(each, empty).maps.queries[1] for each in (model, shrunk))
    assert (tuple(usual.grid), tuple(fewer.grid)) == ((4, 6), (2, 3))
    found = read(shrunk, clip, captured(shrunk, empty)).attention
    assert tuple(found.grid) == tuple(captured(shrunk, empty).maps.queries[0].grid)
    torch.testing.assert_close(found.maps.sum(-1), torch.ones(1, found.grid.tokens))


def test_queries_of_a_layer_that_runs_twice_are_done_without(clips, captured, caplog):
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    plain = captured(model, empty).maps
    attention = cross_attention(model.model.diffusion_model, "input 5.0")
    again = attention.register_forward_pre_hook(_twice)
    try:
        maps = captured(model, empty).maps
    finally:
        again.remove()
    assert no_hooks(model)
    assert maps.queries == ()
    assert "expected input 5.0 to run once" in caplog.text
    assert all(torch.equal(maps[grid], plain[grid]) for grid in plain)


def test_captures_that_other_packs_patches_allowed_go_on_without_queries(clips, captured):
    """Attention for several prompts repeats queries; a function may stand in a projection's place."""
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))

    def repeat(n: Any, context: Any, value: Any, options: Any) -> Any:
        return tuple(each.repeat(2, 1, 1) for each in (n, context, value))

    def halve(n: torch.Tensor, options: Any) -> torch.Tensor:
        return n[: len(n) // 2]

    several = model.clone()
    several.set_model_attn2_patch(repeat)
    several.set_model_attn2_output_patch(halve)
    maps = captured(several, empty).maps
    assert maps.queries == ()
    attention = cross_attention(model.model.diffusion_model, "input 3.0")
    projection = attention.to_q
    del attention.to_q
    attention.to_q = lambda x: projection(x)
    assert captured(model, empty).maps.queries == ()


def test_what_patches_exchange_counts_whatever_model_was_in_memory(clips, captured, read):
    model, clip = unet("sd1"), clips("sd1")
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    attention = captured(model, empty)
    name = "diffusion_model.output_blocks.3.1.transformer_blocks.0.attn2.to_k"
    original = model.get_model_object(name)
    exchanged = torch.nn.Linear(original.in_features, original.out_features, bias=False)
    exchanged.weight.data.copy_(3.0 * original.weight)
    patched = model.clone()
    patched.add_object_patch(name, exchanged)
    with torch.inference_mode():
        plain = read(model, clip, attention).attention.maps
        changed = read(patched, clip, attention).attention.maps
        again = read(model, clip, attention).attention.maps
        changed_again = read(patched, clip, attention).attention.maps
    assert torch.equal(plain, again)
    assert (changed - plain).abs().max() > 1e-3
    assert torch.equal(changed, changed_again)


def _twice(module: Any, arguments: Any) -> None:
    module.to_q(arguments[0])


def test_attention_without_queries_says_how_to_get_them(pack, clips, captured, read):
    model, clip = unet("sd1"), clips("sd1")
    attention = captured(model, clip.encode_from_tokens_scheduled(clip.tokenize("")))
    attention.maps.queries = ()
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="capture again without them"):
        read(model, clip, attention)


def test_attention_of_another_model_is_refused(pack, clips, captured, read):
    core = pack.diffseg_core
    attention = captured(unet("sd1"), clips("sd1").encode_from_tokens_scheduled(clips("sd1").tokenize("")))
    with pytest.raises(core.InvalidSettingError, match="captured from SDXL, got from SD15"):
        read(unet("sdxl"), clips("sdxl"), attention)
    without_step = type(attention)(attention.maps, attention.image_size)
    with pytest.raises(core.CaptureError, match=r"a model with the layer input 5\.0, .* got one without"):
        read(smallest(), clips("sd1"), without_step)


def test_the_clip_of_another_model_and_none_are_refused(pack, clips, captured, read):
    model = unet("sd1")
    attention = captured(model, clips("sd1").encode_from_tokens_scheduled(clips("sd1").tokenize("")))
    with pytest.raises(
        pack.diffseg_core.InvalidSettingError, match=r"\[1, tokens, 32\] .* got \[1, 77, 48\]"
    ):
        read(model, clips("sdxl"), attention)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Expected a CLIP, got none"):
        read(model, None, attention)


def test_the_node_keeps_queries_and_what_the_model_was_shown(pack, run_capture, sd1):
    samples = {"samples": latent(2), "batch_index": [3, 1]}
    attention = run_capture(latent=samples, input_mode="noised latent", noise_seed=5)
    step = attention.step
    assert (step.architecture, step.noise_level, step.batch_index) == ("SD15", 300, [3, 1])
    assert step.settings.noise_seed == 5
    assert torch.equal(step.latents, samples["samples"])
    assert [each.layer for each in attention.maps.queries] == KEPT["sd1"]
    held = [each for part in attention if isinstance(part, list | tuple) for each in part]
    assert any(each is step.latents for each in held), "the host sees it"
    assert all(any(query.queries is each for each in held) for query in attention.maps.queries)
    assert run_capture(latent=samples).step.settings.noise_seed is None


SD15 = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth_middle": 1,
    "num_heads": 8,
    "context_dim": 768,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "use_spatial_transformer": True,
    "legacy": False,
}
SDXL = {
    **SD15,
    "num_res_blocks": [2, 2, 2],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "channel_mult": [1, 2, 4],
    "transformer_depth_middle": 10,
    "num_heads": -1,
    "num_head_channels": 64,
    "context_dim": 2048,
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "use_linear_in_transformer": True,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
}


@pytest.mark.parametrize(
    ("config", "side", "kept", "megabytes"),
    [(SD15, 64, 10, 9.8), (SDXL, 128, 24, 62.9)],
)
def test_what_real_models_keep(pack, config, side, kept, megabytes):
    real = UNetModel(**config, device="meta", operations=comfy.ops.disable_weight_init)
    every = pack.nodes.comfy.unet.cross_attention_layers(real)
    keeping = pack.diffseg_core.attention.query_keeping
    chosen = keeping.layers_to_keep(every, config is SDXL, pack.diffseg_core.GridSize(side, side))
    assert len(chosen) == kept
    size = sum((side >> layer.level) ** 2 * layer.width * 2 for layer in chosen)
    assert size / 1e6 == pytest.approx(megabytes, abs=0.05)
    assert {layer.level for layer in chosen} == ({2} if config is SDXL else {1, 2})
