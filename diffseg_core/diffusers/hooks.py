"""A diffusers model without its caches and guidance, for one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

HOOKS = "diffusers.hooks."
# Of the names of modules with hooks that skip a part of the model, or put what an earlier step gave into its
# place. The others move or cast weights, and stay.
SKIPPING = ("cache", "broadcast", "skip", "guidance")


@contextmanager
def whole_model(model: torch.nn.Module) -> Iterator[None]:
    """While open, every part of a model runs, past the caches and guidance that diffusers has put around it.

    What these remember of images in the making is not touched.

    Args:
        model: of diffusers, of any release; before 0.33 there were none of these hooks.
    """
    with ExitStack() as afterwards:
        for hook in _hooks(model):
            if _skips(hook):
                _stand_aside(hook.fn_ref, afterwards)
        yield


def must_end(model: torch.nn.Module) -> bool:
    """Whether hooks that stay (offloading in groups) need a forward pass to come to its end."""
    return not all(_skips(hook) for hook in _hooks(model))


def _hooks(model: torch.nn.Module) -> Iterator[Any]:
    for module in model.modules():
        registry = getattr(module, "_diffusers_hook", None)
        if registry is not None:
            yield from registry.hooks.values()


def _skips(hook: Any) -> bool:
    module = type(hook).__module__
    return module.startswith(HOOKS) and any(word in module for word in SKIPPING)


def _stand_aside(link: Any, afterwards: ExitStack) -> None:
    """Let one link of a module's chain of hooks hand on what it is given."""
    before = {name: getattr(link, name) for name in ("pre_forward", "post_forward", "forward")}
    for name, value in before.items():
        afterwards.callback(setattr, link, name, value)
    link.pre_forward = lambda module, *arguments, **named: (arguments, named)
    link.post_forward = lambda module, output: output
    if link.original_forward is not None:  # the hook runs something else in the module's place
        link.forward = link.original_forward
