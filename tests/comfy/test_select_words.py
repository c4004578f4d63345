"""Words among the prompts of DiffSeg Select Segments, by a small model's own text encoder and attention."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from word_clips import word_clip

SIDE = 128
FOUND, MISSED = "sky", "moon"  # by this model, in this photograph


@pytest.fixture(scope="module")
def clip():
    """The CLIP of the small SD 1.x."""
    return word_clip("SD 1")


@pytest.fixture
def photograph(pack) -> torch.Tensor:
    """The demo model's, twice, the second time mirrored."""
    with Image.open(pack.nodes.demo_model.FOLDER / "photograph.jpg") as image:
        pixels = torch.from_numpy(np.asarray(image.convert("RGB").resize((SIDE, SIDE))) / 255.0).float()
    return torch.stack((pixels, pixels.flip(1)))


@pytest.fixture
def model(make_model):
    """The small SD 1.x with attention to text that is not nearly even, as random weights have it."""
    patcher = make_model("sd1")
    for name, weight in patcher.model.diffusion_model.named_parameters():
        if ".attn2.to_q." in name or ".attn2.to_k." in name:
            weight.data.mul_(16.0)
    return patcher


@pytest.fixture
def attention(run_capture, model, sd1, photograph, clip):
    """Of the small model, with its queries to the text and its CLIP."""
    return run_capture(model=model, vae=sd1.vae, image=photograph, clip=clip)


@pytest.fixture
def nested(pack, attention, photograph):
    return pack.diffseg_core.segment_hierarchy(attention.maps, photograph, number=6)


@pytest.fixture
def select(pack, carried, nested, attention):
    def run(prompts: Any = (), image_index: int = 0, attention: Any = attention, **inputs: Any) -> Any:
        segments = carried(nested, attention=attention)
        inputs = {"mode": "object", **inputs}
        node = pack.nodes.select.DiffSegSelect
        output = node.execute(segments, json.dumps(prompts), False, image_index, **inputs)
        return type(output)(*(getattr(each, "segments", each) for each in output.args), ui=output.ui)

    return run


@pytest.fixture
def looked_for(pack, nested, attention, model, clip):
    """What the words of these lines are found to be, in each image, by the steps of DiffSeg Find by Words."""

    def run(*lines: str) -> Any:
        words_room = pack.diffseg_core.words
        words = words_room.lines.parse_words("\n".join(lines))
        read = pack.nodes.comfy.words.read_words(model, clip, attention, words)
        return words_room.find_words.find_words(nested, attention.maps, read).found

    return run


def told(output: Any, image_index: int = 0) -> Any:
    """What the picker is told of words."""
    (view,) = output.ui["diffseg_view"]
    return view["pictures"][str(image_index)].get("words")


@pytest.mark.parametrize("image_index", [0, 1])
def test_words_are_the_click_where_they_are_found(select, looked_for, image_index):
    (word,) = looked_for(FOUND)[image_index]
    assert word.found
    by_words = select([{"words": FOUND, "object": "heaven"}], image_index)
    by_click = select([{**word.place._asdict(), "object": "heaven"}], image_index)
    for ours, expected in zip(by_words.args[:3], by_click.args[:3], strict=True):
        assert torch.equal(ours, expected)
    assert by_words.args[0].any()
    assert by_words.args[3].names == by_click.args[3].names
    assert by_words.args[3].names[image_index] == ("heaven",)
    expected = {"text": FOUND, "found": True, "score": round(word.score, 4), **word.place._asdict()}
    assert told(by_words, image_index) == [expected]
    assert told(by_click, image_index) is None


def test_what_is_not_found_is_no_object_and_is_said(select, looked_for, caplog):
    (word,) = looked_for(MISSED)[0]
    assert not word.found
    output = select([{"words": MISSED, "object": "moon"}])
    assert not output.args[0].any()
    assert output.args[3].counts == [0, 0]
    assert f"'{MISSED}' was not found in image 0, best score {word.score:.2f}" in caplog.text
    assert [(each["text"], each["found"]) for each in told(output)] == [(MISSED, False)]


