"""DiffSeg Capture Attention: the one node that runs the diffusion model."""

from __future__ import annotations

from typing import Any, get_args

import comfy.utils
import torch
from comfy_api.latest import io

from ..diffseg_core import GridSize, Images, InvalidSettingError
from ..diffseg_core.attention.blocks import RECOMMENDED, check_blocks
from ..diffseg_core.attention.resolutions import Resolutions
from ..diffseg_core.attention.working_size import working_size as working_size_of
from . import comfy_capture
from .comfy_conditioning import empty_prompt
from .comfy_forward import LEVELS
from .comfy_latents import Latent, read_latent
from .inputs import checked_images, refusal
from .types import CATEGORY, Attention, CapturedAttention

CLEAN, NOISED = "clean latent", "noised latent"
UNCONNECTED = object()  # a connected clip may be None: that of a checkpoint without a text encoder


class DiffSegCapture(io.ComfyNode):
    """One denoising step, with the model's self-attention gathered."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegCapture",
            display_name="DiffSeg Capture Attention",
            category=CATEGORY,
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
                    tooltip="The CLIP of the model, to encode the empty prompt, as in the paper. For a model "
                    "without text, such as DiffSeg Demo Model, leave clip and conditioning unconnected: it "
                    "is given zeros.",
                ),
                io.Int.Input(
                    "timestep",
                    display_name="noise level",
                    default=300,
                    min=0,
                    max=LEVELS,
                    tooltip="The noise that the model is told, from 0 (none) to 1000: a Stable Diffusion "
                    "model's timestep, thousandths of noise for Flux and its kind. The paper uses 300; lower "
                    "values give finer, higher values coarser attention.",
                ),
                io.Combo.Input(
                    "input_mode",
                    options=[CLEAN, NOISED],
                    default=CLEAN,
                    tooltip="Clean latent: the model sees the image itself, as in the paper's code. "
                    "Noised latent: that level of noise is added first, drawn from the seed.",
                    advanced=True,
                ),
                io.Int.Input(
                    "noise_seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=False,
                    tooltip="Seed of the noise. Used for a noised latent only.",
                    advanced=True,
                ),
                io.Int.Input(
                    "working_size",
                    default=0,
                    min=0,
                    max=4096,
                    step=64,
                    tooltip="Side in pixels of a square with the area at which the model looks at the "
                    "image. 0 takes the model's own size (512 to 2048). The aspect ratio is kept, sides are "
                    "rounded to what the model needs. Twice the side takes sixteen times the memory.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "resolutions",
                    options=list(get_args(Resolutions)),
                    default="all",
                    tooltip="Of a Stable Diffusion model's attention resolutions, which to keep. All is the "
                    "paper's choice; leave out the finest to save memory on large images. Transformers (Flux "
                    "and others) have one resolution, and blocks instead.",
                    advanced=True,
                ),
                io.String.Input(
                    "blocks",
                    default=RECOMMENDED,
                    optional=True,
                    tooltip="Of a transformer's blocks (Flux and others), which to keep: recommended, middle "
                    "third, all, or numbers from 0 as in 7-9, 12. The recommended ones are the literature's, "
                    "not yet measured. Stable Diffusion models have resolutions instead.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "remove_position",
                    default=False,
                    optional=True,
                    tooltip="Take out of the attention what only depends on how two places lie to each "
                    "other: for models that look at near places whatever is there, as transformers may. "
                    "An experiment.",
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
    def validate_inputs(cls, blocks: str = RECOMMENDED) -> bool | str:
        """Refuse blocks that cannot be read before anything runs."""
        return refusal(lambda: check_blocks(blocks))

    @classmethod
    def execute(
        cls,
        model: Any,
        timestep: int,
        input_mode: str,
        noise_seed: int,
        working_size: int,
        resolutions: str,
        conditioning: list[Any] | None = None,
        vae: Any = None,
        image: torch.Tensor | None = None,
        latent: dict[str, Any] | None = None,
        clip: Any = UNCONNECTED,
        blocks: str = RECOMMENDED,
        remove_position: bool = False,
    ) -> io.NodeOutput:
        """Encode the image where there is one, capture, and hand on the maps with the image's size."""
        backbone = comfy_capture.backbone_of(model, resolutions, blocks)
        latent_format = model.get_model_object("latent_format")
        channels, pixels = int(latent_format.latent_channels), backbone.latent_pixels
        _check_plugs(vae, image, latent, channels)
        given = (
            None if latent is None else read_latent(latent, channels, latent_format.latent_dimensions, pixels)
        )
        images = None if image is None else checked_images(image)
        image_size = _image_size(images, given, pixels)
        target = image_size
        if images is not None:
            target = working_size_of(image_size, working_size or backbone.native_side, backbone.multiple)
        grid = GridSize(target.height // pixels, target.width // pixels)
        if conditioning is None:
            conditioning = empty_prompt(model, backbone.name, _checked_clip(clip))
        comfy_capture.checked_conditioning(model, backbone, conditioning, timestep, grid)  # the VAE waits
        seen = given or Latent(_encoded(vae, images, target))
        progress = comfy.utils.ProgressBar(1)
        maps = comfy_capture.capture(
            model,
            seen.samples,
            conditioning,
            timestep=timestep,
            noise_seed=noise_seed if input_mode == NOISED else None,
            resolutions=resolutions,
            blocks=blocks,
            remove_position=remove_position,
            batch_index=seen.batch_index,
            noise_mask=seen.noise_mask,
            on_layer=lambda done, total: progress.update_absolute(done, total),
        )
        return io.NodeOutput(CapturedAttention(maps, image_size))


def _check_plugs(vae: Any, image: torch.Tensor | None, latent: dict[str, Any] | None, channels: int) -> None:
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
    if vae.latent_channels != channels:
        raise InvalidSettingError(
            f"Expected a VAE of {channels} latent channels as the model has, got {vae.latent_channels}. "
            "Connect the VAE that belongs to the model."
        )


def _checked_clip(clip: Any) -> Any:
    """The CLIP, or None where none is connected."""
    if clip is None:
        raise InvalidSettingError(
            "Expected a CLIP, got none: this checkpoint has no text encoder. Connect one "
            "that is loaded on its own, or nothing at all for a model without text."
        )
    return None if clip is UNCONNECTED else clip


def _image_size(images: Images | None, latent: Latent | None, pixels: int) -> GridSize:
    """Height and width in pixels of the image, or of that behind the latent."""
    if images is not None:
        return images.size
    assert latent is not None
    return GridSize(latent.grid.height * pixels, latent.grid.width * pixels)


def _encoded(vae: Any, images: Images | None, target: GridSize) -> torch.Tensor:
    """The image at its working size as a latent: ``[B, C, h, w]``; ``[B, C, 1, h, w]`` of a video's VAE."""
    assert images is not None
    pixels = images.colours
    if target != images.size:
        pixels = torch.nn.functional.interpolate(
            pixels.movedim(-1, 1), size=tuple(target), mode="bilinear", antialias=True
        ).movedim(1, -1)
    pixels = pixels.clamp(0.0, 1.0)
    # A VAE of videos takes a batch for the frames of one.
    together = 1 if getattr(vae, "latent_dim", 2) == 3 else len(pixels)
    return torch.cat([vae.encode(some) for some in pixels.split(together)])
