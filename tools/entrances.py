"""The table of entrances: what a person can set or give, where, and where it is checked.

Rows are data. `make entrances` writes the contributors' page from them, and the tests go through them: each
rule in full at the library's door, and at every other entrance one value that only the door refuses. An input
of a node, an option of the command or a parameter of a public function without a row fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .steps import ROOT

PAGE = ROOT / "docs" / "entrances.md"


@dataclass(frozen=True)
class Row:
    """A setting, or a value that is given.

    Attributes:
        name: of a setting, that in `diffseg_core.settings`; else what the value is called.
        library: the public functions that take it, as ``function.parameter``.
        nodes: the inputs that take it, as ``NodeId.input``.
        options: of the command, as ``segment --option``.
        door: of a value, where it is checked: a module of the core and a name in it.
        refused: of a value, JSON of one that is refused and, after " -> ", a part of the sentence.
        note: what differs at an entrance.
    """

    name: str
    library: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    door: str = ""
    refused: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Rule:
    """What holds wherever something comes in.

    Attributes:
        name: in a few words.
        text: what is done.
        doors: where: modules of the core (or ``nodes``, ``diffseg_cli``) and a name in each.
    """

    name: str
    text: str
    doors: tuple[str, ...]


def _row(name: str, library: str = "", nodes: str = "", options: str = "", note: str = "") -> Row:
    return Row(name, tuple(library.split()), tuple(nodes.split()), _options(options), note=note)


def _value(
    name: str, door: str, library: str = "", nodes: str = "", options: str = "", *refused: str, note: str = ""
) -> Row:
    entrances = (tuple(library.split()), tuple(nodes.split()), _options(options))
    return Row(name, *entrances, door, refused, note)


def _options(text: str) -> tuple[str, ...]:
    return tuple(f"segment {option}" for option in text.split())


SETTINGS = (
    _row("NOISE_LEVEL", "capture_diffusers.noise_level", "DiffSegCapture.noise_level", "--noise-level"),
    _row("INPUT_MODE", nodes="DiffSegCapture.input_mode", note="--input-mode: clean, noised"),
    _row("NOISE_SEED", "capture_diffusers.noise_seed", "DiffSegCapture.noise_seed", "--noise-seed"),
    _row("WORKING_SIZE", "capture_diffusers.working_size", "DiffSegCapture.working_size", "--working-size"),
    _row("MERGE_THRESHOLD", "segment.merge_threshold", "DiffSegSegment.merge_threshold", "--merge-threshold"),
    _row("MERGE_PASSES", "segment.merge_passes", options="--merge-passes"),
    _row("ANCHORS", "segment.anchors", "DiffSegSegment.anchors", "--anchors"),
    _row("REFINEMENT", "segment.refine", options="--refinement"),
    _row("SMALLEST_PIECE", "segment.smallest_area", "DiffSegSegment.smallest_area", "--smallest-area"),
    _row("CUT", nodes="DiffSegHierarchy.cut", note="number or height in the library and the command"),
    _row("NUMBER", "segment_hierarchy.number", "DiffSegHierarchy.number", "--granularity"),
    _row("HEIGHT", "segment_hierarchy.height", "DiffSegHierarchy.height", "--height"),
    _row(
        "NEIGHBOURS_ONLY",
        "segment_hierarchy.neighbours_only",
        "DiffSegHierarchy.neighbours_only",
        "--neighbours-only",
    ),
    _row("CONTRAST", "segment_hierarchy.contrast", options="--contrast"),
    _row("COLOUR", "segment_hierarchy.colour", options="--colour"),
    _row("FINEST", "segment_hierarchy.finest", "DiffSegHierarchy.finest", "--finest"),
    _row("EVIDENCE", "segment_hierarchy.evidence"),
    _row("CUT_THRESHOLD", "segment_cut.threshold", "DiffSegHierarchy.threshold"),
    _row("CUT_POWER", "segment_cut.power"),
    _row("CUT_BORDERS", "segment_cut.borders"),
    _row("MODE", nodes="DiffSegSelect.mode"),
    _row("GRANULARITY", nodes="DiffSegSelect.granularity"),
    _row("INVERT", nodes="DiffSegSelect.invert"),
    _row("WORD_THRESHOLD", "find_words.threshold", "DiffSegFindWords.threshold", "--words-threshold"),
    _row(
        "BACKGROUND_OFFSET",
        "find_words.background_offset",
        options="--background-offset",
    ),
    _row("SMALLEST_AREA", "filter_segments.smallest_area", "DiffSegFilter.smallest_area"),
    _row("LARGEST_AREA", "filter_segments.largest_area", "DiffSegFilter.largest_area"),
    _row("BORDER", "filter_segments.border", "DiffSegFilter.border"),
    _row("KEEP_LARGEST", "filter_segments.keep_largest", "DiffSegFilter.keep_largest"),
    _row("PLACE", "filter_segments.place", "DiffSegFilter.place"),
    _row("COVERAGE", "snap.coverage", "DiffSegSnapMask.coverage"),
    _row("REACH", "refine_edges.reach", "DiffSegRefine.reach"),
    _row("SOFT", nodes="DiffSegRefine.soft", note="soft_masks in the library"),
    _row("PALETTE", "draw_label_map.palette", "DiffSegLabelMap.palette"),
    _row("OPACITY", "draw_overlay.opacity"),
    _row("DRAW_BORDERS", "draw_overlay.borders"),
    _row("DRAW_NUMBERS", "draw_overlay.numbers"),
    _row("CROP_FACTOR", nodes="DiffSegToSEGS.crop_factor", note="to_segs in the core"),
)

VALUES = (
    _value(
        "layers of a model",
        "attention.layers.checked_layers",
        "capture_diffusers.layers",
        "DiffSegCapture.layers",
        "--layers",
        '"some" -> Expected layers of a UNet to be',
        '"9-7" -> Expected layers from 0',
        "null -> Expected layers as text",
    ),
    _value(
        "points",
        "objects.points.parse_points",
        "",
        "DiffSegSelect.points DiffSegSelect.more_points DiffSegSelect.negative_points",
        "",
        '"[{\\"x\\": 1}]" -> Expected every point',
        '"[{\\"x\\": 1e999, \\"y\\": 0}]" -> Expected every point',
        '"(3, 4)" -> not JSON',
        '"3" -> Expected a list of points',
    ),
    _value(
        "prompts of objects",
        "objects.prompts.parse_objects",
        "parse_objects.value parse_objects.against parse_prompts.value find_object.prompts "
        "find_objects.objects",
        "",
        "--prompts",
        '"[{\\"box\\": [9, 9, 2, 2]}]" -> Expected a box of at least one pixel',
        '"[{\\"x\\": 1, \\"y\\": 2, \\"label\\": 3}]" -> Expected a label of 1 or 0',
        '"[{\\"x\\": 1, \\"y\\": 2, \\"object\\": 3}]" -> Expected the name of an object as text',
        '"[{\\"stroke\\": []}]" -> such as one of',
        note="a file for each image in the command; points of DiffSegSelect in mode object",
    ),
    _value(
        "words",
        "words.lines.parse_words",
        "parse_words.text",
        "DiffSegFindWords.words",
        "--words",
        '"cup\\ncup" -> in lines 1 and 2',
        '"!" -> Expected words to look for',
        '"(cup:11)" -> Expected a weight above 0',
        '"(cup" -> Expected brackets',
        "null -> Expected words as text",
        note="commas between classes in --words, where there is one line",
    ),
    _value(
        "indices of segments",
        "segments.parse_indices",
        "parse_indices.text filter_segments.indices",
        "DiffSegFilter.indices",
        "",
        '"1.5" -> Expected indices of segments such as',
        '"7-5" -> Expected a range',
        "5 -> Expected indices of segments as text",
    ),
    _value(
        "classes of segments",
        "output.label_map.parse_classes",
        "parse_classes.text draw_label_map.classes",
        "DiffSegLabelMap.classes",
        "",
        '"0 = xyzzy" -> ADE20K class',
        '"0" -> Expected lines such as',
        '"0 = sky\\n0 = person" -> Expected one class for each segment',
        "null -> Expected classes as text",
    ),
    _value(
        "prefix of file names",
        "output.file_names.check_prefix",
        "",
        "DiffSegSave.filename_prefix",
        "",
        '"%Node.seed%" -> Expected a filename prefix with its values filled in',
        '"a:b" -> Expected a filename prefix without',
        "null -> Expected a filename prefix as text",
    ),
    _value(
        "place of an image in a batch",
        "checks.position",
        "soft_masks.image_index",
        "DiffSegSelect.image_index DiffSegToSEGS.image_index",
    ),
    _value(
        "image",
        "images.as_images",
        "as_images.images capture_diffusers.image segment_hierarchy.images segment_cut.images "
        "refine_edges.images  "
        "soft_masks.images draw_overlay.image find_object.images find_objects.images",
        "DiffSegCapture.image DiffSegHierarchy.image DiffSegSelect.image DiffSegRefine.image",
        "INPUT",
        note="floats above 1 are refused in the library and clamped in ComfyUI, as Save Image does",
    ),
    _value(
        "mask",
        "editing.snapping.masks_for",
        "snap.mask",
        "DiffSegSnapMask.mask DiffSegSelect.scribble",
    ),
    _value(
        "attention",
        "attention.maps.AttentionMaps",
        "AttentionMaps.maps segment.maps segment_hierarchy.maps segment_cut.maps find_words.maps "
        "read_words.maps",
        "DiffSegSegment.attention DiffSegHierarchy.attention",
    ),
    _value(
        "segments",
        "segments.Segments",
        "filter_segments.segments snap.segments refine_edges.segments soft_masks.segments "
        "draw_overlay.segments  "
        "draw_label_map.segments find_object.segments find_objects.segments find_words.segments",
        "DiffSegSelect.segments DiffSegFindWords.segments DiffSegFilter.segments DiffSegSnapMask.segments "
        "DiffSegRefine.segments DiffSegMasks.segments DiffSegLabelMap.segments DiffSegToSEGS.segments "
        "DiffSegSave.segments DiffSegPreview.segments",
    ),
    _value(
        "size of an image",
        "checks.size",
        "segment.image_size",
        note="the images' own elsewhere",
    ),
)

COMFYUIS_OWN = {
    "model": "nodes.comfy.capture.backbone_of",
    "conditioning": "nodes.comfy.conditioning.acting_conditioning",
    "clip": "nodes.comfy.conditioning.checked_clip",
    "vae": "nodes.comfy.latents.check_vae",
    "latent": "nodes.comfy.latents.read_latent",
    "bounding_box": "nodes.picker.prompts.connected_objects",
}
"""Inputs of ComfyUI's own types, by their name in every node, and where they are checked."""

