"""A pipeline with a transformer is loaded from its folder, and segments as any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from diffseg_cli.batch.models import find_precision, load_pipeline
from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import ModelChoice
from diffseg_core import InvalidSettingError, UnsupportedModelError, capture_diffusers
from diffseg_core.attention.capture_settings import CaptureSettings

WORDS = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
WIDTH = 8


def text_encoder() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(WORDS),
            hidden_size=WIDTH,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            projection_dim=WIDTH,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )


def small_pipeline(channels: int = 16) -> StableDiffusion3Pipeline:
    """Of the layout of SD3 without T5, with random weights."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        in_channels=channels,
        num_layers=3,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=16,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        latent_channels=16,
        shift_factor=0.0609,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=text_encoder(),
        text_encoder_2=text_encoder(),
        text_encoder_3=None,
        tokenizer=CLIPTokenizer(vocab=WORDS, merges=[], model_max_length=77),
        tokenizer_2=CLIPTokenizer(vocab=WORDS, merges=[], model_max_length=77),
        tokenizer_3=None,
    )


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusion3Pipeline:
    return small_pipeline()


@pytest.fixture(scope="module")
def folder(pipeline: StableDiffusion3Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(place)
    return place


def test_a_transformer_is_captured_with_its_settings(pipeline, folder):
    image = Image.new("RGB", (70, 50), "red")
    settings = CaptureSettings(working_size=128, noise_level=1000, layers="1-2")
    segmenter = Segmenter(ModelChoice(str(folder), device="cpu"), settings)
    assert type(segmenter._pipeline) is StableDiffusion3Pipeline
    assert segmenter._pipeline.text_encoder is segmenter._pipeline.text_encoder_2 is None
    found = segmenter.capture(image)
    expected = capture_diffusers(pipeline, image, working_size=128, noise_level=1000, layers="1-2")
    assert found.grids == expected.grids == ((7, 9),)
    torch.testing.assert_close(found[found.grid], expected[expected.grid])
    other = capture_diffusers(pipeline, image, working_size=128, noise_level=1000, layers="0")
    assert (found[found.grid] - other[other.grid]).abs().max() > 1e-4


def test_blocks_that_the_model_does_not_have_are_refused_as_it_is_loaded(folder):
    with pytest.raises(
        InvalidSettingError, match="Expected layers from 0 to 2, the blocks that the model has, got '3'"
    ):
        Segmenter(ModelChoice(str(folder), device="cpu"), CaptureSettings(layers="3"))


def test_a_transformer_that_takes_further_images_is_refused_as_it_is_loaded(tmp_path):
    small_pipeline(channels=33).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="takes a latent of 16 channels and no more, got 33"):
        load_pipeline(ModelChoice(str(tmp_path), device="cpu"))


def test_half_precision_is_the_models_own():
    accelerator = torch.device("meta")
    assert find_precision("auto", accelerator, torch.bfloat16) == torch.bfloat16
    assert find_precision("auto", accelerator) == torch.float16
    assert find_precision("float16", accelerator, torch.bfloat16) == torch.float16
