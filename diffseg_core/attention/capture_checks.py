"""What a capture may be asked for, in whichever host: refused before anything runs."""

from __future__ import annotations

from typing import NamedTuple

from ..settings import (
    KEEP_QUERIES,
    NOISE_LEVEL,
    NOISE_SEED,
    REMOVE_POSITION,
    RESOLUTIONS,
    WORKING_SIZE,
    KeepQueries,
    Resolutions,
)
from .blocks import checked_blocks


class CaptureSettings(NamedTuple):
    """What a capture is asked for, once it is found possible.

    Attributes:
        timestep: the noise level.
        noise_seed: None for no noise.
        resolutions: of a UNet.
        blocks: of a transformer.
        remove_position: on or off.
        keep_queries: of a UNet, to the text.
        working_size: 0 for the model's own.
    """

    timestep: int
    noise_seed: int | None
    resolutions: Resolutions
    blocks: str
    remove_position: bool
    keep_queries: KeepQueries
    working_size: int


def checked_capture(
    timestep: object,
    noise_seed: object,
    resolutions: object,
    blocks: object,
    remove_position: object,
    keep_queries: object,
    working_size: object = None,
) -> CaptureSettings:
    """Refuse settings that no model could be captured with.

    Args:
        timestep, resolutions, blocks, remove_position, keep_queries: as of `CaptureSettings`.
        noise_seed: None for no noise.
        working_size: 0 or None for the model's own.

    Raises:
        InvalidSettingError: one of them is none of those that `diffseg_core.settings` has.
    """
    return CaptureSettings(
        NOISE_LEVEL.checked(timestep),
        None if noise_seed is None else NOISE_SEED.checked(noise_seed),
        RESOLUTIONS.checked(resolutions),
        checked_blocks(blocks),
        REMOVE_POSITION.checked(remove_position),
        KEEP_QUERIES.checked(keep_queries),
        0 if working_size is None else WORKING_SIZE.checked(working_size),
    )
