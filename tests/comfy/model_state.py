"""Whether a MODEL is still as it was, down to its functions and weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
import torch

STATE = (
    "patches",
    "object_patches",
    "object_patches_backup",
    "weight_wrapper_patches",
    "backup",
    "model_options",
    "wrappers",
    "callbacks",
    "injections",
    "hook_patches",
    "hook_backup",
    "attachments",
    "additional_models",
)


def copied(value: Any) -> Any:
    """Containers copied at every depth, with the same functions and objects in them."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [copied(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


@contextmanager
def left_as_it_was(model: Any) -> Iterator[None]:
    """Within the context the MODEL may be used; afterwards nothing about it is changed."""
    comfy.model_management.load_models_gpu([model])  # which notes there what it replaced, as in any workflow
    unet = model.model.diffusion_model
    before = {name: copied(getattr(model, name)) for name in STATE}
    weights = {name: weight.cpu().clone() for name, weight in unet.state_dict().items()}
    modules = {name: (module, dict(vars(module))) for name, module in model.model.named_modules()}
    identity = (model.patches_uuid, model.model, unet)
    yield
    assert {name: getattr(model, name) for name in STATE} == before
    assert identity == (model.patches_uuid, model.model, model.model.diffusion_model)
    for name, module in model.model.named_modules():
        assert modules[name][0] is module
        own = {key: value for key, value in vars(module).items() if callable(value)}
        assert own.keys() == {
            key for key, value in modules[name][1].items() if callable(value)
        }  # no new forward
    after = unet.state_dict()
    assert weights.keys() == after.keys()
    for name, weight in weights.items():
        assert torch.equal(after[name].cpu(), weight), name  # ComfyUI may have moved it meanwhile
