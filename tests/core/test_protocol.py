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


@pytest.mark.parametrize("case", table("points"), ids=lambda case: case["text"][:60])
def test_points_are_read_or_refused_as_in_the_picker(case):
    if case["points"] is None:
        with pytest.raises(InvalidSettingError):
            parse_points(case["text"])
    else:
        assert [list(point) for point in parse_points(case["text"])] == case["points"]


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


@pytest.mark.parametrize("case", table("prompts"), ids=lambda case: case["text"][:60])
def test_prompts_are_read_or_refused_as_in_the_picker(case):
    if case["objects"] is None:
        with pytest.raises(InvalidSettingError):
            parse_objects(case["text"])
    else:
        objects = parse_objects(case["text"])
        read = {name: [as_read(prompt) for prompt in prompts] for name, prompts in objects.items()}
        assert list(read.items()) == list(case["objects"].items())


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


@pytest.mark.parametrize("case", table("words"), ids=lambda case: case["text"])
def test_words_name_a_thing_as_in_the_picker(case):
    if case["name"]:
        (line,) = parse_words(case["text"])
        assert line.name == case["name"]
    else:
        with pytest.raises(InvalidSettingError, match="got none"):
            parse_words(case["text"])
