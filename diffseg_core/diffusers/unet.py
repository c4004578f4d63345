"""Capturing a diffusers UNet: its self-attention layers, computed by the accumulator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ..attention.accumulator import AttentionAccumulator
from ..attention.architectures import ARCHITECTURES, Architecture
from ..attention.capture_settings import MULTIPLE
from ..attention.layers import RECOMMENDED, choose_resolutions
from ..attention.maps import AttentionMaps
from ..attention.probe import AttentionProbe, Layer
from ..attention.query_keeping import Part, QueryLayer, keeping_queries
from ..attention.text import TextAttention, attention_to_text
from ..errors import UnsupportedModelError
from ..grid import GridSize
from .prompts import Encoding, Prompt, Widths
from .schedulers import step_of

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention

SUPPORTED_UNETS = "SD 1.x, SD 2.x, SDXL, SSD-1B, Segmind Vega, KOALA"
ADVICE = "pass the pipeline without it."
BLOCKS = ".transformer_blocks"
PARTS: dict[str, Part] = {"down_blocks": "down", "mid_block": "middle", "up_blocks": "up"}  # as they run
SD2_WIDTH = 1024  # of its text's embeddings
SIZE_NUMBERS = 6  # of an image, that SDXL is given; its refiner takes five
# The image without what is masked, where all is: what Stable Diffusion's VAE makes of grey, as in ComfyUI.
BLANK = (0.8223, -0.6876, 0.6364, 0.1380)


@dataclass(frozen=True)
class UNetCapture:
    """How the self-attention of one UNet is captured.

    Attention processors stand in for the UNet's own, in every release of diffusers from 0.30 on.

    Raises:
        InvalidSettingError: layers that it does not have.
    """

    model: Any  # a UNet2DConditionModel
    pipeline: Any
    layers: str = RECOMMENDED  # which to capture; see `choose_resolutions`
    multiple: int = MULTIPLE  # pixels: every resolution then divides the image without rest

    def __post_init__(self) -> None:
        _captured_layers(self.model, self.layers)

    @property
    def is_xl(self) -> bool:
        """Whether it is of SDXL's class: it is given the image's size and a pooled embedding."""
        return self.model.config.addition_embed_type == "text_time"

    @property
    def architecture(self) -> Architecture:
        """What is known of its kind."""
        is_sd2 = self.model.config.cross_attention_dim == SD2_WIDTH
        return ARCHITECTURES["SDXL" if self.is_xl else "SD20" if is_sd2 else "SD15"]

    @property
    def native_side(self) -> int:
        """Side in pixels of the square images that the model was trained on, of which it says itself."""
        return self.model.config.sample_size * self.pipeline.vae_scale_factor

    @property
    def encoding(self) -> Encoding:
        """Of a prompt."""
        return Encoding(("text_encoder",), ("embeds", "", "pooled") if self.is_xl else ("embeds",))

    @property
    def widths(self) -> Widths:
        """Of a prompt's embeddings."""
        config = self.model.config
        width = config.cross_attention_dim
        if config.encoder_hid_dim_type == "text_proj":
            width = config.encoder_hid_dim
        elif not isinstance(width, int):  # one for each block
            width = width[0]
        sizes = SIZE_NUMBERS * (config.addition_time_embed_dim or 0)
        return Widths(width, config.projection_class_embeddings_input_dim - sizes if self.is_xl else None)

    def check(self, size: GridSize) -> None:
        """Nothing: images of every working size are seen."""

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, level: int) -> torch.Tensor:
        """Latents with the noise of a level."""
        step = step_of(self.pipeline.scheduler, level)
        return latents * step.image + noise * step.noise

    def gather(
        self,
        latents: torch.Tensor,
        level: int,
        prompt: Prompt,
        size: GridSize,
        accumulator: AttentionAccumulator,
    ) -> None:
        """Run the model once, and gather what was chosen.

        Args:
            latents: ``[B, C, h, w]``, with the noise of the level if there is to be any.
            level: of noise, that the model is given; see `step_of`.
            prompt: for all images.
            size: of the images, in pixels.
            accumulator: gathers.

        Raises:
            CaptureError: an attention layer did not run, or not once.
        """
        dtype, batch = self.model.dtype, len(latents)
        prompt = prompt.expanded(batch, latents.device, dtype)
        conditions = {}
        if self.is_xl and prompt.pooled is not None:
            time_ids = torch.tensor([[*size, 0, 0, *size]]).to(latents.device, dtype)
            conditions = {"text_embeds": prompt.pooled, "time_ids": time_ids.expand(batch, -1)}
        with self._capturing(GridSize(*latents.shape[2:]), batch, accumulator):
            self.model(
                _with_inpainting(latents, self.model.config.in_channels).to(dtype),
                step_of(self.pipeline.scheduler, level).timestep,
                encoder_hidden_states=prompt.embeds,
                added_cond_kwargs=conditions or None,
            )

    @contextmanager
    def _capturing(self, latent: GridSize, batch: int, accumulator: AttentionAccumulator) -> Iterator[None]:
        """Within the context one forward pass of the UNet runs its self-attention through the accumulator."""
        unet = self.model
        all_layers = _self_attention_layers(unet)
        chosen = _captured_layers(unet, self.layers)
        # The features are the output of the encoder's last layer, as in DiffCut.
        encoder = [layer for layer in all_layers if layer.name.startswith("down_blocks.")]
        featured = encoder[-1] if encoder else None
        probe = AttentionProbe(chosen, batch, accumulator, ADVICE, feature_layer=featured)
        grids = _Grids()

        def keep(module: Any, arguments: Any, output: torch.Tensor) -> None:
            assert featured is not None
            probe.keep_output(featured, output, grids.running)

        with ExitStack() as afterwards:
            for name in dict.fromkeys(layer.name.rpartition(BLOCKS)[0] for layer in all_layers):
                transformer = unet.get_submodule(name)
                afterwards.callback(transformer.register_forward_pre_hook(grids.remember).remove)
            for layer in chosen:
                attention = unet.get_submodule(layer.name)
                afterwards.callback(attention.set_processor, attention.processor)
                attention.set_processor(_CaptureProcessor(probe, layer, grids))
            if featured is not None:
                afterwards.callback(unet.get_submodule(featured.name).register_forward_hook(keep).remove)
            layers_of = partial(_query_layers, unet)
            with keeping_queries(layers_of, self.is_xl, latent, probe):
                yield

    def read_text(self, maps: AttentionMaps, prompt: Prompt) -> TextAttention:
        """The kept queries' attention to a text; the UNet does not run.

        Args:
            maps: as captured from this model.
            prompt: the text, for all images.

        Raises:
            CaptureError: no queries were kept, or those of another model.
            UnsupportedModelError: a UNet that projects the text before its layers see it.
        """
        unet, kept = self.model, {layer.layer for layer in maps.queries}
        if unet.config.encoder_hid_dim_type == "text_proj":
            raise UnsupportedModelError(
                "Expected a UNet whose layers attend to the text encoder's own embeddings, got one that "
                "projects them first, as Kolors does. Words cannot be read with it: choose Stable Diffusion "
                "or SDXL."
            )
        keys = {}
        for layer in _query_layers(unet):
            if layer.name in kept:
                project = layer.attention.to_k  # with its adapters
                device = project.weight.device
                if device.type == "meta":  # the weights come when they are called for, with their input
                    device = prompt.embeds.device
                keys[layer.name] = project(prompt.embeds.to(device, unet.dtype))
        return attention_to_text(maps.queries, keys)


