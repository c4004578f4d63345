"""Which of a model's patches failed: those of other nodes often fit one latent size only."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...diffseg_core import CaptureError, DiffSegError, GridSize
from ...diffseg_core.attention.compiled import uncompiled

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

# What PyTorch says where tensors do not fit together.
MISFIT = re.compile(r"\b(sizes?|shapes?|channels?|dimensions?)\b|must match|broadcast", re.IGNORECASE)
NO_PATCHES = ("model_sampling", "latent_format")  # object patches that no tensor goes through
FROM_CONDITIONING = ("control", "gligen", "concat_latent_image", "noise_concat")


@dataclass(frozen=True)
class Patch:
    """Something that another node put on a model: its place, and what is called there."""

    place: str
    called: Any

    def __str__(self) -> str:
        function = self._function()
        named = function if function is not None else type(self.called)
        name = getattr(named, "__qualname__", type(self.called).__qualname__).replace(".<locals>", "")
        module = str(getattr(named, "__module__", "")).replace("\\", "/").rsplit("/", 1)[-1]
        return f"{self.place} {name} of {module}" if module else f"{self.place} {name}"

    @property
    def code(self) -> Any:
        """The code that runs, as it stands in a traceback; None for what is not written in Python."""
        function = self._function()
        function = type(self.called).__call__ if function is None else function
        return getattr(function, "__code__", None)

    def _function(self) -> Callable[..., Any] | None:
        """The function in a method or a partial one; None for an object that is called."""
        called = self.called
        while hasattr(called, "func"):
            called = called.func
        called = getattr(called, "__func__", called)
        return called if hasattr(called, "__code__") else None


def patches_of(model: ModelPatcher) -> list[Patch]:
    """Every patch, wrapper and replaced part of a MODEL that a tensor goes through.

    A part that is compiled and no more is none of them.
    """
    options = model.model_options.get("transformer_options", {})
    found = [
        Patch(place, called) for place, several in options.get("patches", {}).items() for called in several
    ]
    for place, replaced in options.get("patches_replace", {}).items():
        found += [Patch(f"{place}_replace", called) for called in replaced.values()]
    for wrappers in (getattr(model, "wrappers", {}), options.get("wrappers", {})):
        for place, keyed in wrappers.items():
            found += [Patch(f"{place}_wrapper", called) for several in keyed.values() for called in several]
    if "model_function_wrapper" in model.model_options:
        found.append(Patch("model_function_wrapper", model.model_options["model_function_wrapper"]))
    parts = {
        name: part
        for name, part in model.object_patches.items()
        if name not in NO_PATCHES and uncompiled(part) is part
    }
    return found + [Patch(name, part) for name, part in parts.items()]


@contextmanager
def explained_shape_errors(model: ModelPatcher, conditioning: list[Any], grid: GridSize) -> Iterator[None]:
    """Say which patch it was, where tensors of a forward pass do not fit together.

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
        patches = patches_of(model)
        frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        culprits = [patch for patch in patches if patch.code in frames]
        given = [key for _, options in conditioning for key in FROM_CONDITIONING if key in options]
        causes = [str(patch) for patch in culprits or patches]
        causes += [] if culprits else [f"the conditioning's {key}" for key in given]
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
