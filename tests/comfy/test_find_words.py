"""DiffSeg Find by Words: what the node gives for each line and each image, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from word_clips import word_clip

WORDS = "cup, mug\ntable\n!hand\nsky"


@pytest.fixture(scope="module")
def clip() -> Any:
    with torch.inference_mode():
        return word_clip("SD 1")


@pytest.fixture
def run(pack, carried, run_capture, sd1, images, clip):
    """The node over two images, in which random attention is anything's: at the lowest threshold."""
    image = images.movedim(1, -1)
    attention = run_capture(image=image, vae=sd1.vae, clip=clip)
    cut = ("number of segments", 7, 0.0, 0.5, True, 0.1)
    tree = pack.nodes.hierarchy.DiffSegHierarchy.execute(attention, *cut)[0].segments

    def execute(words: str = WORDS, segments: Any = tree, attention: Any = attention) -> Any:
        node = pack.nodes.find_words.DiffSegFindWords
        output = node.execute(carried(segments, attention=attention), words, 0.0)
        return type(output)(*(getattr(each, "segments", each) for each in output.args), ui=output.ui)

    execute.attention, execute.segments = attention, tree
    return execute


def test_there_is_a_mask_for_each_line_of_each_image_and_one_for_all_together(run):
    mask, masks, segments, table = run().args
    height, width = run.segments.image_size
    assert mask.shape == (2, height, width)
    assert masks.shape == (2 * 3, height, width)  # the distractor has none
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(masks.unflatten(0, (2, 3)).sum(1), mask), "each pixel is of one line at most"
    assert segments.batch_size == 2
    for image_index, names in enumerate(segments.names):
        assert set(names) <= {"cup", "table", "sky"}
        assert len(names) == int((masks.unflatten(0, (2, 3))[image_index].amax((1, 2)) > 0).sum())
    lines = table.splitlines()
    assert all(any(f"{index}" == line.split()[0] for line in lines) for index in (0, 1))
    assert sum(name in table for name in ("cup", "table", "sky")) == 3
    assert "hand" not in table


def test_the_image_is_for_the_eye_alone(run):
    with_image, without = run(), run(attention=replace(run.attention, image=None))
    assert torch.equal(with_image[1], without[1])
    assert len(without.ui["images"]) == 2
    assert without.ui["text"] == (without[3],)


def test_a_capture_without_a_clip_is_refused_by_name(pack, run):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Connect clip at DiffSeg Capture"):
        run(attention=replace(run.attention, clip=None))


def test_segments_without_a_tree_are_taken_whole(pack, run):
    flat = pack.diffseg_core.Segments(run.segments.labels, run.segments.proposals)
    for image_index, masks in enumerate(run(segments=flat)[1].unflatten(0, (2, 3))):
        labels = flat.labels[image_index]
        for mask in masks.bool():
            assert not set(labels[mask].tolist()) & set(labels[~mask].tolist())


@pytest.mark.parametrize(("words", "told"), [("", "Expected"), ("!hand", "Expected"), ("(cup", "bracket")])
def test_words_that_cannot_be_read_are_refused_before_anything_runs(pack, words, told):
    assert told in pack.nodes.find_words.DiffSegFindWords.validate_inputs(words=words)


def test_linked_words_are_not_known_before_they_arrive(pack):
    node = pack.nodes.find_words.DiffSegFindWords
    assert node.validate_inputs() is True
    assert node.validate_inputs(words=WORDS) is True
