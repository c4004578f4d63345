"""Words read from models in which text and image run together: one more step, and its attention to text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import pytest
import torch
from comfyui_capture import model_inputs
from model_state import left_as_it_was
from transformer_checks import calls_of, plain_pass
from transformer_models import TINY, known, make, tiny_latent, tiny_model
from word_clips import word_clip

WORDS = "cup, mug\ntraffic light\n!hand"
# Tiny models, and the CLIPs whose text is as wide as theirs.
CLIPS = {
    "SD3": "SD3",
    "SD3.5 Medium": "SD3",
    "Flux dev": "Flux",
    "Flux schnell": "Flux",
    "Chroma": "Chroma",
    "Qwen-Image": "Qwen-Image",
}
SD3_TEXT = {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 128}}


@pytest.fixture(scope="module")
def clips() -> Callable[[str], Any]:
    """CLIPs by the tiny model's name, each made once."""
    made: dict[str, Any] = {}

    def clip(name: str) -> Any:
        kind = CLIPS[name]
        if kind not in made:
            with torch.inference_mode():
                made[kind] = word_clip(kind)
        return made[kind]

    return clip


def model_of(name: str, dtype: torch.dtype = torch.float32) -> Any:
    """The tiny model; SD3's with the width of text that its CLIP always has."""
    if CLIPS[name] != "SD3":
        return tiny_model(name, dtype)
    config = {**TINY[name].unet_config, "context_embedder_config": SD3_TEXT, "adm_in_channels": 64}
    return make(TINY[name].config, config, dtype, **TINY[name].extra_config)


@pytest.fixture
def read(pack) -> Callable[..., Any]:
    """Words read from a tiny model, and the conditioning that it was shown."""

    def run(
        name: str, clip: Any, model: Any = None, words: str = WORDS, images: int = 1, **named: Any
    ) -> Any:
        model = model or model_of(name)
        module, types = pack.diffseg_core.words.lines, pack.nodes.types
        lines = module.parse_words(WORDS)
        samples = tiny_latent(name, images)
        step = model_inputs(pack, model, samples, **{"layers": "all", **named})
        maps = pack.diffseg_core.AttentionMaps({(2, 2): torch.full((images, 4, 4), 0.25)})
        attention = types.CapturedAttention(maps, pack.diffseg_core.GridSize(64, 96), step)
        found = pack.nodes.comfy.words.read_words(model, clip, attention, lines)
        return found, pack.nodes.comfy.words.encode_pieces(clip, module.prompt_of(lines))

    return run


def text_columns(call: Any, text: int) -> torch.Tensor:
    """What the image's queries, behind the text, pay to it: float64 by the whole softmax's definition."""
    q, k = call.queries[:, :, text:], call.keys
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5
    return scores.softmax(-1)[..., :text].mean(1)


@pytest.mark.parametrize("name", list(CLIPS))
def test_attention_to_the_text_is_that_of_the_whole_softmax(pack, clips, read, name):
    model, clip = model_of(name), clips(name)
    found, conditioning = read(name, clip, model)
    text = conditioning[0][0].shape[1]
    _, calls = plain_pass(pack, model, tiny_latent(name), conditioning)
    layers = calls_of(pack, model, calls)
    expected = torch.stack([text_columns(call, text) for layer, call in layers.items() if layer.has_text])
    assert found.attention.maps.shape == (1, 24, text)
    assert tuple(found.attention.grid) == (4, 6)
    mean = expected.mean(0)
    torch.testing.assert_close(found.attention.maps.double(), mean, rtol=1e-4, atol=1e-7)
    assert 0.01 < mean.sum(-1).mean() < 0.999, "attention is to the image too"


@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Chroma", "Qwen-Image"])
def test_a_tokens_own_column_changes_with_its_embedding(pack, clips, read, name):
    """In the first block keys of the text have met nothing yet: one token's change is one column's."""
    model, clip = model_of(name), clips(name)
    found, conditioning = read(name, clip, model, layers="0")
    where = found.places.lines[1][0][0]  # the first token of "traffic light"
    tokens, options = conditioning[0]
    changed = tokens.clone()
    changed[:, where] += torch.randn(tokens.shape[-1], generator=torch.Generator().manual_seed(1))

    class Encoder:
        """The clip, whose encoding of one token is another."""

        def __getattr__(self, attribute: str) -> Any:
            return getattr(clip, attribute)

        def encode_from_tokens_scheduled(self, given: Any) -> Any:
            return [[changed, options]]

    other, _ = read(name, Encoder(), model, layers="0")
    before, after = found.attention.maps, other.attention.maps
    assert not torch.allclose(before[..., where], after[..., where], rtol=1e-3, atol=0)
    # Heads are averaged after each softmax, so the rest changes too, but by less than the token's own.
    difference = (before - after).abs().sum(1)[0]
    assert int(difference.argmax()) == where


