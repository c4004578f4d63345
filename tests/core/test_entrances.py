"""The table of entrances at the library's door: every rule in full, every parameter with a row."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffseg_tools.entrances import PAGE, RULES, SETTINGS, VALUES, page
from made_words import tree, within, words_at

import diffseg_core
from diffseg_core import AttentionMaps, InvalidAttentionError, InvalidSettingError, Segments, settings
from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.attention.layers import checked_layers
from diffseg_core.checks import Choice, Number, Switch, position
from diffseg_core.objects.points import Point
from diffseg_core.objects.prompts import Click, parse_objects, read_objects
from diffseg_core.output.file_names import fill_in_dates
from diffseg_core.output.segs import to_segs

OTHERS = {
    "segment_cut.leaves", "segment_hierarchy.leaves", "Hierarchy", "GridSize", "Images", "Segments.names",
    "capture_diffusers.pipeline", "capture_diffusers.prompt_embeds", "capture_diffusers.pooled_prompt_embeds",
    "capture_diffusers.prompt_embeds_mask", "read_words.pipeline", "read_words.encoded",
    "read_words.lines", "find_words.words",
    "as_images.clamp", "callbacks.on_step", "callbacks.on_image",
}  # fmt: skip
"""What programs pass on to each other; a person chooses none of it."""

SQUARE = torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(1))
HALVES = Segments((torch.arange(8).repeat(1, 8, 1) > 3).int(), ())


def maps() -> AttentionMaps:
    """Of a 4×4 grid, with features."""
    attention = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(2))
    features = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    return AttentionMaps({(4, 4): attention / attention.sum(-1, keepdim=True)}, features=features)


def at_door(function: str) -> Callable[..., Any]:
    """A public function with all that it needs, so that one setting is left to be given."""
    scene = torch.zeros(4, 4, dtype=torch.int64)
    calls: dict[str, Callable[..., Any]] = {
        "segment": lambda **one: diffseg_core.segment(maps(), (8, 8), **{"anchors": 2, **one}),
        "segment_hierarchy": lambda **one: diffseg_core.segment_hierarchy(maps(), SQUARE, **one),
        "segment_cut": lambda **one: diffseg_core.segment_cut(maps(), SQUARE, **one),
        "filter_segments": lambda **one: diffseg_core.filter_segments(HALVES, **one),
        "snap": lambda **one: diffseg_core.snap(HALVES, torch.ones(8, 8), **one),
        "refine_edges": lambda **one: diffseg_core.refine_edges(HALVES, SQUARE, **one),
        "draw_overlay": lambda **one: diffseg_core.draw_overlay(SQUARE, HALVES, **one),
        "draw_label_map": lambda **one: diffseg_core.draw_label_map(HALVES, **one),
        "find_words": lambda **one: diffseg_core.find_words(
            tree(scene, []), within(scene), words_at("cup", {}, (4, 4)), **one
        ),
        # Refused before the pipeline is looked at.
        "capture_diffusers": lambda **one: diffseg_core.capture_diffusers(object(), SQUARE, **one),
    }
    return calls[function]


def refusal(call: Callable[..., Any], *args: Any, **settings: Any) -> str:
    """The sentence with which a call refuses what it is given; empty if it takes it."""
    try:
        call(*args, **settings)
    except InvalidSettingError as error:
        return str(error)
    return ""


def beyond(setting: Number | Choice[Any] | Switch) -> list[Any]:
    """Values that the setting may not be, of every kind."""
    never: list[Any] = ["high", "1", [1], float("nan")]
    if isinstance(setting, Choice):
        return [*never, "", "ALL"]
    if isinstance(setting, Switch):
        return [*never, 2, -1, 0.5]
    lowest = min(0, setting.lowest) if setting.zero else setting.lowest
    numbers = [lowest - 1e-6, setting.highest * 1.001 + 1e-6, float("inf"), -float("inf"), True, False, 1j]
    return [*never, *numbers, *([1.5, torch.tensor(2.5)] if setting.whole else [])]


def within_range(setting: Number | Choice[Any] | Switch) -> list[Any]:
    """Values that the setting may be, both ends too."""
    if isinstance(setting, Choice):
        return list(setting.options)
    if isinstance(setting, Switch):
        return [True, False, 1, 0, torch.tensor(True)]
    ends = [
        setting.lowest,
        setting.highest,
        *([0] if setting.zero else []),
        *([-1] if setting.automatic else []),
    ]
    return [*ends, torch.tensor(ends[0], dtype=torch.float64), *([float(ends[0])] if setting.whole else [])]


def test_every_setting_is_refused_and_taken_by_its_rule():
    for row in SETTINGS:
        setting = getattr(settings, row.name)
        assert setting.checked(setting.default) == setting.default, row.name
        for value in within_range(setting):
            assert setting.checked(value) == value, (row.name, value)
        for value in [*beyond(setting), None]:
            assert refusal(setting.checked, value).startswith("Expected "), (row.name, value)


def test_messages_have_both_sides():
    for setting, value, message in [
        (settings.NOISE_LEVEL, 1001, "Expected a noise level of -1 (the architecture's own) or from 0 to "
         "1000, got 1001."),
        (settings.MERGE_PASSES, 2.5, "Expected merge passes as a whole number from 1 to 20, got 2.5."),
        (settings.NOISE_SEED, 2**64, f"Expected a noise seed from 0 to {2**64 - 1}, got {2**64}."),
        (settings.FINEST, 0.2, "Expected an area of the finest segments from 0.0001 to 0.1 of the image "
         "(0.01 to 10 %), got 0.2 (20 %)."),
        (settings.WORKING_SIZE, 32, "Expected a working size of 0 (the model's own) or from 64 to 4096 "
         "pixels, got 32."),
        (settings.PALETTE, "COCO", "Expected palette to be 'distinct' or 'ADE20K', got 'COCO'."),
        (settings.SOFT, "no", "Expected soft to be True or False, got 'no'."),
    ]:  # fmt: skip
        with pytest.raises(InvalidSettingError) as caught:
            setting.checked(value)
        assert str(caught.value) == message
    with pytest.raises(InvalidSettingError, match="got 0.51 .51 %."):
        settings.SMALLEST_PIECE.checked_percent(51)
    assert settings.SMALLEST_PIECE.checked_percent(50) == 0.5
    assert settings.FINEST.limits == (0.01, 10.0)
    assert settings.FINEST.entered_default == 0.06


def test_a_place_in_a_list_is_counted_from_0_and_never_from_the_end():
    assert [position(index, 3, "an index", "images") for index in (0, 2, 1.0)] == [0, 2, 1]
    for index in (-1, 3, 0.5, "0", None, True):
        with pytest.raises(InvalidSettingError, match="Expected an index .*Images: 3"):
            position(index, 3, "an index", "images")
    with pytest.raises(InvalidSettingError, match="Expected no index, got 0: no images"):
        position(0, 0, "an index", "images")


@pytest.mark.parametrize("row", [row for row in SETTINGS if row.library], ids=lambda row: row.name)
def test_the_library_keeps_the_rule_at_its_door(row):
    setting = getattr(settings, row.name)
    for entry in row.library:
        function, _, parameter = entry.partition(".")
        default = inspect.signature(getattr(diffseg_core, function)).parameters[parameter].default
        assert default is None or default == setting.default, entry
        for value in beyond(setting):
            if row.name == "MERGE_THRESHOLD" and value == [1]:
                continue  # one for each pass
            told = refusal(at_door(function), **{parameter: value})
            assert told.startswith(f"Expected {setting.what}"), (entry, value, told)


def test_the_library_takes_numbers_of_every_kind():
    """A float without a fraction is a whole number, and a single number of NumPy or PyTorch is one."""
    for row in SETTINGS:
        setting = getattr(settings, row.name)
        for function, _, parameter in (entry.partition(".") for entry in row.library):
            if not isinstance(setting, Number) or function == "capture_diffusers":
                continue
            call, default = at_door(function), setting.default
            for value in (
                np.float64(default),
                torch.tensor(default),
                *([float(default)] if setting.whole else []),
            ):
                assert not refusal(call, **{parameter: value}), (parameter, value)
    asked = CaptureSettings(300.0, np.int64(5), torch.tensor(0.0), " All ")
    assert asked == CaptureSettings(300, 5, 0, "all")
    assert [type(value) for value in vars(asked).values()] == [int, int, int, str]
    assert CaptureSettings() == CaptureSettings(-1, None, None, "recommended")
    for index in (0.0, np.int64(0), torch.tensor(0)):
        assert len(HALVES.areas(index)) == len(HALVES.masks(index)) == 2
        assert len(to_segs(HALVES, index)[1]) == len(diffseg_core.soft_masks(HALVES, SQUARE, index)) == 2


def test_marks_that_nobody_sees_do_not_count_at_any_door():
    assert diffseg_core.parse_indices("0,\u200b 2\ufeff") == (0, 2)
    assert diffseg_core.parse_classes("\ufeff0 = car,\u200b automobile") == {0: "car"}
    assert diffseg_core.parse_words("c\u200bup") == diffseg_core.parse_words("cup")
    assert diffseg_core.parse_prompts('\ufeff[{"x": 1, "y": 2}]') == diffseg_core.parse_prompts(
        '[{"x": 1, "y": 2}]'
    )
    assert checked_layers("\ufeffall") == "all"
    assert fill_in_dates("a\u200bb/c") == "ab/c"


def test_every_value_is_refused_at_its_door():
    for row in VALUES:
        room, _, name = row.door.rpartition(".")
        door = getattr(importlib.import_module(f"diffseg_core.{room}"), name)
        for case in row.refused:
            value, _, message = case.rpartition(" -> ")
            assert message in refusal(door, json.loads(value)), (row.door, value)


def test_what_is_none_of_its_kind_is_refused_and_named():
    """A program's slips: texts and lists in the place of numbers, mappings and results."""
    found = diffseg_core.segment_hierarchy(maps(), SQUARE, number=2)
    for told, call in [
        (
            "an index of a segment as",
            lambda: diffseg_core.filter_segments(HALVES, indices=[0.5]),
        ),
        (
            "an index of a segment as",
            lambda: diffseg_core.filter_segments(HALVES, indices=["0"]),
        ),
        ("indices of segments as a list", lambda: diffseg_core.filter_segments(HALVES, indices="0, 1")),
        ("indices of segments as a list", lambda: diffseg_core.filter_segments(HALVES, indices=3)),
        ("the height and width of an image", lambda: diffseg_core.segment(maps(), "88")),
        ("the height and width of an image", lambda: diffseg_core.segment(maps(), (8, 8, 8))),
        ("a height and width of an image", lambda: diffseg_core.segment(maps(), (0, 8))),
        ("a height and width of an image", lambda: diffseg_core.segment(maps(), (float("nan"), 8))),
        ("classes by the index", lambda: diffseg_core.draw_label_map(HALVES, "ADE20K", ["sky"])),
        ("an index of a segment", lambda: diffseg_core.draw_label_map(HALVES, "ADE20K", {"0": "sky"})),
        ("the name of a class as text", lambda: diffseg_core.draw_label_map(HALVES, "ADE20K", {0: 5})),
        ("attention to the words", lambda: diffseg_core.find_words(found, maps(), "cup")),
        ("every point as", lambda: diffseg_core.find_object(found, SQUARE, [{"x": "1", "y": 1}])),
        ("a list of prompts", lambda: diffseg_core.find_objects(found, SQUARE, 3)),
        ("1 image for segments of 1", lambda: diffseg_core.draw_overlay(torch.rand(2, 8, 8, 3), HALVES)),
    ]:
        assert refusal(call).startswith(f"Expected {told}"), (told, refusal(call))
    every = torch.zeros(1, 2, 2, dtype=torch.int32)
    every[0, 1] = torch.tensor([1, 2])
    for indices in ([0, 0.5, 1], [0, 3], [-1]):
        assert refusal(Segments(every, ()).subset, [indices]).startswith("Expected an index"), indices
    assert diffseg_core.filter_segments(HALVES, indices=iter([1])).counts == [1]
    assert list(read_objects({"a": [], "a\u200b": [{"x": 1, "y": 1}]})) == ["a"]
    assert refusal(read_objects, {3: []}).startswith("Expected the name of an object as text")
    assert parse_objects([Click(Point(1, 2))], against=True) == {"Object 1": (Click(Point(1, 2), False),)}
    with pytest.raises(InvalidAttentionError, match="evidence to be 'attention', 'features' or 'both'"):
        AttentionMaps({(1, 1): torch.ones(1, 1, 1)}, evidence="some")
    for wrong in ([maps()], {4: torch.ones(1, 16, 16)}):
        with pytest.raises(InvalidAttentionError, match="attention maps by their grids"):
            AttentionMaps(wrong)