WITHOUT_RULE = {
    "DiffSegCheckModel.quick": "on or off, of the check alone",
}
"""Inputs without a rule of their own, and why."""

COMMANDS_OWN = (
    "--help --out --save-masks --overwrite --model --device --precision --threads --input-mode "
    "--refine-edges --ray --workers"
)
"""Options of `diffseg segment` that are its own, or on or off: argparse refuses what they are not."""

RULES = (
    Rule(
        "range, whole numbers, not finite",
        "refused with the range and what came; True and False are no numbers; shares go in percent too",
        ("diffseg_core.checks.Number",),
    ),
    Rule("one of a list", "refused with the whole list", ("diffseg_core.checks.Choice",)),
    Rule("on or off", "texts are neither: Python takes any for True", ("diffseg_core.checks.Switch",)),
    Rule(
        "unit",
        "the library takes shares (0..1), nodes and command percent",
        ("diffseg_core.checks.Number.checked_percent",),
    ),
    Rule("place in a list", "from 0; none from the end", ("diffseg_core.checks.position",)),
    Rule(
        "names that mean nothing",
        "refused with the nearest names",
        ("diffseg_core.output.ade20k.class_number",),
    ),
    Rule(
        "text of people",
        "marks without a width and wide spaces do not count; files in UTF-8, or UTF-16 with its mark",
        ("diffseg_core.plain_text.plain_text", "diffseg_core.plain_text.read_plain_text"),
    ),
    Rule(
        "the same word twice",
        "refused with both quoted, within a text and among prompts",
        ("diffseg_core.words.lines.parse_words",),
    ),
    Rule(
        "outside the image",
        "does nothing, and is counted and said: on the node, in the log, and at the end of a run",
        ("diffseg_core.objects.prompts.told_outside",),
    ),
    Rule(
        "values that are not finite",
        "refused with their number",
        ("diffseg_core.images.finite_range", "diffseg_core.attention.maps.AttentionMaps"),
    ),
    Rule(
        "images that do not fit, too long, too many",
        "refused with both sizes",
        ("diffseg_core.images.check_images", "diffseg_core.attention.capture_settings.working_size"),
    ),
    Rule(
        "too many segments",
        "refused before a file is written",
        ("diffseg_core.output.export.export_segments",),
    ),
    Rule(
        "a capture's settings",
        "refused before a model is looked at, in ComfyUI and with diffusers",
        ("diffseg_core.attention.capture_settings.CaptureSettings",),
    ),
    Rule(
        "compiled",
        "captured: what is compiled runs as it was written for the one step",
        ("diffseg_core.attention.probe.not_compiled", "diffseg_core.attention.probe.uncompiled"),
    ),
    Rule(
        "a mask over tokens of the text",
        "the model heeds it; words of which a token is hidden are refused, in both hosts",
        ("diffseg_core.attention.text.TextAccumulator",),
    ),
    Rule(
        "a conditioning's options that say nothing",
        "are as if they were not there",
        ("nodes.comfy.conditioning.acting_conditioning",),
    ),
    Rule(
        "a model that cannot be captured",
        "refused by name, with a way forward",
        ("diffseg_core.errors.ANOTHER_MODEL",),
    ),
    Rule(
        "a tree",
        "joins in order, each segment once, heights that never fall: refused where a tree is made",
        ("diffseg_core.tree.Hierarchy",),
    ),
    Rule(
        "not found",
        "an empty mask of the image's size, and the node or the command says so",
        ("diffseg_core.words.find_words.FoundWord", "nodes.outputs.mask_batch"),
    ),
    Rule(
        "JSON itself, null and texts for switches through the API",
        "become what the widget would have; null is what the input is when it is left alone",
        ("nodes.api_values.with_widget_values",),
    ),
    Rule(
        "what the picker reads and writes",
        "the same as Python, held by the same tables of cases and by random sequences",
        ("web/picker/prompting/prompts.mjs",),
    ),
    Rule(
        "cached",
        "files that a cached result names and that are gone make its own node run again",
        ("nodes.picker.shown_files.losses",),
    ),
    Rule(
        "interrupted",
        "every loop of the core calls back; nodes stop there, and nothing stays changed",
        ("nodes.progress.stop_if_interrupted",),
    ),
)