@dataclass(eq=False)
class _CaptureProcessor:
    """Attention processor that lets the probe compute a self-attention layer."""

    probe: AttentionProbe
    layer: Layer
    grids: _Grids

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        def heads(projection: torch.nn.Module) -> torch.Tensor:
            return projection(hidden_states).unflatten(2, (attn.heads, -1)).transpose(1, 2)

        query, key, value = heads(attn.to_q), heads(attn.to_k), heads(attn.to_v)
        output = self.probe.attend(self.layer, query, key, value, self.grids.running)
        return attn.to_out[1](attn.to_out[0](output.transpose(1, 2).flatten(2)))


class _Grids:
    """The grid of the tokens within the transformer that is running."""

    running = GridSize(0, 0)

    def remember(self, module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        """Forward pre-hook of the transformer around the layers."""
        self.running = GridSize(*arguments[0].shape[2:])


def _self_attention_layers(unet: Any) -> list[Layer]:
    depth = len(unet.down_blocks)
    names = [name for name, _ in unet.named_modules() if name.endswith(".attn1")]
    return [Layer(_level_of(name, depth), name) for name in names]


def _captured_layers(unet: Any, layers: str) -> list[Layer]:
    all_layers = _self_attention_layers(unet)
    levels = choose_resolutions(layers, (layer.block for layer in all_layers))
    return [layer for layer in all_layers if layer.block in levels]


def _query_layers(unet: Any) -> list[QueryLayer]:
    """Every cross-attention layer, in the order in which they run; each is found by its name in the UNet."""
    depth = len(unet.down_blocks)
    modules = {name: module for name, module in unet.named_modules() if name.endswith(".attn2")}
    order = list(PARTS)
    return [
        QueryLayer(
            name,
            PARTS[name.split(".")[0]],
            _level_of(name, depth),
            module.heads,
            module.inner_dim,
            module,
            unet.get_submodule(name.rpartition(BLOCKS)[0]),
        )
        for name, module in sorted(modules.items(), key=lambda entry: order.index(entry[0].split(".")[0]))
    ]


def _level_of(name: str, depth: int) -> int:
    """How often the latent was halved at a layer of a UNet of so many down blocks."""
    block = re.match(r"(down|up)_blocks\.(\d+)\.", name)
    if block is None:
        return depth - 1  # the middle block
    index = int(block[2])
    return index if block[1] == "down" else depth - 1 - index


def _with_inpainting(latents: torch.Tensor, channels: int) -> torch.Tensor:
    """What a UNet of so many channels is given: for inpainting, everything is masked, as in ComfyUI."""
    if channels == latents.shape[1]:
        return latents
    blank = torch.tensor(BLANK).to(latents).view(1, -1, 1, 1).expand_as(latents)
    return torch.cat((latents, torch.ones_like(latents[:, :1]), blank), dim=1)
