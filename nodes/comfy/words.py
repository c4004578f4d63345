"""Words read by a model's own text encoder and attention: ComfyUI's side of finding segments by words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ...diffseg_core import InvalidSettingError, UnsupportedModelError
from ...diffseg_core.attention.capture_settings import ModelInputs
from ...diffseg_core.attention.layers import RECOMMENDED
from ...diffseg_core.attention.text import (
    NO_QUERIES,
    LayerQueries,
    TextAccumulator,
    TextAttention,
    attention_to_text,
)
from ...diffseg_core.words.lines import WordAttention, WordLine, prompt_of
from ..types import CapturedAttention
from .capture import Backbone, backbone_of, prepared
from .conditioning import acting_conditioning, checked_clip
from .latents import grid_of, latent_grid
from .transformer_capture import TransformerCapture
from .transformers import READ_TRANSFORMERS
from .unet import SUPPORTED_UNETS, UNetCapture, cross_attention_layers
from .word_tokens import encode_pieces, find_places

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SAME_MODEL = "Connect the model that the attention was captured from, or capture it again with this one."


def read_words(
    model: ModelPatcher,
    clip: Any,
    attention: CapturedAttention,
    lines: Sequence[WordLine],
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> WordAttention:
    """What every place of the captured images attends to in a prompt of words.

    Of a UNet, by the queries that the capture kept and the keys that its layers make of the words, with LoRA
    and the like: nothing else of the model runs, and what patches of other nodes do to the text (attn2_patch)
    is left out. A model in which text and image run together (SD3, Flux.1, Chroma, Qwen-Image) runs on the
    captured latent once more, with the words, as far as the last of the captured blocks.

    Args:
        model: the MODEL that the attention was captured from. It is not changed.
        clip: its CLIP.
        attention: of one capture.
        lines: the words.
        on_layer: called with the number of layers done and their total.

    Raises:
        UnsupportedModelError: words cannot be read from such a model or text encoder.
        InvalidSettingError: no CLIP, one of another model, a capture that does not suit, or a word that the
            text encoder does not know.
        CaptureError: a layer did not run as expected.
    """
    checked_clip(clip)
    step = attention.step
    backbone = backbone_of(model, step.settings.layers if step else RECOMMENDED)
    read = _reader(model, backbone, attention, on_layer)
    pieces = prompt_of(lines)
    conditioning = encode_pieces(clip, pieces)
    encoders = backbone.row.encoders if isinstance(backbone, TransformerCapture) else None
    places = find_places(clip, pieces, conditioning[0][0].shape[1], encoders)
    return WordAttention(tuple(lines), read(conditioning), places)


def _reader(
    model: ModelPatcher,
    backbone: Backbone,
    attention: CapturedAttention,
    on_layer: Callable[[int, int], None],
) -> Callable[[list[Any]], TextAttention]:
    """How the attention to a conditioning is found; what can be refused is refused here, before a run."""
    step = attention.step
    if isinstance(backbone, TransformerCapture) and not backbone.row.encoders:
        raise UnsupportedModelError(
            f"Expected a model from which words can be read, got {backbone.name}. These work: "
            f"{SUPPORTED_UNETS}; {READ_TRANSFORMERS}."
        )
    if step is not None and step.architecture != backbone.name:
        raise InvalidSettingError(
            f"Expected attention captured from {backbone.name}, got from {step.architecture}. {SAME_MODEL}"
        )
    if isinstance(backbone, TransformerCapture):
        if step is None:
            raise InvalidSettingError(
                "Expected attention with the latent that it was captured from, got none: capture again."
            )
        return lambda conditioning: _by_a_step(model, backbone, step, conditioning, on_layer)
    assert isinstance(backbone, UNetCapture)
    queries = attention.maps.queries
    if not queries:
        raise InvalidSettingError(NO_QUERIES)

    def by_queries(conditioning: list[Any]) -> TextAttention:
        grid = latent_grid(attention.image_size, backbone.latent_pixels)
        sigma = backbone.sigma(model, 0 if step is None else step.noise_level)
        ((context, _),) = acting_conditioning(model, conditioning, sigma, grid)
        return attention_to_text(queries, _keys(model, backbone.unet, queries, context, on_layer))

    return by_queries


def _keys(
    model: ModelPatcher,
    unet: UNetModel,
    queries: Sequence[LayerQueries],
    context: torch.Tensor,
    on_layer: Callable[[int, int], None],
) -> dict[str, torch.Tensor]:
    """The keys ``[1, T, heads·d]`` that the layers make of a text, by the model as ComfyUI loads it."""
    comfy.model_management.load_models_gpu([model])
    kept = {layer.layer for layer in queries}
    layers = cross_attention_layers(unet)  # now that what patches exchange is in place
    projections = {layer.name: layer.attention.to_k for layer in layers if layer.name in kept}
    text = comfy.model_management.cast_to_device(
        context, model.load_device, model.model.get_dtype_inference()
    )
    keys = {}
    for name, projection in projections.items():
        comfy.model_management.throw_exception_if_processing_interrupted()
        keys[name] = projection(text)
        on_layer(len(keys), len(projections))
    return keys


def _by_a_step(
    model: ModelPatcher,
    backbone: TransformerCapture,
    step: ModelInputs,
    conditioning: list[Any],
    on_layer: Callable[[int, int], None],
) -> TextAttention:
    accumulator = TextAccumulator()
    run = prepared(model, conditioning, step.settings, grid_of(step.latents), backbone)
    run.run(step, accumulator, on_layer)
    text = accumulator.finish()
    return TextAttention(text.grid, text.maps.to(comfy.model_management.intermediate_device()))