def test_other_prompts_of_the_object_stay(select, looked_for):
    click = {"x": 20, "y": 90, "label": 0, "object": "heaven"}
    (word,) = looked_for(FOUND)[0]
    by_words = select([{"words": FOUND, "object": "heaven"}, click])
    by_click = select([{**word.place._asdict(), "object": "heaven"}, click])
    assert torch.equal(by_words.args[0], by_click.args[0])
    missed = select([{"words": MISSED, "object": "heaven"}, {**click, "label": 1}])
    assert torch.equal(missed.args[0], select([{**click, "label": 1}]).args[0])


def test_words_that_are_looked_for_together_compete(select, looked_for):
    together = looked_for(FOUND, "tree, bush")[0]
    prompts = [{"words": FOUND, "object": "a"}, {"words": "tree, bush"}, {"words": FOUND, "object": "b"}]
    words = told(select(prompts))
    assert [each["text"] for each in words] == [FOUND, "tree, bush"]
    assert [each["score"] for each in words] == [round(each.score, 4) for each in together]
    assert words[0]["score"] != round(looked_for(FOUND)[0][0].score, 4)


def test_one_word_in_two_spellings_is_looked_for_once(select, looked_for):
    (alone,) = looked_for(FOUND)[0]
    words = told(select([{"words": FOUND}, {"words": f"{FOUND.title()} ", "object": "b"}]))
    assert [each["text"] for each in words] == [FOUND, FOUND.title()]
    assert {each["score"] for each in words} == {round(alone.score, 4)}
    assert all(each["found"] for each in words)


def test_a_word_of_two_prompts_is_refused_with_both_wherever_they_come_from(pack, select):
    one, other = [{"words": "tree"}], [{"words": "Tree, bush", "object": "b"}]
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="in 'tree' and 'Tree, bush'"):
        select([*one, *other])
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="in 'Tree, bush' and 'tree'"):
        select(one, more_points=json.dumps(other))
    node = pack.nodes.select.DiffSegSelect
    answer = node.validate_inputs(points=json.dumps(one), more_points=json.dumps(other), mode="object")
    assert "'tree'" in answer
    assert "'Tree, bush'" in answer


def test_of_too_many_segments_to_show_only_their_number_is_told(pack, select, monkeypatch):
    monkeypatch.setattr(pack.nodes.picker.view, "MAX_SEGMENTS", 1)
    output = select([{"words": FOUND}])
    (view,) = output.ui["diffseg_view"]
    assert "too_many" in view["pictures"]["0"]
    assert "words" not in view["pictures"]["0"]
    assert output.args[0].any()


def test_words_of_another_node_reach_the_picker_as_clicks(select, looked_for):
    (word,) = looked_for(FOUND)[0]
    output = select(more_points=json.dumps([{"words": FOUND, "object": "heaven"}]))
    (view,) = output.ui["diffseg_view"]
    click = {**word.place._asdict(), "size": 0, "label": 1, "object": "heaven"}
    assert view["more_prompts"] == [click]
    assert output.args[0].any()


def test_a_capture_without_a_clip_is_refused_by_name_and_told_to_the_picker(pack, select, attention):
    without = replace(attention, clip=None)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Connect clip at DiffSeg Capture"):
        select([{"words": "sky"}], attention=without)
    click = [{"x": 20, "y": 90}]
    told_with, told_without = (select(click, attention=each) for each in (attention, without))
    assert torch.equal(told_with.args[0], told_without.args[0])
    assert [each.ui["diffseg_view"][0]["has_clip"] for each in (told_with, told_without)] == [True, False]


@pytest.mark.parametrize(
    ("points", "mode", "said"),
    [
        ([{"words": "cup, mug"}, {"words": "Cup,mug", "object": "b"}], "object", None),
        ([{"words": "cup"}], "segments", "words are for the mode object"),
        ([{"words": "!hand"}], "object", "Expected"),
        ([{"words": "cup\ntable"}], "object", "one line to look for"),
        ([{"words": "(cup:lots)"}], "object", "lots"),
        ([{"words": "hand", "label": 0}], "object", "label of 1"),
    ],
)
def test_words_are_refused_before_anything_runs(pack, points, mode, said):
    node = pack.nodes.select.DiffSegSelect
    for inputs in ({"points": json.dumps(points)}, {"more_points": json.dumps(points)}):
        answer = node.validate_inputs(**inputs, mode=mode)
        assert answer is True if said is None else said in answer