@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Chroma", "Qwen-Image"])
def test_the_step_ends_with_the_last_chosen_block(clips, read, name):
    model, ran = model_of(name), []
    net = model.model.diffusion_model
    last = (
        getattr(net, "single_blocks", None) or getattr(net, "joint_blocks", None) or net.transformer_blocks
    )[-1]
    hooks = [last.register_forward_pre_hook(lambda *_: ran.append("last"))]
    hooks.append(net.register_forward_hook(lambda *_: ran.append("whole")))
    try:
        read(name, clips(name), model, layers="0")
    finally:
        for hook in hooks:
            hook.remove()
    assert ran == []


@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Chroma", "Qwen-Image"])
def test_each_image_of_a_batch_has_its_own(clips, read, name):
    together, _ = read(name, clips(name), images=2)
    alone, _ = read(name, clips(name))
    maps = together.attention.maps
    torch.testing.assert_close(maps[:1], alone.attention.maps, rtol=1e-4, atol=1e-6)
    assert (maps[0] - maps[1]).abs().max() > 1e-4


def test_the_model_is_shown_the_captured_latent_noise_and_level(clips, read):
    model, seen = model_of("Flux dev"), []
    net = model.model.diffusion_model
    hook = net.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[:2]))
    try:
        read("Flux dev", clips("Flux dev"), model, noise_seed=7)
    finally:
        hook.remove()
    ((x, told),) = seen
    latent = tiny_latent("Flux dev")
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(
        x, 0.3 * noise + 0.7 * model.model.process_latent_in(latent), rtol=1e-5, atol=1e-5
    )
    assert told.item() == pytest.approx(0.3, rel=1e-3)


def test_no_self_attention_is_worked_out_in_that_step(pack, clips, read, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(pack.diffseg_core.AttentionAccumulator, "gather", fail)
    monkeypatch.setattr(pack.diffseg_core.AttentionAccumulator, "keep_features", fail)
    read("SD3", clips("SD3"))


@pytest.mark.parametrize("name", ["SD3", "Flux dev", "Chroma", "Qwen-Image"])
def test_the_model_is_as_it_was(clips, read, name):
    model = model_of(name)
    with left_as_it_was(model):
        read(name, clips(name), model)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.model.modules())


def test_bfloat16_models_are_read(clips, read):
    exact, _ = read("Flux dev", clips("Flux dev"))
    rough, _ = read("Flux dev", clips("Flux dev"), model_of("Flux dev", torch.bfloat16))
    assert rough.attention.maps.dtype == torch.float32
    assert (rough.attention.maps - exact.attention.maps).abs().sum(-1).mean() < 0.15


def test_an_interrupt_ends_it(clips, read):
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        read("SD3", clips("SD3"))


def test_a_mask_over_words_is_refused(pack, clips, read):
    clip = clips("Qwen-Image")

    class Masking:
        """The clip, which hides its last tokens from the model."""

        def __getattr__(self, attribute: str) -> Any:
            return getattr(clip, attribute)

        def encode_from_tokens_scheduled(self, given: Any) -> Any:
            ((tokens, options),) = clip.encode_from_tokens_scheduled(given)
            mask = torch.ones(1, tokens.shape[1], dtype=torch.long)
            mask[:, -3:] = 0
            return [[tokens, {**options, "attention_mask": mask}]]

    with pytest.raises(pack.diffseg_core.CaptureError, match="to see every word, got a mask"):
        read("Qwen-Image", Masking())


@pytest.mark.parametrize("name", ["Lumina 2", "PixArt sigma", "Flux.2"])
def test_other_transformers_are_refused_by_name_before_anything_runs(pack, clips, read, name):
    if not known(name):
        pytest.skip("not in this release")
    with pytest.raises(
        pack.diffseg_core.UnsupportedModelError,
        match=r"words can be read, got .*SD 1\.x.*Flux\.1, Chroma, Qwen",
    ) as refused:
        read(name, object(), tiny_model(name))
    assert pack.nodes.comfy.capture.backbone_of(tiny_model(name)).name in str(refused.value)


def test_attention_of_another_architecture_or_without_its_latent_is_refused(pack, clips):
    core, nodes = pack.diffseg_core, pack.nodes
    lines = core.words.lines.parse_words("cup")
    maps = core.AttentionMaps({(2, 2): torch.full((1, 4, 4), 0.25)})
    size = core.GridSize(64, 96)
    model, clip = model_of("Flux dev"), clips("Flux dev")
    bare = nodes.types.CapturedAttention(maps, size)
    with pytest.raises(core.InvalidSettingError, match="with the latent .* capture again"):
        nodes.comfy.words.read_words(model, clip, bare, lines)
    other = nodes.types.CapturedAttention(
        maps, size, model_inputs(pack, tiny_model("Chroma"), tiny_latent("Chroma"))
    )
    with pytest.raises(core.InvalidSettingError, match=r"captured from Flux\.1, got from Chroma"):
        nodes.comfy.words.read_words(model, clip, other, lines)
