"""A script: import the pack beside the ComfyUI in the folder given, and go once from a latent to masks.

A process of its own, because one process can import one ComfyUI only.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import torch
from diffseg_tools.in_process import import_comfyui, import_pack
from made_samplings import samplings_of_nodes
from unet_configs import SMALLEST_UNET


def main(directory: Path) -> None:
    import_comfyui(directory)
    import comfy.model_patcher
    import comfy.supported_models

    # These import ComfyUI, too.
    from transformer_checks import check_architecture
    from transformer_models import TINY, known
    from word_clips import word_clip

    pack = import_pack()
    extension = asyncio.run(pack.comfy_entrypoint())
    nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}
    cpu = torch.device("cpu")
    unet = comfy.supported_models.SD15({**SMALLEST_UNET, "dtype": torch.float32}).get_model({}, "", cpu)
    torch.manual_seed(0)
    for weight in unet.diffusion_model.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    model = comfy.model_patcher.ModelPatcher(unet, cpu, cpu)
    seen: list[torch.Tensor] = []
    unet.diffusion_model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    latent = torch.randn(2, 4, 16, 24)
    conditioning = [[torch.randn(1, 7, 32), {}]]
    captured = nodes["DiffSegCapture"].execute(
        model, 300, "clean latent", 0, 0, "all", conditioning=conditioning, latent={"samples": latent}
    )[0]
    assert captured.maps.grids == ((16, 24), (8, 12)), captured.maps.grids
    (x,) = seen
    torch.testing.assert_close(x, latent * unet.latent_format.scale_factor, rtol=0, atol=1e-5)
    segments = nodes["DiffSegSegment"].execute(captured, 0.01, 8, 0.0)[0]
    masks = nodes["DiffSegMasks"].execute(segments)[0]
    assert torch.equal(masks.sum(0), torch.full((128, 192), 2.0))  # of two images
    for name, patch in samplings_of_nodes().items():
        seen.clear()
        patched = patch(model)
        nodes["DiffSegCapture"].execute(
            patched,
            300,
            "clean latent",
            0,
            0,
            "finest",
            conditioning=conditioning,
            latent={"samples": latent[:1]},
        )
        shown = patched.get_model_object("latent_format").process_in(latent[:1])
        torch.testing.assert_close(seen[0], shown, rtol=1e-3, atol=1e-4, msg=name)
    for name in TINY:
        if known(name):
            check_architecture(pack, name)
    clip = word_clip("SD 1")
    lines = pack.diffseg_core.words.lines.parse_words("cup\ntraffic light")
    words = pack.nodes.comfy.words.read_words(model, clip, captured, lines)
    assert words.places.lines == (((4,),), ((6, 7),)), words.places
    assert words.attention.maps.shape == (2, words.attention.grid.tokens, 77)
    torch.testing.assert_close(words.attention.maps.sum(-1), torch.ones(2, words.attention.grid.tokens))
    print(", ".join(nodes))


if __name__ == "__main__":
    with torch.inference_mode():
        main(Path(sys.argv[1]))
