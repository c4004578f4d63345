"""Models of every form are loaded: the demo model, folders and checkpoint files, and others are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffseg_cli.batch import models
from diffseg_cli.batch.models import FIRST_LAYER, TEXT_LAYER, checkpoint_family, load_pipeline
from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import CaptureSettings, ModelChoice
from diffseg_core import InvalidSettingError, UnsupportedModelError, capture_diffusers

LEVELS = 4
TEXT_WIDTH = 768
IN_RESNETS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
AT_THE_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
IN_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def small_pipeline(channels: int = 4) -> StableDiffusionPipeline:
    """Of the layout of SD 1.x, with random weights."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        block_out_channels=(32,) * LEVELS,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * LEVELS,
        up_block_types=("UpDecoderBlock2D",) * LEVELS,
        block_out_channels=(32,) * LEVELS,
        layers_per_block=2,
        latent_channels=4,
    )
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=TEXT_WIDTH,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    return StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer(vocab=words, merges=[], model_max_length=77),
        scheduler=DDPMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def checkpoint_weights(pipeline: StableDiffusionPipeline) -> dict[str, torch.Tensor]:
    """The weights as a checkpoint file of SD 1.x has them."""
    weights = {
        f"model.diffusion_model.{unet_name(name)}": value
        for name, value in pipeline.unet.state_dict().items()
    }
    for name, value in pipeline.vae.state_dict().items():
        is_projection = ".mid.attn_1." in (new := vae_name(name)) and value.ndim == 2
        weights[f"first_stage_model.{new}"] = value[..., None, None] if is_projection else value
    for name, value in pipeline.text_encoder.state_dict().items():
        weights[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    return {name: value.contiguous() for name, value in weights.items()}


def unet_name(name: str) -> str:
    for ours, theirs in AT_THE_ENDS.items():
        if name.startswith(ours):
            return name.replace(ours, theirs)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, index, rest = found.groups()
        place = 1 if kind == "attentions" else 2 * int(index)
        return f"middle_block.{place}.{rest if kind == 'attentions' else in_resnet(rest)}"
    found = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", name)
    assert found
    side, level, kind, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{3 * level + 3}.0.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        return f"output_blocks.{3 * level + 2}.{2 if level else 1}.{rest}"
    block = (
        f"input_blocks.{3 * level + 1 + index}" if side == "down" else f"output_blocks.{3 * level + index}"
    )
    return f"{block}.1.{rest}" if kind == "attentions" else f"{block}.0.{in_resnet(rest)}"


def in_resnet(name: str) -> str:
    part, _, rest = name.partition(".")
    return f"{IN_RESNETS[part]}.{rest}"


def vae_name(name: str) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    if name.partition("mid_block.attentions.0.")[1]:
        for ours, theirs in IN_ATTENTION.items():
            name = name.replace(f"mid_block.attentions.0.{ours}", f"mid.attn_1.{theirs}")
    name = re.sub(r"(down|up)_blocks\.(\d)\.resnets", lambda f: f"{_level(f)}.block", name)
    return re.sub(r"(down|up)_blocks\.(\d)\.\1samplers\.0", lambda f: f"{_level(f)}.{f[1]}sample", name)


def _level(found: re.Match[str]) -> str:
    level = int(found[2])
    return f"{found[1]}.{level if found[1] == 'down' else LEVELS - 1 - level}"


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return small_pipeline()


@pytest.fixture(scope="module")
def folder(pipeline: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(place)
    return place


@pytest.mark.parametrize("ending", [".safetensors", ".ckpt"])
def test_a_checkpoint_file_gives_the_model_that_it_was_made_from(pipeline, folder, tmp_path, ending):
    path = tmp_path / f"model{ending}"
    weights = checkpoint_weights(pipeline)
    if ending == ".ckpt":
        torch.save({"state_dict": weights, "global_step": 3}, path)
    else:
        save_file(weights, path)
    loaded = models._load_checkpoint(path, torch.float32, config=folder)
    for part in ("unet", "vae", "text_encoder"):
        expected, found = getattr(pipeline, part).state_dict(), getattr(loaded, part).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_empty_prompt_is_encoded_once_and_the_text_encoder_let_go_of(pipeline, folder):
    image = Image.new("RGB", (70, 50), "red")
    segmenter = Segmenter(ModelChoice(str(folder)), CaptureSettings(working_size=128, noise_level=200))
    assert segmenter._pipeline.text_encoder is None
    found = segmenter.capture(image)
    expected = capture_diffusers(pipeline, image, working_size=128, noise_level=200)
    for grid in expected:
        torch.testing.assert_close(found[grid], expected[grid])


def shapes(text: int, channels: int = 4) -> dict[str, torch.Tensor]:
    return {TEXT_LAYER: torch.zeros(2, text), FIRST_LAYER: torch.zeros(2, channels, 3, 3)}


@pytest.mark.parametrize(("text", "family"), [(768, "SD 1.x"), (1024, "SD 2.x"), (2048, "SDXL")])
def test_checkpoint_files_are_told_apart(tmp_path, text, family):
    save_file(shapes(text), tmp_path / "x.safetensors")
    torch.save(shapes(text), tmp_path / "x.ckpt")
    assert checkpoint_family(tmp_path / "x.safetensors") == family
    assert checkpoint_family(tmp_path / "x.ckpt") == family
    save_file(shapes(text, channels=9), tmp_path / "inpainting.safetensors")
    assert checkpoint_family(tmp_path / "inpainting.safetensors") == family


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (shapes(1280), "which is of another model"),  # the SDXL refiner
        ({"double_blocks.0.weight": torch.zeros(1)}, "which is of another model"),
        (shapes(768, channels=8), "a latent of 4 channels .*, got 8"),  # InstructPix2Pix
    ],
)
def test_checkpoint_files_of_other_models_are_refused(tmp_path, weights, reason):
    save_file(weights, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedModelError, match=reason):
        load_pipeline(ModelChoice(str(tmp_path / "x.safetensors")))


