"""A check for people: its record in words and tables, what suits the model, what failed, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..attention.layers import RECOMMENDED
from ..output.overlay import draw_overlay
from ..segments import Segments
from .photographs import Photograph, read_photographs
from .record import demo_model_entry, key, record
from .trials import COLOURS, CheckResults, Entry

if TYPE_CHECKING:
    from PIL.Image import Image

Cells = tuple[str, ...]
HEADER: Cells = ("", "covering", "best IoU", "mean IoU", "segments", "clicks to 85 %", "to 90 %")
TRIED: Cells = (*HEADER[:5], "s/photograph")
BY_WORDS: Cells = (
    *("", "AUC", "other words' AUC", "swapped words' AUC", "IoU", "found", "absent words found"),
    "s/photograph",
)
MISSING = "–"
COLUMNS, TILE = 5, (320, 240)  # of the picture; width and height of a photograph in pixels
BACKGROUND = (33, 33, 33)


def as_text(results: CheckResults, diffseg_version: str) -> str:
    """What was measured, what suits the model, and whether it is of use: some forty lines.

    Args:
        results: of a check, or of one that was ended.
        diffseg_version: of the package.
    """
    content = record(results, diffseg_version)
    measured = [entry for entry in content["rows"] if "by_photograph" in entry]
    words = [entry for entry in measured if entry["method"] == "words"]
    tried = [entry for entry in measured if entry["method"] in ("hierarchy", "merging", "cut")]
    parts = [_title(content), _comparison(content, tried, results.plan.clicks), _verdict(content)]
    if words:
        rows = [BY_WORDS, *(_word_row(entry, content) for entry in words)]
        parts.append(f"Objects by their names, in the attention to text\n{_table(rows)}")
        parts += [_word_verdict(entry) for entry in words if "finds" in entry]
    elif results.no_words:
        parts.append(f"Words were not measured: {results.no_words}")
    for trial, row in results.of("words").items():
        if row.error is not None:
            far = " to the end" if row.figures else ""
            parts.append(f"Words were not measured{far} at {label(trial.entry())}: {row.error}")
    if tried:
        parts.append(f"Everything tried\n{_table([TRIED, *(_trial_row(entry, content) for entry in tried)])}")
    failures = (f"{label(trial.entry())} failed: {row.error}" for trial, row in results.of("capture").items())
    parts += filter(None, ["\n".join(failures)])
    return "\n\n".join(parts) + "\n"


def draw_sheet(results: CheckResults) -> Image:
    """Draw the segments at the settings that were chosen over the photographs.

    Returns:
        the photographs in rows of up to five, RGB; one grey tile before the check came to their segments.
    """
    from PIL import Image

    photographs = [
        photograph
        for photograph in read_photographs(results.plan.photographs)
        if photograph.name in results.labels
    ]
    width, height = TILE
    columns, rows = min(COLUMNS, max(1, len(photographs))), max(1, -(-len(photographs) // COLUMNS))
    sheet = Image.new("RGB", (columns * width, rows * height), BACKGROUND)
    for place, photograph in enumerate(photographs):
        row, column = divmod(place, columns)
        sheet.paste(_tile(photograph, results.labels[photograph.name]), (column * width, row * height))
    return sheet


def label(entry: Entry) -> str:
    """A row of a record in words; layers where they are not the recommended ones."""
    words = [f"noise level {entry['noise_level']}"]
    words += [f"layers {entry['layers']}"] if entry["layers"] != RECOMMENDED else []
    words += [f"evidence {entry['evidence']}"] if "evidence" in entry else []
    words += [f"merge threshold {entry['threshold']:g}"] if "threshold" in entry else []
    words += ["normalised cuts"] if entry.get("method") == "cut" else []
    return ", ".join(words)


def _title(content: Entry) -> str:
    model = content["model"]
    kind = "A quick check" if content["quick"] else "A check"
    ended = "" if content["complete"] else " It was ended before all was tried."
    return (
        f"{kind} of {model['architecture']} ({model['parameters'] / 1e6:,.1f} million parameters, "
        f"{model['dtype']} on {model['device']}) by DiffSeg {content['diffseg']}, on "
        f"{len(content['photographs'])} photographs.{ended}"
    )


def _comparison(content: Entry, tried: Sequence[Entry], most: int) -> str:
    """The model beside the demo model and the control."""
    whole = {
        key(entry): entry
        for entry in content["rows"]
        if len(entry.get("by_photograph", ())) == len(content["photographs"])
    }
    named = {}
    if content["chosen"] is not None:
        named["this model, chosen settings"] = whole[key(content["chosen"])]
        named["this model, default settings"] = whole.get(key(content["default"]))
    elif tried:
        named[f"this model, {tried[0]['photographs']} photograph(s)"] = tried[0]
    named["the demo model"] = demo_model_entry(content["photographs"], most)
    named["colours alone"] = whole.get(key(COLOURS.entry()))
    rows: list[Cells] = [HEADER]
    for name, entry in named.items():
        if entry is not None:
            clicks = (f"{entry[to]:.1f}" if to in entry else MISSING for to in ("to_85", "to_90"))
            rows.append((name, *_figures(entry), *clicks))
    return _table(rows)


def _verdict(content: Entry) -> str:
    chosen, default = content["chosen"], content["default"]
    if chosen is None:
        return "Nothing was measured on all photographs: no settings can be chosen."
    capture = {name: chosen[name] for name in ("noise_level", "layers")}
    words = (
        f"Of what was tried, {label(chosen)} suits this model.\nSet the {label(capture)} in DiffSeg Capture "
        "Attention, the evidence in DiffSeg Hierarchy"
    )
    if chosen["merge_threshold"] is not None:
        words += f", and a merge threshold of {chosen['merge_threshold']:g} in DiffSeg Segment"
    words += "."
    merging = (None, default["merge_threshold"])
    if key(chosen) == key(default) and chosen["merge_threshold"] in merging:
        words += " These are the default settings: no others were clearly better."
    if chosen["beats_colours"] is False:
        words += (
            "\nThe model is no better than colours alone, as far as these photographs tell: what it attends "
            "to does not tell objects apart. Check that the VAE and the text encoder belong to it, or use "
            "another model."
        )
    elif chosen["beats_colours"]:
        words += "\nThe model is better than colours alone."
    if content["quick"]:
        words += "\nFew photographs say little: run the whole check before you go by it."
    return words


def _word_verdict(entry: Entry) -> str:
    """Of the default settings: others are not chosen by what they are judged by."""
    verdict = {
        None: "too few photographs to tell whether the model finds things by words.",
        True: "the model finds things by words.",
        False: "the model does not find things by words, as far as these photographs tell.",
    }[entry["finds"]]
    return (
        f"Words, as DiffSeg Find by Words reads them ({label(entry)}): AUC {entry['auc']:.2f} "
        f"(other words {entry['others']:.2f}, chance 0.50): {verdict}"
    )


def _word_row(entry: Entry, content: Entry) -> Cells:
    figures = (f"{entry[name]:.3f}" for name in ("auc", "others", "swapped", "iou"))
    shares = (f"{entry[name]:.0%}" for name in ("found", "absent"))
    return (_partly(entry, content), *figures, *shares, f"{entry['seconds']:.1f}")


def _trial_row(entry: Entry, content: Entry) -> Cells:
    return (_partly(entry, content), *_figures(entry), f"{entry['seconds']:.1f}")


def _partly(entry: Entry, content: Entry) -> str:
    count = entry["photographs"]
    return label(entry) + ("" if count == len(content["photographs"]) else f" ({count} photographs)")


def _figures(entry: Entry) -> Cells:
    figures = (f"{entry[name]:.3f}" for name in ("covering", "best_iou", "mean_iou"))
    return (*figures, f"{entry['segments']:.0f}")


def _table(rows: Sequence[Cells]) -> str:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))
        lines.append("  ".join((row[0].ljust(first), *cells)).rstrip())
    return "\n".join(lines)


def _tile(photograph: Photograph, labels: npt.NDArray[np.int32]) -> Image:
    from PIL import Image, ImageOps

    segments = Segments(torch.from_numpy(labels)[None], ())
    pixels = draw_overlay(photograph.images, segments, numbers=False)[0] * 255
    return ImageOps.pad(Image.fromarray(pixels.round().byte().numpy()), TILE, color=BACKGROUND)
