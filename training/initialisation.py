"""Starting points that let a small model learn in an hour what a large one learns in weeks.

The autoencoder: mean colour in, mean colour out. With few channels group normalisation has one to three
channels a group and takes mean and scale of an image's colours away before the last convolution;
training from random weights then needs very long to find colour at all. Here the residual path is laid
out by hand before training: the encoder averages pixels down to an eighth and writes three opponent
colours into three latent channels, the decoder reads them back.

The denoiser: queries equal keys. Self-attention then starts as similarity of features (a token looks at
tokens like itself), which is what denoising from a small set of images is slow to find.

Everything else starts at random, and every weight is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn

if TYPE_CHECKING:
    from diffusers.models.autoencoders.vae import Decoder, Encoder

ANCHOR = 2.0  # constant that keeps a normalisation group's scale from depending on the image


@torch.no_grad()
def lay_colour_path(model: AutoencoderKL, colour: torch.Tensor) -> None:
    """Set the weights along the residual path.

    Args:
        model: with a multiple of 32·3 channels at the coarsest level and of 32·2 at the finest.
        colour: ``[3, 3]``, rows give the wanted latent channels as combinations of R, G, B in -1..1.
    """
    for resnet in (m for m in model.modules() if type(m).__name__ == "ResnetBlock2D"):
        nn.init.zeros_(resnet.conv2.weight)
        nn.init.zeros_(resnet.conv2.bias)
        if resnet.conv_shortcut is not None:
            _pass_through(resnet.conv_shortcut)
    for attention in (*model.encoder.mid_block.attentions, *model.decoder.mid_block.attentions):
        nn.init.zeros_(attention.to_out[0].weight)
    _pass_through(model.quant_conv, model.quant_conv.in_channels)
    _pass_through(model.post_quant_conv, model.post_quant_conv.in_channels)
    _lay_encoder(model.encoder, colour)
    _lay_decoder(model.decoder, colour)


def _lay_encoder(encoder: Encoder, colour: torch.Tensor) -> None:
    _pass_through(encoder.conv_in)
    for block in encoder.down_blocks[:-1]:
        convolution = block.downsamplers[0].conv
        _pass_through(convolution)
        convolution.weight[:3] = 0.0
        for channel in range(3):
            convolution.weight[channel, channel, :2, :2] = 0.25  # the mean of 2×2 pixels
    spread = encoder.down_blocks[-1].resnets[0].conv_shortcut
    spread.weight[:18] = 0.0
    spread.bias[:18] = 0.0
    encoder.conv_out.weight[:3] = 0.0
    encoder.conv_out.bias[:] = torch.tensor([0.0] * 4 + [-4.0] * 4)
    scale = (2.0 * ANCHOR**2 / 3.0) ** 0.5  # of a group {c, -c/2 + A, -c/2 - A}, nearly whatever c is
    gain = colour.abs().sum(1) / 2.0
    for channel in range(3):
        for sign, first in ((1.0, 6 * channel), (-1.0, 6 * channel + 3)):
            direction = sign * colour[channel] / gain[channel]
            spread.weight[first, :3, 0, 0] = direction
            spread.weight[first + 1, :3, 0, 0] = -direction / 2.0
            spread.weight[first + 2, :3, 0, 0] = -direction / 2.0
            spread.bias[first + 1], spread.bias[first + 2] = ANCHOR, -ANCHOR
            # silu(a) - silu(-a) = a
            encoder.conv_out.weight[channel, first, 1, 1] = sign * scale * gain[channel]


def _lay_decoder(decoder: Decoder, colour: torch.Tensor) -> None:
    decoder.conv_in.weight[:3] = 0.0
    decoder.conv_in.weight[:3, :3, 1, 1] = torch.linalg.inv(colour)
    decoder.conv_in.bias[:3] = 0.0
    for block in decoder.up_blocks[:-1]:
        _pass_through(block.upsamplers[0].conv)
    spread = decoder.up_blocks[-1].resnets[0].conv_shortcut
    spread.weight[:6] = 0.0
    spread.bias[:6] = 0.0
    decoder.conv_out.weight[:] *= 0.1
    for channel in range(3):
        for sign, place in ((1.0, 2 * channel), (-1.0, 2 * channel + 1)):
            spread.weight[place, channel, 0, 0] = sign
            decoder.conv_out.weight[channel, place, 1, 1] = 0.5 * sign  # 0.5: a usual scale of colours


def _pass_through(convolution: nn.Conv2d, channels: int = 3) -> None:
    """Let the first channels through unchanged; the other outputs keep their random weights."""
    middle = convolution.kernel_size[0] // 2
    convolution.weight[:channels] = 0.0
    if convolution.bias is not None:
        convolution.bias[:channels] = 0.0
    for channel in range(channels):
        convolution.weight[channel, channel, middle, middle] = 1.0


@torch.no_grad()
def tie_queries_to_keys(model: UNet2DConditionModel) -> None:
    """Start every self-attention layer with one orthogonal matrix for queries and keys alike."""
    for name, module in model.named_modules():
        if name.endswith(".attn1"):
            nn.init.orthogonal_(module.to_q.weight)
            module.to_k.weight.copy_(module.to_q.weight)
