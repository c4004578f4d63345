"""What node and picker must read alike: tests/protocol, which tests/web/protocol.test.mjs reads too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from diffseg_core import Hierarchy, InvalidSettingError, Segments, parse_objects
from diffseg_core.objects.points import parse_points
from diffseg_core.objects.prompts import Box, Click, Words
from diffseg_core.words.lines import parse_words

TABLES = Path(__file__).resolve().parents[1] / "protocol"


def table(name):
    return json.loads((TABLES / f"{name}.json").read_text(encoding="utf-8"))


def read_or_refused(read, text):
    """What a text is read as; None where it is refused."""
    try:
        return read(text)
    except InvalidSettingError:
        return None


def test_points_are_read_or_refused_as_in_the_picker():
    for case in table("points"):
        points = read_or_refused(parse_points, case["text"])
        as_lists = None if points is None else [list(point) for point in points]
        assert as_lists == case["points"], case["text"]


def as_read(prompt):
    """A prompt as the table has it."""
    label = int(prompt.positive)
    if isinstance(prompt, Click):
        return {**prompt.point._asdict(), "label": label, "size": prompt.size}
    if isinstance(prompt, Box):
        return {"box": [prompt.x1, prompt.y1, prompt.x2, prompt.y2], "label": label}
    if isinstance(prompt, Words):
        return {"words": prompt.text, "label": label}
    return {"stroke": [list(point) for point in prompt.points], "label": label}


def test_prompts_are_read_or_refused_as_in_the_picker():
    for case in table("prompts"):
        objects, expected = read_or_refused(parse_objects, case["text"]), case["objects"]
        assert (objects is None) == (expected is None), case["text"]
        if objects is not None:
            read = {name: [as_read(prompt) for prompt in prompts] for name, prompts in objects.items()}
            assert list(read.items()) == list(expected.items()), case["text"]


@pytest.mark.parametrize("case", table("hierarchies"), ids=lambda case: case["name"])
def test_cuts_have_the_numbers_that_the_picker_gives_them(case):
    leaves = torch.tensor(case["ids"], dtype=torch.int32) - 1
    count = len(case["areas"])
    assert leaves[leaves >= 0].bincount().tolist() == case["areas"]
    joins = torch.tensor(case["joins"], dtype=torch.int64).reshape(-1, 2)
    tree = Hierarchy(leaves, joins, torch.zeros(count - 1), torch.rand(count, 2, 2))
    assert set(case["labels"]) == {str(number) for number in range(1, count + 1)}
    for number, labels in case["labels"].items():
        assert Segments.of_hierarchies([tree], [int(number)]).labels[0].tolist() == labels


def test_words_name_a_thing_as_in_the_picker():
    for case in table("words"):
        lines = read_or_refused(parse_words, case["text"])
        assert [line.name for line in lines or ()] == ([case["name"]] if case["name"] else []), case["text"]