def page() -> str:
    """The contributors' page: the rules, then every setting and value with its entrances."""
    import diffseg_core.settings as settings
    from diffseg_core.checks import Choice, Number, Setting

    def allowed(setting: Setting) -> str:
        if isinstance(setting, Number):
            return setting.range
        return " · ".join(setting.options) if isinstance(setting, Choice) else "on, off"

    def listed(entries: tuple[str, ...]) -> str:
        return "<br>".join(f"`{entry}`" for entry in entries) or "–"

    lines = [
        "# Entrances",
        "",
        "What a person can set or give, where, and where it is checked. This page is made from "
        "`tools/entrances.py` by `make entrances`; the tests go through the same rows. A new input, "
        "option or  "
        "parameter needs a row there. Every rule is kept once, at the library's door; nodes, the "
        "picker, the API  "
        "and the command go through it.",
        "",
        "## Rules",
        "",
        "| rule | what is done | where |",
        "| --- | --- | --- |",
        *(f"| {rule.name} | {rule.text} | {listed(rule.doors)} |" for rule in RULES),
        "",
        "## Settings",
        "",
        "All in `diffseg_core/settings.py`, which has their ranges, options and defaults.",
        "",
        "| setting | may be | default | library | node | `diffseg` | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in SETTINGS:
        setting: Setting = getattr(settings, row.name)
        cells = (allowed(setting), str(setting.default), listed(row.library), listed(row.nodes))
        lines.append(f"| {row.name} | {' | '.join(cells)} | {listed(row.options)} | {row.note} |")
    lines += [
        "",
        "## Values",
        "",
        "| value | checked by | library | node | `diffseg` | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in VALUES:
        places = " | ".join(listed(column) for column in ((row.door,), row.library, row.nodes, row.options))
        lines.append(f"| {row.name} | {places} | {row.note} |")
    lines += [
        "",
        "ComfyUI's own types are checked in one place for all nodes: "
        + ", ".join(f"`{name}` by `{door}`" for name, door in COMFYUIS_OWN.items())
        + ".",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    Path(PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
