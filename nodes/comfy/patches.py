"""The patches of a model, for a pass that fails: those of other nodes often fit one latent size only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...diffseg_core import CaptureError, DiffSegError, GridSize
from ...diffseg_core.attention.probe import uncompiled

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

# What PyTorch says where tensors do not fit together.
MISFIT = re.compile(r"\b(sizes?|shapes?|channels?|dimensions?)\b|must match|broadcast", re.IGNORECASE)
NO_PATCHES = ("model_sampling", "latent_format")  # object patches that no tensor goes through
FROM_CONDITIONING = ("control", "gligen", "concat_latent_image", "noise_concat")


def patches_of(model: ModelPatcher) -> list[str]:
    """Every patch, wrapper and replaced part of a MODEL that a tensor goes through: its place, and its code.

    A part that is compiled and no more is none of them.
    """
    options = model.model_options.get("transformer_options", {})
    patches = [(place, called) for place, several in options.get("patches", {}).items() for called in several]
    for place, replaced in options.get("patches_replace", {}).items():
        patches += [(f"{place}_replace", called) for called in replaced.values()]
    for wrappers in (getattr(model, "wrappers", {}), options.get("wrappers", {})):
        for place, keyed in wrappers.items():
            patches += [(f"{place}_wrapper", called) for several in keyed.values() for called in several]
    if "model_function_wrapper" in model.model_options:
        patches.append(("model_function_wrapper", model.model_options["model_function_wrapper"]))
    patches += [
        (name, part)
        for name, part in model.object_patches.items()
        if name not in NO_PATCHES and uncompiled(part) is part
    ]
    return [_described(place, called) for place, called in patches]


def _described(place: str, called: Any) -> str:
    while hasattr(called, "func"):  # of a partial function
        called = called.func
    named = called if hasattr(called, "__qualname__") else type(called)
    module = str(named.__module__).replace("\\", "/").rsplit("/", 1)[-1]
    return f"{place} {named.__qualname__.replace('.<locals>', '')} of {module}"


@contextmanager
def explained_shape_errors(model: ModelPatcher, conditioning: list[Any], grid: GridSize) -> Iterator[None]:
    """Name the patches where tensors of a forward pass do not fit together.

    Args:
        model: the MODEL as it came, without the patches of the capture.
        conditioning: of which controls and further latents are named too.
        grid: height and width of the latent.

    Raises:
        CaptureError: the pass failed in a patch, or in a model that has some. Other errors go through.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, DiffSegError) or not MISFIT.search(str(error)) or "memory" in str(error).lower():
            raise
        further = [key for _, options in conditioning for key in FROM_CONDITIONING if key in options]
        causes = [*patches_of(model), *(f"the conditioning's {key}" for key in further)]
        first = str(error).strip().split("\n")[0].rstrip(".")
        if not causes and "mat1 and mat2" not in str(error):
            raise
        if not causes:
            tokens = conditioning[0][0]
            raise CaptureError(
                f"Expected a conditioning that fits the model, got “{first}” with one of {tokens.shape[-1]} "
                "numbers to each token. Connect the CLIP that belongs to the model, or a CLIP Text Encode "
                "with it."
            ) from error
        raise CaptureError(
            f"Expected every patch of the model to fit a latent of {grid}, got “{first}” from "
            f"{' or '.join(dict.fromkeys(causes))}. A patch made for a latent of another size (Fooocus or "
            "BrushNet inpainting, LayerDiffuse) does this: connect the model before that patch, or use a "
            "latent or working size of the size that it was made for."
        ) from error
