"""ComfyUI in this process, and small models in both hosts: ComfyUI's MODEL and VAE, and a pipeline.

The pack is imported as ComfyUI imports it, under a folder's name, so its classes are reached through the
fixture `pack` and never by `import diffseg_core`, which would be a second set of the same classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest
import torch
from comfyui_capture import capture_in_comfyui
from diffseg_tools.environment import NEWEST, comfyui_directory
from diffseg_tools.in_process import import_comfyui, import_pack

if not (comfyui_directory(NEWEST) / "main.py").is_file():
    raise pytest.UsageError(
        f"ComfyUI {NEWEST} is not in {comfyui_directory(NEWEST)}. Run `make test`, which fetches it."
    )

with warnings.catch_warnings():
    # What ComfyUI and its packages deprecate in each other while they are imported is not ours to mend.
    warnings.simplefilter("ignore")
    import_comfyui(comfyui_directory(NEWEST))
    import comfy.model_management
    import comfy.model_patcher
    import comfy.sd
    import comfy.utils
    import diffusers
    import folder_paths
    from model_shapes import CONTEXT, POOLED, PROMPT_TOKENS, SHAPES, SIZE_EMBEDDING, bare_model

    import_pack()


@dataclass
class Host:
    """A small random model, the same weights in ComfyUI and in diffusers."""

    model: comfy.model_patcher.ModelPatcher
    vae: comfy.sd.VAE
    conditioning: list[Any]
    pipeline: diffusers.DiffusionPipeline
    embeds: dict[str, torch.Tensor]  # the conditioning, as capture_diffusers takes it
    scale: float  # of the VAE's latents

    @property
    def unet(self) -> torch.nn.Module:
        return self.model.model.diffusion_model

    def self_attentions(self) -> list[torch.nn.Module]:
        return [module for name, module in self.unet.named_modules() if name.endswith(".attn1")]


SD_DIFFUSERS = {
    "sample_size": 16,
    "block_out_channels": (32, 64, 128, 128),
    "layers_per_block": 1,
    "cross_attention_dim": CONTEXT,
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
}
DIFFUSERS: dict[str, dict[str, Any]] = {
    "sd1": {**SD_DIFFUSERS, "attention_head_dim": 8},
    "sd2-v": {**SD_DIFFUSERS, "attention_head_dim": (2, 4, 8, 8), "use_linear_projection": True},
    "sdxl": {
        "sample_size": 16,
        "block_out_channels": (32, 64, 128),
        "layers_per_block": 1,
        "cross_attention_dim": CONTEXT,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 3),
        "attention_head_dim": (2, 4, 8),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": POOLED + SIZE_EMBEDDING,
    },
}
VAE_DDCONFIG = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 128,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "dropout": 0.0,
}


def diffusers_unet(name: str) -> diffusers.UNet2DConditionModel:
    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel(**DIFFUSERS[name]).eval()
    for parameter, weight in unet.named_parameters():
        if ".attn1.to_q." in parameter or ".attn1.to_k." in parameter:
            weight.data.mul_(3.0)  # at their first values all attention is nearly even, and all of it alike
    return unet


def comfy_model(name: str, weights: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> Any:
    shape, device = SHAPES[name], torch.device("cpu")
    patcher = bare_model(shape, dtype, device, device)
    names = comfy.utils.unet_to_diffusers(shape.unet_config)
    renamed = {names[key]: weight.clone() for key, weight in weights.items()}
    assert renamed.keys() == patcher.model.diffusion_model.state_dict().keys()
    patcher.model.load_model_weights(renamed, "")
    return patcher


def make_host(name: str) -> Host:
    unet = diffusers_unet(name)
    is_xl, is_v = name == "sdxl", name == "sd2-v"
    model = comfy_model(name, unet.state_dict())
    scale = model.model.latent_format.scale_factor
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        layers_per_block=1,
        scaling_factor=scale,
    ).eval()
    # A trained encoder's latents have a spread of about one after scaling; those of a random one do not.
    vae.quant_conv.weight.data.mul_(40.0)
    parameters = {"params": {"ddconfig": VAE_DDCONFIG, "embed_dim": 4}}
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction" if is_v else "epsilon",
    )
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "scheduler": scheduler}
    prompt = torch.randn(1, PROMPT_TOKENS, CONTEXT)
    embeds = {"prompt_embeds": prompt}
    if is_xl:
        names = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
        pipeline = diffusers.StableDiffusionXLPipeline(**parts, **dict.fromkeys(names))
        embeds["pooled_prompt_embeds"] = torch.randn(1, POOLED)
        conditioning = [[prompt, {"pooled_output": embeds["pooled_prompt_embeds"]}]]
    else:
        names = ("text_encoder", "tokenizer", "safety_checker", "feature_extractor")
        pipeline = diffusers.StableDiffusionPipeline(
            **parts, **dict.fromkeys(names), requires_safety_checker=False
        )
        conditioning = [[prompt, {}]]
    comfy_vae = comfy.sd.VAE(sd=vae.state_dict(), config=parameters, dtype=torch.float32)
    return Host(model, comfy_vae, conditioning, pipeline, embeds, scale)


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The pack, as ComfyUI has it."""
    return import_pack()


