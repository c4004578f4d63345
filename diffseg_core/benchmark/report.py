"""A check for people: its record in words and tables, what suits the model, what failed, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
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

FIGURES = {
    "covering": "{covering:.3f}",
    "best IoU": "{best_iou:.3f}",
    "mean IoU": "{mean_iou:.3f}",
    "segments": "{segments:.0f}",
}
CLICKS = {"clicks to 85 %": "{to_85:.1f}", "to 90 %": "{to_90:.1f}"}
SECONDS = {"s/photograph": "{seconds:.1f}"}
WORDS = {
    "AUC": "{auc:.3f}",
    "other words' AUC": "{others:.3f}",
    "swapped words' AUC": "{swapped:.3f}",
    "IoU": "{iou:.3f}",
    "found": "{found:.0%}",
    "absent words found": "{absent:.0%}",
}
"""Columns of tables: the heading, and a cell as a row of a record fills it in."""

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
    whole = len(content["photographs"])
    tried: dict[str, Entry] = {}
    words: dict[str, Entry] = {}
    for entry in content["rows"]:
        if "by_photograph" in entry and entry["method"] != COLOURS.method:
            count = entry["photographs"]
            table = words if entry["method"] == "words" else tried
            table[label(entry) + ("" if count == whole else f" ({count} photographs)")] = entry
    parts = [_title(content), _comparison(content, tried, results.plan.clicks), _verdict(content)]
    if words:
        parts.append(f"Objects by their names, in the attention to text\n{_table(WORDS | SECONDS, words)}")
        parts += [_word_verdict(entry) for entry in words.values() if "finds" in entry]
    elif results.no_words:
        parts.append(f"Words were not measured: {results.no_words}")
    for trial, row in results.of("words").items():
        if row.error is not None:
            far = " to the end" if row.figures else ""
            parts.append(f"Words were not measured{far} at {label(trial.entry())}: {row.error}")
    if tried:
        parts.append(f"Everything tried\n{_table(FIGURES | SECONDS, tried)}")
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


def _comparison(content: Entry, tried: Mapping[str, Entry], most: int) -> str:
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
        first = next(iter(tried.values()))
        named[f"this model, {first['photographs']} photograph(s)"] = first
    named["the demo model"] = demo_model_entry(content["photographs"], most)
    named["colours alone"] = whole.get(key(COLOURS.entry()))
    return _table(FIGURES | CLICKS, {name: entry for name, entry in named.items() if entry is not None})


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


def _table(columns: Mapping[str, str], entries: Mapping[str, Entry]) -> str:
    rows = [("", *columns)]
    for name, entry in entries.items():
        rows.append((name, *(_cell(template, entry) for template in columns.values())))
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for name, *cells in rows:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join((name.ljust(first), *padded)).rstrip())
    return "\n".join(lines)


def _cell(template: str, entry: Entry) -> str:
    try:
        return template.format_map(entry)
    except KeyError:
        return MISSING


def _tile(photograph: Photograph, labels: npt.NDArray[np.int32]) -> Image:
    from PIL import Image, ImageOps

    segments = Segments(torch.from_numpy(labels)[None], ())
    pixels = draw_overlay(photograph.images, segments, numbers=False)[0] * 255
    return ImageOps.pad(Image.fromarray(pixels.round().byte().numpy()), TILE, color=BACKGROUND)
