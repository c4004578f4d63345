"""The page that shows a record of benchmarks, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .beside_reference import BesideReference
from .captured_step import CapturedStep
from .demo_model import DemoModel
from .large_images import LargeImageRow
from .machine import Occasion
from .record import Measured, Record
from .scaling import BASE, ScalingRow
from .timing import Spread

INTRODUCTION = """\
# Benchmarks

<!-- Written by `make bench` from what it measures and keeps in benchmarks.json: changes to it are lost. -->

`make bench` measures what is on this page, and writes it. Times differ from machine to machine, ratios
less: they come first. Each is the median of at least five pairs, with the lowest and the highest in brackets.
The two of a pair ran one right after the other, after a run of each that is not counted. On a machine that
does other things at the same time the figures mean little.
"""
CPU_ONLY = """
All of it is from CPUs so far. `.venv/bin/python benchmarks/run.py --device cuda` measures on a GPU, and has
not been run on one yet; what a captured step costs there is in the page on models.
"""

CAPTURED_STEP = """
## A captured step beside a plain one

One denoising step of Stable Diffusion 1.5's UNet through ComfyUI's sampler, for an image of 512×512: as it
is, and with the attention captured. The UNet has its real size and random weights, which take as long as
trained ones. Below 1 the captured step is the quicker one: a layer's output is computed from the captured
probabilities, with no second attention pass.
"""
REFERENCE = """
## Segmentation beside the authors' code

