"""A check for people: its record in words and tables, what suits the model, what failed, and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..output.overlay import draw_overlay
from ..segments import Segments
from .measures import mean_of
from .photographs import Photograph, read_photographs
from .record import Entry, capture_entry, demo_model_entries, record, trial_entry
from .trials import CheckResults
from .verdicts import best_trial, choose, finds_by_words

Cells = tuple[str, ...]
HEADER: Cells = ("", "covering", "best IoU", "mean IoU", "segments", "clicks to 85 %", "to 90 %")
TRIED: Cells = (*HEADER[:5], "s/photograph")
BY_WORDS: Cells = (
    *("", "AUC", "other words' AUC", "swapped words' AUC", "IoU", "found", "absent words found"),
    "s/photograph",
)
MISSING = "–"
COLUMNS, TILE = 5, (240, 320)  # of the picture; height and width of a photograph in pixels
BACKGROUND = 0.13  # grey


def as_text(results: CheckResults, diffseg_version: str) -> str:
    """What was measured, what suits the model, and whether it is of use: some forty lines.

    Args:
        results: of a check, or of one that was ended.
        diffseg_version: of the package.
    """
    content = record(results, diffseg_version)
    tried = [TRIED, *(_trial_row(entry, content) for entry in content["trials"])]
    parts = [_title(results, diffseg_version), _comparison(results, content), _verdict(results)]
    parts += _words(results, content)
    if len(tried) > 1:
        parts.append(f"Everything tried\n{_table(tried)}")
    if results.failures:
        parts.append(
            "\n".join(
                f"{label(capture_entry(settings, results))} failed: {error}"
                for settings, error in results.failures.items()
            )
        )
    return "\n\n".join(parts) + "\n"


def draw_sheet(results: CheckResults) -> torch.Tensor:
    """Draw the segments at the settings that were chosen over the photographs.

    Returns:
        float32 ``[1, H, W, 3]`` in 0..1, the photographs in rows of up to five; one grey tile where nothing
        was measured on all of them.
    """
    trial = best_trial(results)
    labels = {} if trial is None else results.labels.get(trial, {})
    tiles = [
        _tile(photograph, labels[photograph.name])
        for photograph in read_photographs(results.plan.photographs)
        if photograph.name in labels
    ] or [torch.full((*TILE, 3), BACKGROUND)]
    columns = min(COLUMNS, len(tiles))
    tiles += [torch.full((*TILE, 3), BACKGROUND)] * (-len(tiles) % columns)
    rows = [torch.cat(tiles[first : first + columns], dim=1) for first in range(0, len(tiles), columns)]
    return torch.cat(rows)[None]


def label(entry: Mapping[str, Any]) -> str:
    """A trial or a capture of a record, in words."""
    words = [f"noise level {entry['noise_level']}"]
    words += [f"layers {entry['layers']}"] if "layers" in entry else []
    words += [f"evidence {entry['evidence']}"] if "evidence" in entry else []
    words += [f"merge threshold {entry['threshold']:g}"] if "threshold" in entry else []
    words += ["normalised cuts"] if entry.get("method") == "cut" else []
    return ", ".join(words)


def _title(results: CheckResults, diffseg_version: str) -> str:
    model, count = results.model, len(results.plan.photographs)
    kind = "A quick check" if results.plan.is_quick else "A check"
    ended = "" if results.is_complete else " It was ended before all was tried."
    return (
        f"{kind} of {model.architecture} ({model.parameters / 1e6:,.1f} million parameters, {model.dtype} on "
        f"{model.device}) by DiffSeg {diffseg_version}, on {count} photographs.{ended}"
    )


def _comparison(results: CheckResults, content: Entry) -> str:
    """The model beside the demo model and the control."""
    entries = {_key(entry): entry for entry in content["trials"]}
    clicks = {_key(entry): [entry["to_85"], entry["to_90"]] for entry in content["clicks"]}
    rows: list[Cells] = [HEADER]

    def add(name: str, entry: Entry, counted: Sequence[float | None]) -> None:
        cells = (MISSING if mean is None else f"{mean:.1f}" for mean in counted)
        rows.append((name, *_figures(entry), *cells))

    nothing = [None, None]
    if content["chosen"] is not None:
        chosen, default = _key(content["chosen"]), _key(content["default"])
        add("this model, chosen settings", entries[chosen], clicks.get(chosen, nothing))
        if results.default in results.finished("hierarchy"):
            add("this model, default settings", entries[default], clicks.get(default, nothing))
    elif entries:
        first = next(iter(entries.values()))
        add(f"this model, {len(first['by_photograph'])} photograph(s)", first, nothing)
    add("the demo model", *demo_model_entries(results.plan.photographs, results.plan.clicks))
    if len(results.colours) == len(results.plan.photographs):
        add("colours alone", content["colours"], clicks.get(_key({"method": "colours"}), nothing))
    return _table(rows)


def _verdict(results: CheckResults) -> str:
    choice = choose(results)
    if choice is None:
        return "Nothing was measured on all photographs: no settings can be chosen."
    words = (
        f"Of what was tried, {label(trial_entry(choice.trial, results))} suits this model.\nSet the "
        f"{label(capture_entry(choice.trial.capture, results))} in DiffSeg Capture Attention, the evidence "
        "in DiffSeg Hierarchy"
    )
    if choice.merge_threshold is not None:
        words += f", and a merge threshold of {choice.merge_threshold:g} in DiffSeg Segment"
    words += "."
    if choice.trial == results.default:
        words += " These are the default settings: no others were clearly better."
    if choice.beats_colours is False:
        words += (
            "\nThe model is no better than colours alone, as far as these photographs tell: what it attends "
            "to does not tell objects apart. Check that the VAE and the text encoder belong to it, or use "
            "another model."
        )
    elif choice.beats_colours:
        words += "\nThe model is better than colours alone."
    if results.plan.is_quick:
        words += "\nFew photographs say little: run the whole check before you go by it."
    return words


def _words(results: CheckResults, content: Entry) -> list[str]:
    """What finds the objects by their names, whether the node does, and what failed."""
    parts = []
    if content["words"]:
        rows = [BY_WORDS, *(_word_row(entry, content) for entry in content["words"])]
        parts.append(f"Objects by their names, in the attention to text\n{_table(rows)}")
        if results.default_words in results.finished("words"):
            parts.append(_word_verdict(results))
    elif results.no_words:
        parts.append(f"Words were not measured: {results.no_words}")
    failed = []
    for trial, error in results.word_failures.items():
        far = " to the end" if trial in results.trials else ""
        failed.append(f"Words were not measured{far} at {label(trial_entry(trial, results))}: {error}")
    return [*parts, "\n".join(failed)] if failed else parts


def _word_verdict(results: CheckResults) -> str:
    """Of the default settings; others are not chosen by what they are judged by."""
    trial = results.default_words
    row = results.trials[trial]
    mean = mean_of(row.figures.values())
    finds = finds_by_words(row.gains)
    text = (
        f"Words, as DiffSeg Find by Words reads them ({label(trial_entry(trial, results))}): AUC "
        f"{mean.auc:.2f} (other words {mean.others:.2f}, chance 0.50): "
    )
    if finds is None:
        return f"{text}too few photographs to tell whether the model finds things by words."
    if finds:
        return f"{text}the model finds things by words."
    return f"{text}the model does not find things by words, as far as these photographs tell."


def _word_row(entry: Entry, content: Entry) -> Cells:
    figures = (f"{entry[name]:.3f}" for name in ("auc", "others", "swapped", "iou"))
    shares = (f"{entry[name]:.0%}" for name in ("found", "absent"))
    seconds = entry["seconds"] / entry["photographs"]
    return (_partly(entry, content), *figures, *shares, f"{seconds:.1f}")


def _trial_row(entry: Entry, content: Entry) -> Cells:
    capture = next(
        each
        for each in content["captures"]
        if all(each.get(name) == entry.get(name) for name in ("noise_level", "layers"))
    )
    seconds = entry["seconds"] / len(entry["by_photograph"])
    seconds += capture["seconds"] / max(1, capture["photographs"])
    return (_partly(entry, content), *_figures(entry), f"{seconds:.1f}")


def _partly(entry: Entry, content: Entry) -> str:
    count = len(entry["by_photograph"])
    return label(entry) + ("" if count == len(content["photographs"]) else f" ({count} photographs)")


def _figures(entry: Entry) -> Cells:
    return (
        *(f"{entry[name]:.3f}" for name in ("covering", "best_iou", "mean_iou")),
        f"{entry['segments']:.0f}",
    )


def _key(entry: Mapping[str, Any]) -> Cells:
    """What tells trials of a record apart."""
    return tuple(
        str(entry.get(name)) for name in ("noise_level", "layers", "method", "evidence", "threshold")
    )


def _table(rows: Sequence[Cells]) -> str:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))
        lines.append("  ".join((row[0].ljust(first), *cells)).rstrip())
    return "\n".join(lines)


def _tile(photograph: Photograph, labels: npt.NDArray[Any]) -> torch.Tensor:
    segments = Segments(torch.from_numpy(np.asarray(labels, np.int32))[None], ())
    drawn = draw_overlay(photograph.images, segments, numbers=False).cpu().movedim(-1, 1)
    height, width = drawn.shape[2:]
    scale = min(TILE[0] / height, TILE[1] / width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = F.interpolate(drawn, size=size, mode="bilinear", antialias=True)[0].movedim(0, -1)
    tile = torch.full((*TILE, 3), BACKGROUND)
    top, left = (TILE[0] - size[0]) // 2, (TILE[1] - size[1]) // 2
    tile[top : top + size[0], left : left + size[1]] = small.clamp(0.0, 1.0)
    return tile
