"""DiffSeg Capture Attention: the one node that runs the diffusion model."""

from __future__ import annotations

from typing import Any

import comfy.utils
import torch

from ..diffseg_core import GridSize, Images, InvalidSettingError
from ..diffseg_core.attention.capture_settings import CaptureSettings
from ..diffseg_core.attention.capture_settings import working_size as working_size_of
from ..diffseg_core.attention.layers import RECOMMENDED, checked_layers
from ..diffseg_core.settings import INPUT_MODE, NOISE_LEVEL, NOISE_SEED, WORKING_SIZE, InputMode
from .comfy.api import io
from .comfy.capture import backbone_of, prepared
from .comfy.conditioning import UNCONNECTED, checked_clip, empty_prompt
from .comfy.latents import Latent, check_vae, encoded, latent_grid, read_latent
from .inputs import checked_images, choice_input, number_input, refusal
from .types import CATEGORY, ESSENTIALS, Attention, CapturedAttention


class DiffSegCapture(io.ComfyNode):
    """One denoising step, with the model's self-attention gathered."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegCapture",
            display_name="DiffSeg Capture Attention",
            category=CATEGORY,
            essentials_category=ESSENTIALS,
            description=(
                "Runs one denoising step of the loaded diffusion model over an image and keeps its "
                "self-attention. This is the only slow step: everything after it (thresholds, picking, "
                "previews) works on the result without running the model again."
            ),
            search_aliases=["segment anything", "auto mask", "attention map", "diffseg", "unsupervised"],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="SD 1.x, SD 2.x, SDXL and its small relatives; SD3, Flux, Chroma, Z-Image, "
                    "Qwen-Image and other transformers. It is not changed.",
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="Instead of clip: a CLIP Text Encode. It wins where both are connected. A prompt "
                    "shifts the attention a little towards what it names; the paper leaves it empty.",
                ),
                io.Vae.Input(
                    "vae", optional=True, tooltip="The VAE of the model. Needed together with image."
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The image or batch of images to segment, any size and aspect ratio. "
                    "The alpha channel is ignored. Connect either vae and image, or latent.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="Instead of vae and image: a latent of the image. It is used at its own size.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The CLIP of the model: it encodes the empty prompt, as in the paper, and the "
                    "words that later nodes look for. For a model without text, such as DiffSeg Demo Model, "
                    "leave clip and conditioning unconnected: it is given zeros.",
                ),
                number_input(
                    "noise_level",
                    NOISE_LEVEL,
                    "The noise that the model is to expect, from 0 (none) to 1000: a Stable Diffusion "
                    "model's timestep, thousandths of noise for Flux and its kind. -1 takes the "
                    "architecture's own: 300, as in the paper. Lower values give finer, higher values "
                    "coarser attention.",
                ),
                choice_input(
                    "input_mode",
                    INPUT_MODE,
                    "Clean latent: the model sees the image itself, as in the paper's code. "
                    "Noised latent: that level of noise is added first, drawn from the seed.",
                    advanced=True,
                ),
                number_input(
                    "noise_seed",
                    NOISE_SEED,
                    "Seed of the noise. Used for a noised latent only.",
                    control_after_generate=False,
                    advanced=True,
                ),
                number_input(
                    "working_size",
                    WORKING_SIZE,
                    "Side in pixels of a square with the area at which the model looks at the "
                    "image. 0 takes the model's own size (512 to 2048). The aspect ratio is kept, sides are "
                    "rounded to what the model needs. Twice the side takes sixteen times the memory.",
                    step=64,
                    advanced=True,
                ),
                io.String.Input(
                    "layers",
                    default=RECOMMENDED,
                    tooltip="Which of the model's attention layers to keep. recommended: of Stable Diffusion "
                    "all, as in the paper; of Flux and its kind the blocks that the literature names, not "
                    "yet measured. Of Stable Diffusion also finest, finest two, all but finest (saves memory "
                    "on large images); of the others all, middle third, or numbers from 0 as in 7-9, 12.",
                    advanced=True,
                ),
            ],
            outputs=[
                Attention.Output(
                    display_name="attention",
                    tooltip="Self-attention averaged over heads and layers, one map for each resolution: "
                    "float32, or float16 where float32 would take more than 1 GB; on ComfyUI's intermediate "
                    "device (system memory as a rule).",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, layers: str = RECOMMENDED) -> bool | str:
        """Refuse layers that no model has before anything runs."""
        return refusal(lambda: checked_layers(layers))

    @classmethod
    def execute(
        cls,
        model: Any,
        noise_level: int,
        input_mode: InputMode,
        noise_seed: int,
        working_size: int,
        layers: str = RECOMMENDED,
        conditioning: list[Any] | None = None,
        vae: Any = None,
        image: torch.Tensor | None = None,
        latent: dict[str, Any] | None = None,
        clip: Any = UNCONNECTED,
    ) -> io.NodeOutput:
        """Encode the image where there is one, capture, and hand on the maps with the image's size."""
        is_noised = INPUT_MODE.checked(input_mode) == "noised latent"
        seed = NOISE_SEED.checked(noise_seed)
        settings = CaptureSettings(noise_level, seed if is_noised else None, working_size, layers)
        backbone = backbone_of(model, settings.layers)
        latent_format, pixels = model.get_model_object("latent_format"), backbone.latent_pixels
        _check_inputs(vae, image, latent, latent_format)
        latents = None if latent is None else read_latent(latent, latent_format)
        images = None if image is None else checked_images(image)
        image_size = _image_size(images, latents, pixels)
        target = image_size
        if images is not None:
            side = settings.working_size or backbone.architecture.native_side
            target = working_size_of(image_size, side, backbone.multiple)
        grid = latent_grid(target, pixels)
        if conditioning is None:
            conditioning = empty_prompt(model, backbone.name, checked_clip(clip))
        step = prepared(model, conditioning, settings, grid, backbone)  # refuses before the VAE runs
        if latents is None:
            assert images is not None
            latents = Latent(encoded(vae, images, target))
        inputs = step.inputs(latents)
        progress = comfy.utils.ProgressBar(1)
        maps = step.capture(inputs, lambda done, total: progress.update_absolute(done, total))
        encoder = None if clip is UNCONNECTED else clip
        return io.NodeOutput(CapturedAttention(maps, image_size, inputs, image, model, encoder, conditioning))


def _check_inputs(
    vae: Any, image: torch.Tensor | None, latent: dict[str, Any] | None, latent_format: Any
) -> None:
    """Either a latent, or an image that ComfyUI's tensors describe with the model's own VAE."""
    if latent is not None:
        if image is not None:
            raise InvalidSettingError(
                "Expected either an image (with its vae) or a latent, got both: disconnect one of them."
            )
        return
    if image is None or vae is None:
        missing = "an image" if image is None else "a vae to encode the image with"
        raise InvalidSettingError(
            f"Expected vae and image, or a latent, got neither a latent nor {missing}: connect it."
        )
    check_vae(vae, latent_format)


def _image_size(images: Images | None, latent: Latent | None, pixels: int) -> GridSize:
    """Height and width in pixels of the image, or of that behind the latent."""
    if images is not None:
        return images.size
    assert latent is not None
    grid = GridSize(*latent.samples.shape[-2:])
    return GridSize(grid.height * pixels, grid.width * pixels)
