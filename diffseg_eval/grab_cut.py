"""GrabCut (Rother et al., 2004), OpenCV's: objects by mixtures of colours and a minimum cut over the pixels.

What an object by prompts must beat, and what it gains as a step after another method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from diffseg_core.benchmark.clicks import Bitmap
from diffseg_core.objects.prompts import Box, Click, Prompt

from .segmentations import Context, by_attention
from .types import AnnotatedImage, Finder

State = npt.NDArray[np.uint8]
"""``[H, W]``: what is known of each pixel, in OpenCV's numbers."""
BACKGROUND, OBJECT, PROBABLY_BACKGROUND, PROBABLY_OBJECT = range(4)
ITERATIONS, ITERATIONS_OF_BAND = 5, 3
CLICK_RADIUS = 3  # pixels that a click is sure of
CLICK_REACH = 0.15  # of the image's shorter side: what around a click for the object is probably it
BAND = 0.3  # of the square root of a mask's area: how far the border of a mask by clicks can move


def grab_cut(image: Image.Image, state: State, iterations: int = ITERATIONS) -> Bitmap:
    """The object, bool ``[H, W]``; always the same of the same.

    Args:
        image: mode RGB.
        state: what is known at first. Where nothing in it is object, or nothing background, there is
            nothing to learn: what is (probably) the object is returned.
        iterations: of mixtures and cuts in turn, ≥ 1.
    """
    import cv2

    state = state.copy()
    is_object = (state == OBJECT) | (state == PROBABLY_OBJECT)
    if is_object.all() or not is_object.any():
        return is_object
    cv2.setRNGSeed(0)
    mixtures = np.zeros((1, 65)), np.zeros((1, 65))
    pixels = np.ascontiguousarray(np.asarray(image)[..., ::-1])
    cv2.grabCut(pixels, state, None, *mixtures, iterations, cv2.GC_INIT_WITH_MASK)
    return (state == OBJECT) | (state == PROBABLY_OBJECT)


def by_grab_cut(run: Context, image: AnnotatedImage) -> Finder:
    """GrabCut alone, started by the prompts: boxes or clicks."""

    def find(prompts: Sequence[Prompt]) -> Bitmap:
        size = image.pixels.height, image.pixels.width
        state = np.full(size, PROBABLY_BACKGROUND, np.uint8)
        for prompt in prompts:
            if isinstance(prompt, Click) and prompt.positive:
                state[_disc(state, prompt, CLICK_REACH * min(size))] = PROBABLY_OBJECT
        return grab_cut(image.pixels, _with_prompts(state, prompts, PROBABLY_OBJECT))

    return find


def by_attention_and_grab_cut(run: Context, image: AnnotatedImage) -> Finder:
    """The object by attention as a start: its border moves anywhere in a box, near by after clicks."""
    find_first = by_attention(run, image)

    def find(prompts: Sequence[Prompt]) -> Bitmap:
        mask = find_first(prompts)
        state = np.where(mask, PROBABLY_OBJECT, PROBABLY_BACKGROUND).astype(np.uint8)
        if any(isinstance(prompt, Box) for prompt in prompts):
            return grab_cut(image.pixels, _with_prompts(state, prompts))
        if not mask.any():
            return mask
        state = _with_prompts(_band(state, mask), prompts)
        return grab_cut(image.pixels, state, ITERATIONS_OF_BAND)

    return find


def _with_prompts(state: State, prompts: Sequence[Prompt], in_box: int | None = None) -> State:
    """What the prompts are sure of: nothing outside of a box, and a click's place. The state is changed.

    Args:
        state: before.
        prompts: boxes and clicks.
        in_box: what is inside a box; None leaves it.
    """
    rows, columns = np.ogrid[: state.shape[0], : state.shape[1]]
    for prompt in prompts:
        if isinstance(prompt, Box):
            is_inside = (
                (rows >= prompt.y1) & (rows < prompt.y2) & (columns >= prompt.x1) & (columns < prompt.x2)
            )
            state[~is_inside] = BACKGROUND
            if in_box is not None:
                state[is_inside] = in_box
        elif isinstance(prompt, Click):
            state[_disc(state, prompt, CLICK_RADIUS)] = OBJECT if prompt.positive else BACKGROUND
    return state


def _disc(state: State, click: Click, radius: float) -> Bitmap:
    rows, columns = np.ogrid[: state.shape[0], : state.shape[1]]
    is_inside: Bitmap = (rows - click.point.y) ** 2 + (columns - click.point.x) ** 2 <= radius**2
    return is_inside


def _band(state: State, mask: Bitmap) -> State:
    """Sure of the mask, but for a band on both sides of its border. The state is changed."""
    import cv2

    reach = max(1, int(BAND * np.sqrt(mask.sum())))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    pixels = mask.astype(np.uint8)
    state[cv2.dilate(pixels, disc) == 0] = BACKGROUND
    state[cv2.erode(pixels, disc) > 0] = OBJECT
    return state