@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt"])
def test_a_damaged_checkpoint_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(InvalidSettingError, match=rf"Expected weights in .*{name}, got a damaged file"):
        load_pipeline(ModelChoice(str(tmp_path / name)))


def test_a_file_that_runs_code_is_refused(tmp_path):
    torch.save({TEXT_LAYER: RunsCode()}, tmp_path / "x.ckpt")
    with pytest.raises(InvalidSettingError, match="objects in it that could run code"):
        load_pipeline(ModelChoice(str(tmp_path / "x.ckpt")))


class RunsCode:
    """What unpickling it would do."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise KeyboardInterrupt",)


@pytest.mark.parametrize("model", ["nowhere", "models/nowhere.safetensors"])
def test_a_model_that_is_not_there_is_refused(model):
    with pytest.raises(InvalidSettingError, match=f"got '{model}': no such file"):
        load_pipeline(ModelChoice(model))


def test_a_folder_without_model_is_refused(tmp_path):
    with pytest.raises(InvalidSettingError, match="model_index.json"):
        load_pipeline(ModelChoice(str(tmp_path)))


def test_a_model_of_another_architecture_is_refused(tmp_path):
    index = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UnsupportedModelError, match=r"got .* \(FluxPipeline\)"):
        load_pipeline(ModelChoice(str(tmp_path)))


def test_a_model_for_inpainting_is_loaded_and_one_for_instructions_refused(tmp_path):
    small_pipeline(channels=9).save_pretrained(tmp_path / "inpainting")
    assert load_pipeline(ModelChoice(str(tmp_path / "inpainting"))).unet.config.in_channels == 9
    small_pipeline(channels=8).save_pretrained(tmp_path / "instructions")
    with pytest.raises(UnsupportedModelError, match="a latent of 4 channels .*, got 8"):
        load_pipeline(ModelChoice(str(tmp_path / "instructions")))


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InvalidSettingError, match=f"got '{device}'"):
        load_pipeline(ModelChoice(device=device))


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_the_precision_is_that_of_all_weights(precision):
    loaded = load_pipeline(ModelChoice(device="cpu", precision=precision))
    assert loaded.unet.dtype == loaded.vae.dtype == getattr(torch, precision)
