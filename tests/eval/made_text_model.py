"""A model of random weights that reads words: of the layout of SD 1.x, with a text encoder of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

LEVELS = 4
TEXT_WIDTH = 32
START, END = "<|startoftext|>", "<|endoftext|>"
LETTERS = "abcdefghijklmnopqrstuvwxyz,"
TEMPLATE = "a photograph of other objects background"


def tokenizer_of(words: Iterable[str], room: int) -> CLIPTokenizer:
    """CLIP's tokenizer with a vocabulary of these words, of which most are one token."""
    merges: dict[tuple[str, str], None] = {}
    for word in dict.fromkeys(words):
        start = word[0]
        for letter in word[1:-1]:
            merges[start, letter] = None
            start += letter
        if len(word) > 1:
            merges[start, word[-1] + "</w>"] = None
    letters = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    vocabulary = dict.fromkeys((START, END, *letters, *("".join(pair) for pair in merges)))
    return CLIPTokenizer(
        vocab={token: place for place, token in enumerate(vocabulary)},
        merges=list(merges),
        model_max_length=room,
    )


def save_text_model(folder: Path, words: Iterable[str], seed: int = 0, room: int = 77) -> None:
    """Write a model that knows these words, in diffusers' layout.

    Args:
        folder: to write.
        words: of small letters, beside those of the prompt around them.
        seed: of its weights.
        room: how many tokens it reads.
    """
    torch.manual_seed(seed)
    tokenizer = tokenizer_of([*TEMPLATE.split(), *words], room)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32,) * LEVELS,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * LEVELS,
        up_block_types=("UpDecoderBlock2D",) * LEVELS,
        block_out_channels=(32,) * LEVELS,
        latent_channels=4,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )
    )
    for weight in text_encoder.parameters():
        weight.data.normal_(0.0, 0.5)  # so that words differ
    StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=DDPMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
    ).save_pretrained(folder)
