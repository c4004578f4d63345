"""DiffSeg Find Object as ComfyUI runs it."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def captured(run_capture, sd1):
    image = torch.rand(2, 96, 128, 3, generator=torch.Generator().manual_seed(0))
    return run_capture(image=image, vae=sd1.vae), image


def find(pack, captured, prompts):
    attention, image = captured
    return pack.nodes.find_object.DiffSegObject.execute(attention, image, json.dumps(prompts)).args


def test_a_click_gives_a_mask_segments_and_a_score_for_each_image(pack, captured):
    mask, segments, score = find(pack, captured, [{"x": 20, "y": 30}])
    assert mask.shape == (2, 96, 128)
    assert mask[:, 30, 20].tolist() == [1.0, 1.0]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert segments.counts == [1, 1]
    assert torch.equal(segments.union(), mask)
    assert 0 < score <= 1


def test_without_a_prompt_the_mask_is_empty(pack, captured):
    mask, segments, score = find(pack, captured, [])
    assert not mask.any()
    assert (segments.counts, score) == ([0, 0], 0)


@pytest.mark.parametrize("prompts", ["[{", '[{"x": 1}]', '[{"box": [3, 3, 3, 9]}]', '[{"words": "cup"}]'])
def test_what_is_no_prompt_is_refused_before_anything_runs(pack, prompts):
    answer = pack.nodes.find_object.DiffSegObject.validate_inputs(prompts=prompts)
    assert isinstance(answer, str)
    assert "Expected" in answer


def test_a_linked_text_is_not_looked_at_before_it_is_there(pack):
    assert pack.nodes.find_object.DiffSegObject.validate_inputs() is True


def test_an_image_of_another_size_is_refused(pack, captured):
    attention, image = captured
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="attention"):
        find(pack, (attention, image[:, :50]), [{"x": 1, "y": 1}])


def test_prompts_come_through_the_api_as_a_list(pack):
    prompts = [{"box": [1, 2, 30, 40]}, {"x": 5, "y": 6, "label": 0}]
    request = {"prompt": {"7": {"class_type": "DiffSegObject", "inputs": {"prompts": prompts}}}}
    changed = pack.nodes.api_values.with_widget_values(request, {"DiffSegObject": {}})
    assert json.loads(changed["prompt"]["7"]["inputs"]["prompts"]) == prompts


def test_prompts_outside_the_image_are_told(pack, captured, caplog):
    mask, *_ = find(pack, captured, [{"x": 20, "y": 30}, {"box": [128, 0, 150, 9], "label": 0}])
    assert mask.any()
    assert "DiffSeg Find Object: 1 of 2 prompt(s) ignored" in caplog.text
    assert "such as the box [128, 0, 150, 9]" in caplog.text
