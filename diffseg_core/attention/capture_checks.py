"""What a capture may be asked for, in whichever host: refused before anything runs."""

from __future__ import annotations

from ..settings import KEEP_QUERIES, NOISE_LEVEL, NOISE_SEED, REMOVE_POSITION, RESOLUTIONS, WORKING_SIZE
from .blocks import check_blocks


def check_capture(
    timestep: int,
    noise_seed: int | None,
    resolutions: str,
    blocks: str,
    remove_position: bool,
    keep_queries: str,
    working_size: int | None = None,
) -> None:
    """Refuse settings that no model could be captured with.

    Args:
        timestep: the noise level.
        noise_seed: None for no noise.
        resolutions: of a UNet.
        blocks: of a transformer.
        remove_position: on or off.
        keep_queries: of a UNet, to the text.
        working_size: 0 or None for the model's own.

    Raises:
        InvalidSettingError: one of them is none of those that `diffseg_core.settings` has.
    """
    NOISE_LEVEL.checked(timestep)
    if noise_seed is not None:
        NOISE_SEED.checked(noise_seed)
    RESOLUTIONS.checked(resolutions)
    check_blocks(blocks)
    REMOVE_POSITION.checked(remove_position)
    KEEP_QUERIES.checked(keep_queries)
    if working_size is not None:
        WORKING_SIZE.checked(working_size)
