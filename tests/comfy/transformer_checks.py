"""What a capture of a transformer must give: by the inputs of its attention calls, beside the code tested.

For the tests of this release of ComfyUI and of the oldest, which is another process.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from comfyui_capture import capture_in_comfyui
from transformer_models import tiny_conditioning, tiny_latent, tiny_model

FUNCTIONS = ("optimized_attention", "optimized_attention_masked")


@dataclass
class Call:
    """One attention call, heads apart."""

    module: str  # of the network, the innermost that was running
    queries: torch.Tensor  # float64 [B, heads, n, d]
    keys: torch.Tensor

    def changed(self, other: Call) -> list[int]:
        """Which queries are not those of another run."""
        return ((self.queries - other.queries).abs().amax((0, 1, 3)) > 1e-9).nonzero().flatten().tolist()

    def probabilities(self, where: slice) -> torch.Tensor:
        """The softmax over some tokens alone, mean over heads: float64 ``[B, n, n]``."""
        q, k = self.queries[:, :, where], self.keys[:, :, where]
        scores = torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5
        return scores.softmax(-1).mean(1)


@contextmanager
def recorded(net: torch.nn.Module) -> Iterator[list[Call]]:
    """While open, every attention call of ComfyUI's models is kept, with the module that was running."""
    calls: list[Call] = []
    running: list[str] = []

    def recorder(function: Any) -> Any:
        @functools.wraps(function)
        def call(
            q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, *args: Any, **named: Any
        ) -> Any:
            wide = (q.double(), k.double())
            if not named.get("skip_reshape"):
                width = q.shape[-1] // heads
                wide = tuple(each.unflatten(-1, (-1, width)).transpose(1, 2) for each in wide)
            queries, keys = wide
            keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], 1)
            calls.append(Call(running[-1], queries.clone(), keys.clone()))
            return function(q, k, v, heads, *args, **named)

        return call

    def leave(*_: Any) -> None:
        running.pop()

    def enter(name: str) -> Any:
        def hook(*_: Any) -> None:
            running.append(name)

        return hook

    with ExitStack() as stack:
        for name, module in net.named_modules():
            stack.callback(module.register_forward_pre_hook(enter(name)).remove)
            stack.callback(module.register_forward_hook(leave, always_call=True).remove)
        for name, module in list(sys.modules.items()):
            for function in FUNCTIONS:
                if name.startswith("comfy.ldm") and hasattr(module, function):
                    original = getattr(module, function)
                    setattr(module, function, recorder(original))
                    stack.callback(setattr, module, function, original)
        yield calls


def plain_pass(
    pack: ModuleType, model: Any, latent: torch.Tensor, conditioning: Any, level: int = 300
) -> Any:
    """The model's own step at a noise level, nothing captured: its network's output, and the calls."""
    comfy_capture, net = pack.nodes.comfy.capture, model.model.diffusion_model
    outputs: list[torch.Tensor] = []
    handle = net.register_forward_hook(lambda module, arguments, output: outputs.append(output.clone()))
    backbone = comfy_capture.backbone_of(model)
    try:
        with recorded(net) as calls:
            pack.nodes.comfy.forward.denoise_once(
                model, latent, conditioning, sigma=backbone.sigma(model, level), noise_seed=None
            )
    finally:
        handle.remove()
    (output,) = outputs
    return output, calls


def captured_output(
    pack: ModuleType, model: Any, latent: torch.Tensor, conditioning: Any, **settings: Any
) -> Any:
    """The network's output in a capture that does not stop early, and the maps."""
    module = pack.nodes.comfy.capture
    outputs: list[torch.Tensor] = []
    net = model.model.diffusion_model
    handle = net.register_forward_hook(lambda module, arguments, output: outputs.append(output.clone()))
    patient = functools.partial(module.TransformerCapture, stop_early=False)
    original, module.TransformerCapture = module.TransformerCapture, patient
    try:
        maps = capture_in_comfyui(pack, model, latent, conditioning, noise_level=300, **settings)
    finally:
        module.TransformerCapture = original
        handle.remove()
    (output,) = outputs
    return output, maps


def calls_of(pack: ModuleType, model: Any, calls: list[Call]) -> dict[Any, Call]:
    """Of each layer that can be captured, its attention call."""
    transformers = pack.nodes.comfy.transformers
    backbone = pack.nodes.comfy.capture.backbone_of(model)
    paths = {module: name for name, module in backbone.net.named_modules()}
    found = {}
    for layer, module in transformers.layers_of(backbone.row, backbone.net).items():
        path = paths[module]
        own = [call for call in calls if call.module == path or call.module.startswith(f"{path}.")]
        found[layer] = own[0 if layer.has_text else 1]
    return found


def patched(latent: torch.Tensor, patch: int, line: int, column: int) -> torch.Tensor:
    """The latent with one token's places changed."""
    other = latent.clone()
    other[..., line * patch : (line + 1) * patch, column * patch : (column + 1) * patch] += 3.0
    return other


def check_architecture(pack: ModuleType, name: str) -> None:
    """Output, probabilities, places and early stop of one tiny model."""
    model, latent, conditioning = tiny_model(name), tiny_latent(name), tiny_conditioning(name)
    backbone = pack.nodes.comfy.capture.backbone_of(model)
    patch = pack.nodes.comfy.transformers.patch_of(backbone.row, backbone.net)
    height, width = latent.shape[-2] // patch, latent.shape[-1] // patch
    tokens = height * width
    output, calls = plain_pass(pack, model, latent, conditioning)
    captured, maps = captured_output(pack, model, latent, conditioning, layers="all")
    assert torch.equal(captured, output)
    assert maps.grids == ((height, width),)

    # Where the picture lies among the tokens: change one place, and see which queries change.
    line, column = height - 1, 1
    _, at_first = plain_pass(pack, model, patched(latent, patch, 0, 0), conditioning)
    _, elsewhere = plain_pass(pack, model, patched(latent, patch, line, column), conditioning)
    first, there = (
        [call.changed(other) for call, other in zip(calls, others, strict=True)]
        for others in (at_first, elsewhere)
    )
    alone = next(number for number, changed in enumerate(first) if len(changed) == 1)
    assert there[alone] == [first[alone][0] + line * width + column]

    layers = calls_of(pack, model, calls)
    own = next(iter(layers.values()))
    # Before it a refiner may have mixed the picture's tokens, but text and picture have not met yet.
    start = first[next(number for number, each in enumerate(calls) if each is own)][0]
    expected = []
    for layer, call in layers.items():
        begin = start if layer.has_text else 0  # a second attention is of the picture alone
        expected.append(call.probabilities(slice(begin, begin + tokens)))
    mean = torch.stack(expected).mean(0).float()
    # Even attention is 1/n; of a token that has nearly all, float32 knows seven digits.
    torch.testing.assert_close(maps[maps.grid], mean, rtol=2e-5, atol=1e-4 / tokens)

    one = {"noise_level": 300, "noise_seed": None, "layers": "0"}
    early = capture_in_comfyui(pack, model, latent, conditioning, **one)
    _, late = captured_output(pack, model, latent, conditioning, layers="0")
    assert torch.equal(early[early.grid], late[late.grid])
    assert torch.equal(early.features, late.features)
