"""Every noise parametrisation that the ComfyUI at hand knows, set on a MODEL. Import ComfyUI first."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch


def parametrisations() -> Iterator[tuple[str, type]]:
    """Each table of noise levels with each way of scaling and mixing, as ComfyUI's models combine them."""
    import comfy.model_sampling

    classes = [
        value
        for value in vars(comfy.model_sampling).values()
        if inspect.isclass(value) and value.__module__ == comfy.model_sampling.__name__
    ]
    tables = [value for value in classes if issubclass(value, torch.nn.Module)]
    mixings = [value for value in classes if not issubclass(value, torch.nn.Module)]
    flows = comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.ModelSamplingFlux
    assert tables
    assert mixings
    for table, mixing in product(tables, mixings):
        if table.__name__ == "StableCascadeSampling" and mixing.__name__ != "EPS":
            continue  # its ten thousand levels are computed one by one; it is used with EPS only
        if issubclass(table, flows) and issubclass(mixing, comfy.model_sampling.EPS):
            continue  # ComfyUI cannot compute these: the table has no spread of the data
        yield f"{table.__name__}-{mixing.__name__}", type("ModelSampling", (table, mixing), {})


def samplings_of_nodes() -> dict[str, Any]:
    """By name, a function from a MODEL to one with the sampling that one of ComfyUI's nodes sets."""
    from comfy_extras import nodes_model_advanced as nodes

    discrete, continuous = nodes.ModelSamplingDiscrete(), nodes.ModelSamplingContinuousEDM()
    known = {
        f"ModelSamplingDiscrete-{name}{'-zsnr' * zsnr}": lambda model, name=name, zsnr=zsnr: discrete.patch(
            model, name, bool(zsnr)
        )
        for name, zsnr in product(discrete.INPUT_TYPES()["required"]["sampling"][0], (0, 1))
    }
    known |= {
        f"ModelSamplingContinuousEDM-{name}": lambda model, name=name: continuous.patch(
            model, name, 120.0, 0.002
        )
        for name in continuous.INPUT_TYPES()["required"]["sampling"][0]
    }
    known["ModelSamplingContinuousV"] = lambda model: nodes.ModelSamplingContinuousV().patch(
        model, "v_prediction", 500.0, 0.03
    )
    for shift in (1.0, 1.73, 3.0, 100.0):
        known[f"ModelSamplingSD3-{shift}"] = lambda model, shift=shift: nodes.ModelSamplingSD3().patch(
            model, shift
        )
        known[f"ModelSamplingAuraFlow-{shift}"] = lambda model, shift=shift: (
            nodes.ModelSamplingAuraFlow().patch_aura(model, shift)
        )
    known["ModelSamplingStableCascade"] = lambda model: nodes.ModelSamplingStableCascade().patch(model, 2.0)
    known["ModelSamplingFlux"] = lambda model: nodes.ModelSamplingFlux().patch(model, 1.15, 0.5, 1024, 1024)
    names = {name.split("-")[0] for name in known}
    missing = {name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("ModelSampling")} - names
    assert not missing, f"{missing} have no case here"
    if hasattr(nodes, "ModelNoiseScale"):
        known["ModelNoiseScale"] = lambda model: nodes.ModelNoiseScale().patch(
            nodes.ModelSamplingSD3().patch(model, 3.0)[0], 8.0
        )
    return {name: lambda model, patch=patch: patch(model)[0] for name, patch in known.items()}


def with_sampling(model: Any, kind: type) -> Any:
    """A clone of a MODEL whose sampling is of the class given."""
    clone = model.clone()
    clone.add_object_patch("model_sampling", kind(model.model.model_config))
    return clone