Aggregation and segmentation of the same attention maps, of a made-up scene, by
[google/diffseg](https://github.com/google/diffseg) and by DiffSeg for ComfyUI: 64×64 grid, 16×16 anchors,
3 passes, merge threshold 1.0, 512×512 labels.

Theirs needs TensorFlow, Keras CV and scikit-learn, takes images of 512×512 with Stable Diffusion 1.4, and is
set by a threshold alone; its borders are upsampled from the 64×64 grid.
"""
NO_REFERENCE = """
Not measured yet: set `DIFFSEG_REFERENCE` to a checkout of google/diffseg, and `DIFFSEG_REFERENCE_PYTHON` to a
Python with TensorFlow and scikit-learn.
"""
SCALING = """
## How time and memory grow

From attention maps to labels, compared with one case: {base}. That one takes **{seconds}** ({aggregation} of
it for checks and aggregation) and {peak} of memory above its maps; segmenting the same maps again at another
threshold takes {again}. In each table one thing changes. Memory is the peak above the maps themselves, in a
process of its own, with some 15 MB that libraries take when they are first used.
"""
SERIES = {
    "grid": (
        "Grid",
        "grid",
        "Of the finest attention that is captured. With SD 1.x a side is an eighth of the working size. Up "
        "to 64×64 the maps grow with its fourth power; beyond, keys are pooled, and they grow with its "
        "square.",
    ),
    "anchors": ("Anchors", "anchors", "The points of the grid at which segments can begin."),
    "segments": (
        "Segments",
        "scene",
        "More regions in the scene and a lower merge threshold give more segments. Elsewhere there are 40.",
    ),
    "image": (
        "Image",
        "label map",
        "Pixels of the label map. The wide image has a wide grid, as it would in use; the others 64×64.",
    ),
}
"""For each series of cases: its title, the head of its first column, and what changes."""
LARGE_IMAGES = """
## Large images

What works on pixels, at 3000×2000: the demo photograph enlarged, with a little grain, and the attention of a
made-up scene on a 64×64 grid. Times beside those of the last release, from the same run. Time at 6000×4000,
four times the pixels, is given as a multiple. An interrupt is noticed within the time of the last column,
at 6000×4000.
"""
DEMO_MODEL = """
## The demo model, from image to label map

What `diffseg segment` does to one image: the demo model in diffusers, loaded already, on a photograph of
{width}×{height} ({grid} grid, {segments} segments). It takes **{total}** ({least} to {most}): {rate} images
a second. The stages are from runs of their own.
"""


def render(record: Record) -> str:
    """The whole page."""
    newest = max(record.occasions, key=lambda occasion: occasion.date, default=None)
    parts = [INTRODUCTION]
    if newest is not None:
        parts.append("\n" + _heading(newest))
    if not any(occasion.accelerator for occasion in record.occasions):
        parts.append(CPU_ONLY)
    for name, section in SECTIONS.items():
        measured = getattr(record, name)
        if measured is not None:
            parts += [section(measured.result), recorded(measured, newest)]
        elif name == "reference":
            parts += [REFERENCE, NO_REFERENCE]
    return "".join(parts)


def recorded(measured: Measured[Any], newest: Occasion | None) -> str:
    """When and where, if it is not what the page's heading says."""
    then = measured.occasion
    if then == newest:
        return ""
    commit = f" (commit {then.commit})" if then.commit else ""
    return f"\nRecorded {then.date} on {then.machine}; {then.software}{commit}.\n"


def captured_step(result: CapturedStep) -> str:
    """The section of that name."""
    row = [_ratio(result.time), _seconds(result.captured), _seconds(result.plain)]
    return CAPTURED_STEP + _table(["captured to plain", "captured", "plain"], [row])


def beside_reference(result: BesideReference) -> str:
    """The section of that name."""
    ours, theirs = _seconds(result.our_seconds), _seconds(result.their_seconds)
    rows = [
        ["time", _ratio(result.time), theirs, ours],
        ["processor time, all threads", _ratio(result.processor), "", ""],
        [
            "peak memory above the maps",
            f"**{_over(result.their_peak, result.our_peak)}**",
            _bytes(result.their_peak),
            _bytes(result.our_peak),
        ],
    ]
    note = (
        f"\n{result.agreeing:.2%} of the pixels are in the same segment in both. The authors' code ran on "
        f"the CPU with {result.library}.\n"
    )
    return REFERENCE + _table(["", "theirs to ours", "theirs", "ours"], rows) + note


def scaling(rows: Sequence[ScalingRow]) -> str:
    """The section of that name; the base must be among the rows."""
    base = next(row for row in rows if row.series == BASE.series)
    parts = [
        SCALING.format(
            base=base.name,
            seconds=_seconds(base.seconds),
            aggregation=_seconds(base.aggregation),
            peak=_bytes(base.peak),
            again=_seconds(base.again),
        )
    ]
    for series, (title, column, text) in SERIES.items():
        chosen = [row for row in rows if row.series == series]
        if chosen:
            head = [column, "time", "memory", "seconds", "again", "above the maps", "maps", "segments"]
            table = _table(head, [_scaling_row(row, base) for row in chosen])
            parts.append(f"\n### {title}\n\n{text}\n{table}")
    control = f"{base.time.median:.2f} ({base.time.least:.2f} to {base.time.most:.2f})"
    parts.append(f"\nThe case beside itself, in two processes, to show how exact this is: {control}.\n")
    return "".join(parts)


def large_images(rows: Sequence[LargeImageRow]) -> str:
    """The section of that name."""
    head = ["step", "segments", "time to the last release", "now", "then", "memory", "6000×4000", "interrupt"]
    return LARGE_IMAGES + _table(head, [_large_image_row(row) for row in rows])


def demo_model(result: DemoModel) -> str:
    """The section of that name."""
    text = DEMO_MODEL.format(
        width=result.width,
        height=result.height,
        grid=result.grid,
        segments=result.segments,
        total=_seconds(result.total.median),
        least=_seconds(result.total.least),
        most=_seconds(result.total.most),
        rate=_number(1 / result.total.median),
    )
    whole = sum(result.stages.values())
    rows = [[name, f"**{stage / whole:.0%}**", _seconds(stage)] for name, stage in result.stages.items()]
    return text + _table(["stage", "share", "time"], rows)


SECTIONS: dict[str, Callable[[Any], str]] = {
    "captured_step": captured_step,
    "reference": beside_reference,
    "scaling": scaling,
    "large_images": large_images,
    "demo_model": demo_model,
}
"""What shows the result of each field of a record, in the order of the page."""


def _heading(newest: Occasion) -> str:
    commit = f", commit {newest.commit}" if newest.commit else ""
    rows = [["machine", newest.machine], ["software", newest.software], ["measured", newest.date + commit]]
    return _table(["", ""], rows).lstrip()


def _scaling_row(row: ScalingRow, base: ScalingRow) -> list[str]:
    return [
        row.name,
        _ratio(row.time),
        f"**{_over(row.peak, base.peak)}**",
        _seconds(row.seconds),
        _seconds(row.again),
        _bytes(row.peak),
        _bytes(row.maps),
        str(row.segments),
    ]


def _large_image_row(row: LargeImageRow) -> list[str]:
    return [
        row.name,
        str(row.segments),
        "" if row.time is None else _ratio(row.time),
        _seconds(row.seconds),
        "" if row.before is None else _seconds(row.before),
        _bytes(row.peak),
        f"{row.growth:.1f} ×",
        _seconds(row.longest),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _ratio(spread: Spread) -> str:
    return f"**{_number(spread.median)}** ({_number(spread.least)} to {_number(spread.most)})"


def _over(one: int | None, other: int | None) -> str:
    return "not known" if one is None or other is None else _number(one / other)


def _number(value: float) -> str:
    """With two decimal places, or one from 10 on."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def _bytes(value: int | None) -> str:
    return "not known (Linux only)" if value is None else f"{value / 1e6:,.0f} MB"
