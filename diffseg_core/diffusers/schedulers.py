"""What a model is given at a noise level, by the scheduler of its diffusers pipeline.

A scheduler belongs to the way in which a model was trained. Of UNets there are three: Stable Diffusion's
whole timesteps, EDM's σ (Playground 2.5, CosXL), of which they are given the logarithm, and flow matching's
share of noise.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from ..errors import UnsupportedModelError

Training = Literal["timesteps", "EDM", "flow"]

LAST_TIMESTEP = 999
EDM = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
FLOW = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler")
DISTILLED = "LCMScheduler"  # for models that know few timesteps


class Step(NamedTuple):
    """What a UNet is given: its timestep, and the factors of which the latent with noise is mixed."""

    timestep: float
    image: float  # factor of the latent
    noise: float  # factor of noise of spread 1


def step_of(scheduler: Any, level: int) -> Step:
    """The step of a UNet at a noise level.

    Where the UNet knows timesteps, the level is one of them; an LCM model is given the nearest that it knows.
    Under another scale (EDM, flow) the level lies as far up between the least and the largest σ as the
    timestep does between 0 and 999, as in ComfyUI: of EDM by their logarithms, of flow by the share of noise
    before the scheduler shifts it.

    Args:
        scheduler: of the pipeline, checked; what it was set to for making images does not count.
        level: 0..1000; 1000 is taken for 999.
    """
    config = scheduler.config
    training = _training(scheduler)
    if training == "timesteps":
        timestep = _known_timestep(scheduler, level)
        kept = scheduler.alphas_cumprod[timestep].item()
        return Step(timestep, kept**0.5, (1.0 - kept) ** 0.5)
    place = min(level, LAST_TIMESTEP) / LAST_TIMESTEP
    if training == "EDM":
        least, largest, data = _edm_sigmas(scheduler)
        sigma = math.exp(math.log(least) + place * (math.log(largest) - math.log(least)))
        scale = (sigma**2 + data**2) ** -0.5
        return Step(0.25 * math.log(sigma), scale, sigma * scale)
    count = config.num_train_timesteps
    share = (1.0 + place * (count - 1)) / count
    shift = _shift(config)
    share = shift * share / (1.0 + (shift - 1.0) * share)
    return Step(share * count, 1.0 - share, share)


def check_scheduler(scheduler: Any) -> None:
    """Refuse a scheduler under which it is not known what a UNet is to be given.

    Raises:
        UnsupportedModelError: none, or one of another scale of noise.
    """
    if scheduler is None or _training(scheduler) is None:
        raise UnsupportedModelError(
            "Expected a pipeline whose scheduler has timesteps as Stable Diffusion's have, or is of EDM "
            f"({', '.join(EDM)}) or of flow matching ({', '.join(FLOW)}), got {_name(scheduler)}. Set the "
            "pipeline's scheduler to the one that the model was trained with."
        )


def check_flow(scheduler: Any, name: str) -> None:
    """Refuse a scheduler that is not of flow matching, for a transformer that is.

    Args:
        scheduler: of the pipeline; None, and one that is not known, are taken for what the model needs.
        name: of the transformer.

    Raises:
        UnsupportedModelError: one of timesteps or of EDM.
    """
    if scheduler is not None and _training(scheduler) in ("timesteps", "EDM"):
        raise UnsupportedModelError(
            f"Expected a scheduler of flow matching, by which {name} is trained, got {_name(scheduler)}. Set "
            f"the pipeline's scheduler to a {FLOW[0]}, or give it use_flow_sigmas=True where it has that."
        )


def _training(scheduler: Any) -> Training | None:
    names = {kind.__name__ for kind in type(scheduler).__mro__}
    config = getattr(scheduler, "config", {})
    if names.intersection(FLOW):
        return None if config.get("invert_sigmas") else "flow"
    if config.get("use_flow_sigmas"):
        return "flow" if "flow_shift" in config else None
    if names.intersection(EDM) or (
        config.get("timestep_type") == "continuous" and config.get("prediction_type") == "v_prediction"
    ):
        return "EDM"
    if config.get("prediction_type") == "flow_prediction":
        return None
    return None if getattr(scheduler, "alphas_cumprod", None) is None else "timesteps"


def _known_timestep(scheduler: Any, level: int) -> int:
    count = len(scheduler.alphas_cumprod)
    if any(kind.__name__ == DISTILLED for kind in type(scheduler).__mro__):
        stride = count // scheduler.config.original_inference_steps
        return min(range(stride - 1, count, stride), key=lambda known: abs(known - level))
    return min(round(float(level)), count - 1)


def _edm_sigmas(scheduler: Any) -> tuple[float, float, float]:
    """The least and the largest σ, and the spread of the data."""
    config = scheduler.config
    least, largest = config.get("sigma_min"), config.get("sigma_max")
    if least is None or largest is None:
        kept = scheduler.alphas_cumprod[[0, -1]].tolist()
        of_table = [((1.0 - share) / share) ** 0.5 for share in kept]
        least, largest = of_table[0] if least is None else least, of_table[1] if largest is None else largest
    return least, largest, config.get("sigma_data", 1.0)


def _shift(config: Any) -> float:
    """By which the shares of noise are shifted; one that depends on the image's size is left out."""
    if config.get("use_dynamic_shifting"):
        return 1.0
    return float(config["flow_shift"] if config.get("use_flow_sigmas") else config["shift"])


def _name(scheduler: Any) -> str:
    if scheduler is None:
        return "none"
    prediction = getattr(scheduler, "config", {}).get("prediction_type")
    return type(scheduler).__name__ + (f" with prediction_type {prediction!r}" if prediction else "")
