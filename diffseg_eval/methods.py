"""The methods that can be measured, made from what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import (
    ModelChoice,
    NestedSettings,
    SegmentSettings,
    WordSettings,
)
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError

from .attention_methods import (
    Clustering,
    ClusterMethod,
    DiffSegMethod,
    SharedCapture,
    attention_clusters,
    colour_clusters,
    constant,
    true_count,
)
from .baselines import (
    Baseline,
    Labels,
    Photo,
    PixelMethod,
    colour_hierarchy,
    felzenszwalb_regions,
    one_segment,
    regular_grid,
    slic_superpixels,
)
from .class_words import class_lines
from .feature_methods import MapsMethod, by_cutting, by_hierarchy
from .method_choices import BY_NAME, CUT, DIFFCUT, DIFFSEG_REFINED, WORDS, MethodChoice
from .types import Method
from .word_methods import WordMethod


def make_methods(
    choices: Sequence[MethodChoice],
    model: ModelChoice,
    capture: CaptureSettings,
    settings: Mapping[str, SegmentSettings],
    dataset: str = "",
    words: WordSettings = WordSettings(),
) -> tuple[list[Method], SharedCapture | None]:
    """Make the chosen methods; the model is loaded only if one of them needs it.

    Args:
        choices: which; "human" is none that looks at the image, and is left out.
        model, capture: what the attention and the features are captured with.
        settings: of DiffSeg, by the names under which they are recorded.
        dataset: whose classes' names those by words look for.
        words: their settings.

    Raises:
        InvalidSettingError: a method by words, and a model without a text encoder, or a dataset whose classes
            have no names.

    Returns:
        the methods in their order, and the capture that they share; None without any that uses it.
    """
    needs_model = any(choice.needs_model for choice in choices)
    by_words = any(choice.is_by_words for choice in choices)
    segmenter = Segmenter(model, capture, further_words=by_words) if needs_model else None
    if by_words and segmenter is not None and not segmenter.reads_words:
        raise InvalidSettingError(
            f"Expected a model with a text encoder for the methods by words, got {model.model}. Leave them "
            "out, or choose one of Stable Diffusion, SDXL, SD3, Flux.1 or Qwen-Image."
        )
    shared = SharedCapture(segmenter) if segmenter is not None else None
    methods: list[Method] = []
    for choice in choices:
        if shared is not None and choice.is_by_words:
            told, lines = choice.kind == WORDS, class_lines(dataset)
            methods.append(WordMethod(choice.name, shared, lines, told, words, tree_settings(settings)))
        elif shared is not None and choice.needs_model:
            methods.append(_captured_method(choice, shared, settings))
        elif BY_NAME[choice.kind].group == "pixels":
            methods.append(_pixel_method(choice))
    return methods, shared


def _captured_method(
    choice: MethodChoice, shared: SharedCapture, settings: Mapping[str, SegmentSettings]
) -> Method:
    if choice.is_diffseg:
        refine = choice.kind == DIFFSEG_REFINED
        chosen = {name: replace(each, refine_edges=refine) for name, each in settings.items()}
        return DiffSegMethod(choice.name, shared, chosen)
    if choice.cuts_a_tree:
        tree = tree_settings(settings)
        trees = (by_hierarchy(choice.kind, tree, int(number)) for number in choice.numbers)
        return MapsMethod(choice.name, shared, dict(zip(choice.settings, trees, strict=True)))
    if choice.kind in (CUT, DIFFCUT):
        cuts = (by_cutting(choice.kind, threshold) for threshold in choice.numbers)
        return MapsMethod(choice.name, shared, dict(zip(choice.settings, cuts, strict=True)))
    clustering: Clustering = colour_clusters if choice.kind.startswith("colour") else attention_clusters
    if choice.kind.endswith("oracle"):
        return ClusterMethod(choice.name, shared, clustering, {"": true_count})
    counts = zip(choice.settings, (constant(int(number)) for number in choice.numbers), strict=True)
    return ClusterMethod(choice.name, shared, clustering, dict(counts))


def tree_settings(settings: Mapping[str, SegmentSettings]) -> NestedSettings:
    """How the tree is built: as for DiffSeg where it is cut from one too, else the defaults."""
    nested = (each.method for each in settings.values() if isinstance(each.method, NestedSettings))
    return replace(next(nested, NestedSettings()), number=None, height=None)


def _pixel_method(choice: MethodChoice) -> Method:
    if choice.kind == "one-segment":
        return PixelMethod(choice.name, {"": one_segment})
    baseline: dict[str, Callable[[Photo, int], Labels]] = {
        "grid": regular_grid,
        "slic": slic_superpixels,
        "felzenszwalb": felzenszwalb_regions,
        "colour-hierarchy": colour_hierarchy,
    }
    at_numbers = (_with_number(baseline[choice.kind], int(number)) for number in choice.numbers)
    return PixelMethod(choice.name, dict(zip(choice.settings, at_numbers, strict=True)))


def _with_number(baseline: Callable[[Photo, int], Labels], number: int) -> Baseline:
    return lambda photo: baseline(photo, number)