def test_every_setting_and_every_parameter_has_a_row():
    of_table = {row.name for row in SETTINGS}
    kinds = (Number, Choice, Switch)
    assert of_table == {name for name, value in vars(settings).items() if isinstance(value, kinds)}
    rows = {entry for row in (*SETTINGS, *VALUES) for entry in row.library}
    found = set()
    for name in diffseg_core.__all__:
        public = getattr(diffseg_core, name)
        if inspect.isfunction(public):
            found |= {f"{name}.{parameter}" for parameter in inspect.signature(public).parameters}
    found -= OTHERS
    assert found - rows == set(), "without a row"
    assert {entry for entry in rows if not entry.startswith("AttentionMaps")} - found == set(), "of nothing"


def test_every_door_is_there_and_the_page_is_that_of_the_table():
    for door in [door for rule in RULES for door in rule.doors if door.startswith("diffseg_core")]:
        module, _, name = door.rpartition(".")
        if module.endswith("Number"):
            module, name = "diffseg_core.checks", "Number"
        assert hasattr(importlib.import_module(module), name), door
    for door in [door for rule in RULES for door in rule.doors if door.startswith("web/")]:
        assert (PAGE.parent.parent / door).is_file(), door
    assert PAGE.read_text(encoding="utf-8") == page(), "run make entrances"