@pytest.fixture(autouse=True)
def _as_comfyui_runs_nodes(tmp_path: Any) -> Iterator[None]:
    """Without autograd, and with a temporary folder of its own."""
    before = folder_paths.get_temp_directory()
    folder_paths.set_temp_directory(str(tmp_path))
    with torch.inference_mode():
        yield
    folder_paths.set_temp_directory(before)
    comfy.model_management.interrupt_current_processing(False)


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    """Build a fresh small MODEL in the shape of "sd1", "sd2-v" or "sdxl"."""

    def make(name: str = "sd1", dtype: torch.dtype = torch.float32) -> Any:
        return comfy_model(name, diffusers_unet(name).state_dict(), dtype)

    return make


@pytest.fixture(scope="session")
def hosts() -> Callable[[str], Host]:
    """The small models by name, each built once. Tests must not change them, but clone the MODEL."""
    made: dict[str, Host] = {}

    def host(name: str) -> Host:
        if name not in made:
            with torch.inference_mode(False):
                made[name] = make_host(name)
        return made[name]

    return host


@pytest.fixture(params=list(SHAPES))
def host(request: pytest.FixtureRequest, hosts: Callable[[str], Host]) -> Host:
    """Each of the small models in turn."""
    return hosts(request.param)


@pytest.fixture
def sd1(hosts: Callable[[str], Host]) -> Host:
    """The small model in the shape of SD 1.x."""
    return hosts("sd1")


@pytest.fixture(scope="session")
def capture(pack: ModuleType) -> Callable[..., Any]:
    """The ComfyUI capture, with a small latent and the default settings unless told otherwise."""

    def run(host: Host, model: Any = None, latent: torch.Tensor | None = None, **settings: Any) -> Any:
        if latent is None:
            latent = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(5))
        defaults = {"noise_level": 300, "noise_seed": None, "layers": "all"}
        conditioning = settings.pop("conditioning", host.conditioning)
        return capture_in_comfyui(pack, model or host.model, latent, conditioning, **{**defaults, **settings})

    return run


@pytest.fixture
def run_capture(pack: ModuleType, sd1: Host) -> Callable[..., Any]:
    """The capture node on the small SD 1.x, with its usual settings unless told otherwise."""

    def run(**inputs: Any) -> Any:
        defaults = {
            "model": sd1.model,
            "conditioning": sd1.conditioning,
            "noise_level": 300,
            "input_mode": "clean latent",
            "noise_seed": 0,
            "working_size": 128,
            "layers": "all",
        }
        return pack.nodes.capture.DiffSegCapture.execute(**{**defaults, **inputs})[0]

    return run


@pytest.fixture(scope="session")
def carried(pack: ModuleType) -> Callable[..., Any]:
    """Segments as they travel between nodes: with a capture, of a latent unless there is an image."""

    def carry(segments: Any, image: torch.Tensor | None = None, attention: Any = None) -> Any:
        types = pack.nodes.types
        if attention is None:
            maps = pack.diffseg_core.AttentionMaps({(2, 2): torch.full((segments.batch_size, 4, 4), 0.25)})
            attention = types.CapturedAttention(maps, segments.image_size)
        capture = attention if image is None else replace(attention, image=image)
        return types.CapturedSegments(segments, capture)

    return carry


@pytest.fixture(scope="session")
def run_node(pack: ModuleType, carried: Callable[..., Any]) -> Callable[..., Any]:
    """A node run with segments of the core, which go in and come out as they travel between nodes."""

    def run(node: Any, segments: Any, *values: Any, **inputs: Any) -> Any:
        output = node.execute(carried(segments), *values, **inputs)
        return type(output)(*(getattr(each, "segments", each) for each in output.args), ui=output.ui)

    return run


@pytest.fixture
def images() -> torch.Tensor:
    """Two images of blobs, `[2, 3, 100, 150]`, 0..1."""
    noise = torch.rand(2, 3, 10, 15, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(noise, size=(100, 150), mode="bicubic").clamp(0, 1)
