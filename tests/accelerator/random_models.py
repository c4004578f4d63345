"""Models with random weights, small ones and ones of the real size, and what their attention must be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import comfy.model_management
import comfy.supported_models
import torch
from diffseg_benchmarks.captured_step import SD15_UNET
from model_shapes import PROMPT_TOKENS, SHAPES, SIZE_EMBEDDING, Shape, bare_model

SDXL_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "channel_mult": [1, 2, 4],
    "num_res_blocks": [2, 2, 2],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "context_dim": 2048,
    "num_head_channels": 64,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "adm_in_channels": 2816,
    "num_classes": "sequential",
    "use_temporal_attention": False,
    "legacy": False,
}
LAST_OF_A_BRANCH = (".to_out.0.weight", ".ff.net.2.weight", ".proj_out.weight", ".out_layers.3.weight")
FULL_SIZE = {
    "SD 1.5": Shape(comfy.supported_models.SD15, SD15_UNET),
    "SDXL": Shape(comfy.supported_models.SDXL, SDXL_UNET),
}
LATENT_SIDES = {"SD 1.5": 64, "SDXL": 128}  # of the images that they were trained on


def random_model(
    name: str, dtype: torch.dtype, device: torch.device, offload_device: torch.device | None = None
) -> Any:
    """A MODEL whose weights are the same for every type, up to its rounding.

    Args:
        name: of `SHAPES` or `FULL_SIZE`.
        dtype: of the weights and of the work with them.
        device: it runs there.
        offload_device: it lies there at first; ``device`` if None.
    """
    shape = SHAPES.get(name) or FULL_SIZE[name]
    model = bare_model(shape, dtype, device, offload_device or device)
    # Drawn where ComfyUI computes, whatever device the model is for: billions of weights take a CPU minutes.
    source = comfy.model_management.get_torch_device()
    generator = torch.Generator(source).manual_seed(1)
    for key, weight in model.model.diffusion_model.named_parameters():
        if weight.ndim == 1:
            torch.nn.init.constant_(weight, 1.0 if key.endswith("weight") else 0.0)
            continue
        drawn = torch.randn(weight.shape, generator=generator, device=source)
        weight.data.copy_(drawn.mul_(_gain(key) * weight[0].numel() ** -0.5))
    return model


def _gain(key: str) -> float:
    """What a weight is multiplied by, after it was divided by the root of its inputs."""
    if ".attn1.to_q." in key or ".attn1.to_k." in key:
        return 2.0  # at 1 attention is nearly even, and all of it alike
    if key.endswith(LAST_OF_A_BRANCH):
        return 0.3  # at 1 every layer makes a rounding error larger, which no trained model does
    return 1.0


def random_conditioning(name: str) -> list[Any]:
    """A CONDITIONING that the model takes, and SDXL's pooled text with it."""
    generator = torch.Generator().manual_seed(2)
    config = (SHAPES.get(name) or FULL_SIZE[name]).unet_config
    prompt = torch.randn(1, PROMPT_TOKENS, config["context_dim"], generator=generator)
    if not config["adm_in_channels"]:
        return [[prompt, {}]]
    pooled = torch.randn(1, config["adm_in_channels"] - SIZE_EMBEDDING, generator=generator)
    return [[prompt, {"pooled_output": pooled}]]


def random_latent(batch: int, height: int, width: int) -> torch.Tensor:
    """A latent as it comes from a VAE: not scaled yet, and on the CPU."""
    return 5.0 * torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(3))


def expected_maps(model: Any, run: Callable[[], Any], device: torch.device) -> tuple[dict[int, Any], Any]:
    """Attention by its definition, in float64, from what the layers project while the model runs.

    Args:
        model: whose self-attention layers are listened to.
        run: runs the model once.
        device: where to compute. A device without float64 must name the CPU.

    Returns:
        by number of tokens the mean over layers and heads of softmax(QKᵀ/√d), float64 ``[B, n, n]`` on
        ``device``, and what ``run`` gave.
    """
    sums: dict[int, Any] = {}
    layers: dict[int, int] = defaultdict(int)
    queries: dict[Any, torch.Tensor] = {}

    def listen(attention: Any) -> Callable[[Any, Any, torch.Tensor], None]:
        def remember(module: Any, _: Any, projected: torch.Tensor) -> None:
            values = projected.to(device).double().unflatten(2, (attention.heads, -1)).transpose(1, 2)
            if module is attention.to_q:
                queries[attention] = values
                return
            query, tokens = queries.pop(attention), values.shape[2]
            total = sums.setdefault(tokens, torch.zeros(len(values), tokens, tokens).to(device).double())
            for head in range(attention.heads):
                scores = query[:, head] @ values[:, head].mT / values.shape[3] ** 0.5
                total += scores.softmax(-1) / attention.heads
            layers[tokens] += 1

        return remember

    with ExitStack() as hooks:
        for name, attention in model.model.diffusion_model.named_modules():
            if name.endswith(".attn1"):
                for projection in (attention.to_q, attention.to_k):
                    hooks.callback(projection.register_forward_hook(listen(attention)).remove)
        result = run()
    return {tokens: total / layers[tokens] for tokens, total in sums.items()}, result


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Between two maps ``[B, n, n]``: the probability that lies elsewhere, 0..1, the mean of all rows.

    Attention that is even at one of them and all in one token at the other differs by nearly 1.
    """
    apart = 0.0
    for mine, theirs in zip(one, other, strict=True):
        apart += float((mine.cpu().double() - theirs.cpu().double()).abs().sum(1).mean()) / 2
    return apart / len(one)
