"""DiffSeg Capture Attention: the one node that runs the diffusion model."""

from __future__ import annotations

from typing import Any

import comfy.utils
import torch

from ..diffseg_core import GridSize, Images, InvalidSettingError
from ..diffseg_core.attention.blocks import RECOMMENDED, checked_blocks
from ..diffseg_core.attention.capture_checks import checked_capture
from ..diffseg_core.attention.working_size import working_size as working_size_of
from ..diffseg_core.settings import (
    INPUT_MODE,
    KEEP_QUERIES,
    NOISE_LEVEL,
    NOISE_SEED,
    REMOVE_POSITION,
    RESOLUTIONS,
    WORKING_SIZE,
    InputMode,
    KeepQueries,
)
from .comfy import capture as comfy_capture
from .comfy.api import io
from .comfy.conditioning import UNCONNECTED, checked_clip, empty_prompt
from .comfy.latents import Latent, check_vae, encoded, read_latent
from .inputs import checked_images, choice_input, number_input, refusal, switch_input
from .presets import presets_text, required_preset
from .types import CATEGORY, ESSENTIALS, Attention, CapturedAttention, Step

AS_SET, PRESET = "as set", "preset"


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
                    "timestep",
                    NOISE_LEVEL,
                    "The noise that the model is told, from 0 (none) to 1000: a Stable Diffusion "
                    "model's timestep, thousandths of noise for Flux and its kind. The paper uses 300; lower "
                    "values give finer, higher values coarser attention.",
                    display_name="noise level",
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
                choice_input(
                    "resolutions",
                    RESOLUTIONS,
                    "Of a Stable Diffusion model's attention resolutions, which to keep. All is the "
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
                switch_input(
                    "remove_position",
                    REMOVE_POSITION,
                    "Take out of the attention what only depends on how two places lie to each "
                    "other: for models that look at near places whatever is there, as transformers may. "
                    "An experiment.",
                    optional=True,
                    advanced=True,
                ),
                io.Combo.Input(
                    "settings",
                    options=[AS_SET, PRESET],
                    default=AS_SET,
                    optional=True,
                    tooltip="preset: noise level, blocks or resolutions, and the hierarchy's automatic "
                    "evidence are those that DiffSeg Check Model found to suit this architecture, "
                    "whatever is set here. Run that node once with the model.",
                    advanced=True,
                ),
                choice_input(
                    "keep_queries",
                    KEEP_QUERIES,
                    "Of a Stable Diffusion model, what DiffSeg Find by Words needs to find words "
                    "without another run: its queries to text. automatic keeps some 10 MB an image of "
                    "SD 1.x and at most 64 MB of SDXL; all keeps every layer that tells something (80 MB of "
                    "SDXL); none keeps nothing. Other models need none: words run a part of a step there.",
                    optional=True,
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
    def fingerprint_inputs(cls, settings: str = AS_SET, **_: Any) -> str:
        """With a preset, the presets: another check may have changed them."""
        return presets_text() if settings == PRESET else ""

    @classmethod
    def validate_inputs(cls, blocks: str = RECOMMENDED) -> bool | str:
        """Refuse blocks that cannot be read before anything runs."""
        return refusal(lambda: checked_blocks(blocks))

    @classmethod
    def execute(
        cls,
        model: Any,
        timestep: int,
        input_mode: InputMode,
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
        settings: str = AS_SET,
        keep_queries: KeepQueries = "automatic",
    ) -> io.NodeOutput:
        """Encode the image where there is one, capture, and hand on the maps with the image's size."""
        preset = required_preset(comfy_capture.architecture_name(model)) if settings == PRESET else None
        if preset is not None:
            timestep = preset.noise_level
            resolutions, blocks = preset.resolutions or resolutions, preset.blocks or blocks
        is_noised = INPUT_MODE.checked(input_mode) == "noised latent"
        seed = NOISE_SEED.checked(noise_seed) if is_noised else None
        asked = checked_capture(
            timestep, seed, resolutions, blocks, remove_position, keep_queries, working_size
        )
        backbone = comfy_capture.backbone_of(model, asked.resolutions, asked.blocks)
        latent_format = model.get_model_object("latent_format")
        pixels = backbone.latent_pixels
        _check_plugs(vae, image, latent, latent_format)
        given = None if latent is None else read_latent(latent, latent_format, pixels)
        images = None if image is None else checked_images(image)
        image_size = _image_size(images, given, pixels)
        target = image_size
        if images is not None:
            target = working_size_of(
                image_size, asked.working_size or backbone.native_side, backbone.multiple
            )
        grid = GridSize(target.height // pixels, target.width // pixels)
        if conditioning is None:
            conditioning = empty_prompt(model, backbone.name, checked_clip(clip))
        comfy_capture.checked_conditioning(
            model, backbone, conditioning, asked.timestep, grid
        )  # the VAE waits
        seen = given
        if seen is None:
            assert images is not None
            seen = Latent(encoded(vae, images, target))
        step = Step(
            backbone.name,
            seen.samples,
            asked.timestep,
            asked.noise_seed,
            asked.blocks,
            seen.batch_index,
            seen.noise_mask,
        )
        progress = comfy.utils.ProgressBar(1)
        maps = comfy_capture.capture(
            model,
            step.samples,
            conditioning,
            timestep=step.level,
            noise_seed=step.noise_seed,
            resolutions=asked.resolutions,
            blocks=step.blocks,
            remove_position=asked.remove_position,
            keep_queries=asked.keep_queries,
            batch_index=step.batch_index,
            noise_mask=step.noise_mask,
            on_layer=lambda done, total: progress.update_absolute(done, total),
        )
        if preset is not None and preset.evidence != "automatic":
            maps.evidence = preset.evidence
        encoder = None if clip is UNCONNECTED else clip
        return io.NodeOutput(CapturedAttention(maps, image_size, step, image, model, encoder, conditioning))


def _check_plugs(
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
    return GridSize(latent.grid.height * pixels, latent.grid.width * pixels)
