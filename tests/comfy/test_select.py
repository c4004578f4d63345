"""DiffSeg Select Segments, as ComfyUI calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import folder_paths
import numpy as np
import pytest
import torch
from picker_tables import read_tables
from PIL import Image

LABELS = torch.tensor(
    [
        [[0, 0, 0, 1], [0, 0, 2, 1]],
        [[0, 0, 1, 1], [0, 0, -1, 1]],
    ],
    dtype=torch.int32,
)


@pytest.fixture
def segments(pack):
    return pack.diffseg_core.Segments(LABELS, (torch.empty(3, 1, 1), torch.empty(2, 1, 1)))


@pytest.fixture
def nested(pack):
    """Two images of five and three leaves, cut into three segments and two."""
    core = pack.diffseg_core

    def tree(leaves, joins):
        count = len(joins) + 1
        return core.Hierarchy(
            torch.tensor(leaves, dtype=torch.int32),
            torch.tensor(joins),
            torch.zeros(count - 1),
            torch.rand(count, 2, 2),
        )

    trees = [
        tree([[0, 1, 2, 2], [0, 3, 4, 2]], [[3, 4], [0, 1], [0, 3], [0, 2]]),
        tree([[0, 0, 0, 1], [2, 2, 2, 1]], [[0, 2], [0, 1]]),
    ]
    return core.Segments.of_hierarchies(trees, [3, 2])


@pytest.fixture
def image():
    return torch.rand(2, 2, 4, 3)


@pytest.fixture
def select(pack, run_node, segments, image):
    def run(points="[]", invert=False, image_index=0, **inputs):
        inputs = {"image": image, **inputs}
        return run_node(pack.nodes.select.DiffSegSelect, segments, points, invert, image_index, **inputs)

    return run


def written(entry):
    return Path(folder_paths.get_temp_directory()) / entry["subfolder"] / entry["filename"]


def test_chosen_segments_come_together_one_by_one_and_cut_out(select, image):
    mask, masks, cutout = select('[{"x": 3, "y": 0}, {"x": 0, "y": 1}, {"x": 1, "y": 0}]').args[:3]
    assert torch.equal(mask, torch.tensor([[[1.0, 1, 1, 1], [1, 1, 0, 1]]]))
    assert torch.equal(masks, torch.stack([LABELS[0] == 0, LABELS[0] == 1]).float())
    assert cutout.shape == (1, 2, 4, 4)
    assert torch.equal(cutout[0, ..., :3], image[0])
    assert torch.equal(cutout[0, ..., 3], mask[0])


@pytest.mark.parametrize(
    ("points", "invert", "image_index", "chosen"),
    [
        ("[]", True, 0, [0, 1, 2]),
        ('[{"x": 2, "y": 1}]', False, 0, [2]),
        ('[{"x": 2, "y": 1}]', True, 0, [0, 1]),
        ('[{"x": 2, "y": 1}]', False, 1, []),
        ('[{"x": 2, "y": 0}]', False, 1, [1]),
        ('[{"x": 2, "y": 0}]', True, 1, [0]),
    ],
)
def test_points_invert_and_image_index(select, points, invert, image_index, chosen):
    mask, masks = select(points, invert, image_index).args[:2]
    expected = torch.stack([LABELS[image_index] == index for index in chosen] or [torch.zeros(2, 4)]).float()
    assert torch.equal(masks, expected)
    assert torch.equal(mask[0], expected.amax(0))


def test_nothing_chosen_is_an_empty_mask_of_the_images_size(select):
    mask, masks, cutout = select().args[:3]
    assert torch.equal(mask, torch.zeros(1, 2, 4))
    assert torch.equal(masks, torch.zeros(1, 2, 4))
    assert not cutout[..., 3].any()


def test_points_of_another_node_are_added(select):
    mask = select('[{"x": 0, "y": 0}]', more_points='[{"x": 2, "y": 1}]').args[0]
    assert torch.equal(mask[0], (LABELS[0] != 1).float())


@pytest.mark.parametrize(
    ("granularity", "chosen"),
    [
        (0, [[0, 0, 0, 0], [0, 1, 1, 0]]),
        (1, [[1, 1, 1, 1], [1, 1, 1, 1]]),
        (2, [[1, 1, 0, 0], [1, 1, 1, 0]]),
        (4, [[0, 0, 0, 0], [0, 1, 1, 0]]),
        (5, [[0, 0, 0, 0], [0, 0, 1, 0]]),
        (99, [[0, 0, 0, 0], [0, 0, 1, 0]]),
    ],
)
def test_a_point_names_what_lies_under_it_at_every_granularity(
    pack, run_node, nested, image, granularity, chosen
):
    node = pack.nodes.select.DiffSegSelect
    points = '[{"x": 2, "y": 1}]'
    mask, masks = run_node(node, nested, points, False, 0, image=image, granularity=granularity).args[:2]
    assert mask[0].tolist() == chosen
    assert torch.equal(masks, mask)
    rest = run_node(node, nested, points, True, 0, image=image, granularity=granularity).args[0]
    assert torch.equal(rest, 1 - mask)


def test_the_picker_gets_the_tree_once_for_all_granularities(pack, run_node, nested, image):
    node = pack.nodes.select.DiffSegSelect
    views = [
        run_node(node, nested, "[]", False, 0, image=image, granularity=number).ui["diffseg_view"][0][
            "pictures"
        ]
        for number in (0, 2)
    ]
    assert views[0] == views[1]
    assert [views[0][index]["given"] for index in ("0", "1")] == [3, 2]
    tables = read_tables(written(views[0]["0"]["segments"]))
    assert np.array_equal(tables["ids"], nested.hierarchies[0].leaves.numpy() + 1)
    assert np.array_equal(tables["joins"], nested.hierarchies[0].joins.numpy())
    assert tables["areas"].tolist() == [2, 1, 3, 1, 1]
    assert tables["poles"][4].tolist() == [2, 1]


def test_another_tree_of_the_same_leaves_is_another_file(pack, run_node, nested, image):
    # The first two joins, of different segments, change places.
    trees = [
        replace(tree, joins=tree.joins[[1, 0, *range(2, tree.count - 1)]]) for tree in nested.hierarchies
    ]
    other = pack.diffseg_core.Segments.of_hierarchies(trees, [3, 2])
    node = pack.nodes.select.DiffSegSelect
    first, second = (
        run_node(node, segments, "[]", False, 0, image=image).ui["diffseg_view"][0]["pictures"]["1"]
        for segments in (nested, other)
    )
    assert first["segments"] != second["segments"]
    assert first["picture"] == second["picture"]


def test_without_a_tree_the_granularity_is_ignored(select, caplog):
    points = '[{"x": 2, "y": 1}]'
    expected = select(points)
    assert "given" not in expected.ui["diffseg_view"][0]["pictures"]["0"]
    assert not caplog.records
    found = select(points, granularity=2)
    assert "granularity of 2 is ignored" in caplog.text
    assert torch.equal(found.args[1], expected.args[1])
    assert found.ui == expected.ui


def test_points_outside_a_smaller_image_are_ignored_and_said(select, caplog):
    points, others = '[{"x": 4, "y": 0}, {"x": 2, "y": 1}]', '[{"x": 0, "y": -1}]'
    found = select(points, more_points=others)
    assert torch.equal(found.args[0][0], (LABELS[0] == 2).float())
    assert "2 of 3 point(s) ignored, as they lie outside the image of 2×4 pixels" in caplog.text
    caplog.clear()
    select('[{"x": 2, "y": 1}]')
    assert not caplog.text


def test_the_cutout_is_nowhere_more_opaque_than_the_image(select, image):
    alpha = torch.rand(2, 2, 4, 1)
    cutout = select('[{"x": 0, "y": 0}]', image_index=1, image=torch.cat([image, alpha], -1)).args[2]
    assert torch.equal(cutout[0, ..., 3], (LABELS[1] == 0) * alpha[1, ..., 0])
    assert torch.equal(cutout[0, ..., :3], image[1])
    one = select('[{"x": 0, "y": 0}]', image_index=1, image=torch.cat([image, alpha], -1)[:1]).args[2]
    assert torch.equal(one[0, ..., 3], (LABELS[1] == 0) * alpha[0, ..., 0])


def test_a_grey_image_gets_three_channels(select, image):
    cutout = select('[{"x": 0, "y": 0}]', image=image[..., :1]).args[2]
    assert torch.equal(cutout[0, ..., :3], image[0, ..., :1].expand(-1, -1, 3))
    assert torch.equal(cutout[0, ..., 3], (LABELS[0] == 0).float())


@pytest.mark.parametrize(("height", "width"), [(2, 70_000), (70_000, 3), (9000, 20)])
def test_an_image_too_large_for_browsers_is_sent_smaller(pack, run_node, height, width):
    torch.manual_seed(height)
    labels = torch.randint(0, 3, (1, height, width), dtype=torch.int32)
    segments = pack.diffseg_core.Segments(labels, (torch.empty(3, 1, 1),))
    found = run_node(
        pack.nodes.select.DiffSegSelect,
        segments,
        '[{"x": 0, "y": 0}]',
        False,
        0,
        image=torch.rand(1, height, width, 3),
    )
    assert torch.equal(found.args[0][0], (labels[0] == labels[0, 0, 0]).float())
    files = found.ui["diffseg_view"][0]["pictures"]["0"]
    tables = read_tables(written(files["segments"]))
    pixels = tables["ids"]
    rows, columns = pixels.shape
    assert max(columns, rows) == 8192
    with Image.open(written(files["picture"])) as shown:
        assert shown.size == (columns, rows)
    assert tables["size"] == [width, height]
    assert tables["areas"].sum() == height * width
    for row, column in [(0, 0), (rows - 1, columns - 1), (rows // 3, columns // 2)]:
        y, x = int((row + 0.5) * height / rows), int((column + 0.5) * width / columns)
        assert pixels[row, column] == labels[0, y, x] + 1


def test_more_segments_than_the_picker_numbers_come_out_as_masks(pack, run_node):
    labels = torch.arange(65_536, dtype=torch.int32).reshape(1, 256, 256)
    segments = pack.diffseg_core.Segments(labels, (torch.empty(65_536, 1, 1),))
    found = run_node(
        pack.nodes.select.DiffSegSelect,
        segments,
        '[{"x": 255, "y": 255}]',
        False,
        0,
        image=torch.rand(1, 256, 256, 3),
    )
    assert found.args[0].sum() == 1
    assert found.ui["diffseg_view"][0]["pictures"] == {"0": {"too_many": 65_536}}


def test_without_an_image_the_segments_colours_are_cut_out(select):
    cutout = select('[{"x": 0, "y": 0}]', image=None, image_index=1).args[2]
    colours = cutout[0, ..., :3]
    assert torch.equal(colours[0, 0], colours[1, 1])
    assert not torch.equal(colours[0, 0], colours[0, 2])
    assert not colours[1, 2].any(), "no segment, no colour"


def test_the_picker_gets_every_image_of_the_batch(select, image):
    (view,) = select(image_index=1, more_points='[{"x": 0, "y": 0}]').ui["diffseg_view"]
    assert view["batch_size"] == 2
    assert view["more_points"] == [{"x": 0, "y": 0}]
    assert set(view["pictures"]) == {"0", "1"}
    for index in range(2):
        files = view["pictures"][str(index)]
        tables = read_tables(written(files["segments"]))
        assert np.array_equal(tables["ids"], LABELS[index].numpy() + 1)
        assert tables["areas"].tolist() == LABELS[index][LABELS[index] >= 0].bincount().tolist()
        assert [LABELS[index][y, x].item() for x, y in tables["poles"]] == list(range(len(tables["areas"])))
        with Image.open(written(files["picture"])) as shown:
            assert shown.size == (4, 2)


def test_a_long_batch_sends_the_image_at_hand_only(pack, run_node, image):
    segments = pack.diffseg_core.Segments(LABELS[:1].expand(40, -1, -1), (torch.empty(3, 1, 1),) * 40)
    node = pack.nodes.select.DiffSegSelect
    (view,) = run_node(node, segments, "[]", False, 30, image=image[:1]).ui["diffseg_view"]
    assert set(view["pictures"]) == {"30"}
    assert view["batch_size"] == 40


def test_a_click_writes_no_file_anew(select):
    (first,) = select().ui["diffseg_view"]
    files = [written(entry) for entry in first["pictures"]["0"].values()]
    before = [file.stat().st_mtime_ns for file in files]
    (second,) = select('[{"x": 0, "y": 0}]').ui["diffseg_view"]
    assert second["pictures"] == first["pictures"]
    assert [file.stat().st_mtime_ns for file in files] == before
    assert not [path for path in files[0].parent.iterdir() if "partial" in path.name]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"more_points": '[{"x": 0}]'}, 'got {"x": 0} as entry 0'),
        ({"image_index": 2}, "image index from 0 to 1, got 2"),
        ({"image": torch.rand(2, 2, 5, 3)}, "2×4 pixels, got 2×5"),
    ],
)
def test_what_does_not_fit_is_refused(pack, select, inputs, message):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        select(**inputs)


@pytest.mark.parametrize("points", [[{"x": 2, "y": 1}], ({"x": 2.5, "y": 1, "label": 1},)])
def test_points_of_another_node_may_be_a_list(select, points):
    expected = select('[{"x": 2, "y": 1}]').args[0]
    assert expected.any()
    assert torch.equal(select(more_points=points).args[0], expected)
    assert torch.equal(select(points).args[0], expected)


@pytest.mark.parametrize("nothing", [None, "", "null", [], "[]"])
def test_no_points_in_every_spelling(select, nothing):
    assert not select(nothing, more_points=nothing).args[0].any()


def test_points_that_cannot_be_read_are_refused_before_anything_runs(pack):
    node = pack.nodes.select.DiffSegSelect
    assert node.validate_inputs(points='[{"x": 1, "y": 2}]') is True
    assert node.validate_inputs() is True, "points from a connection are not known yet"
    assert 'got {"x": 1} as entry 0' in node.validate_inputs(points='[{"x": 1}]')
    assert 'got {"x": 2} as entry 0' in node.validate_inputs(points="[]", more_points='[{"x": 2}]')


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"x": 120, "y": 80}], '[{"x": 120, "y": 80}]'),
        ([{"x": 1, "y": 2}, {"x": 3, "y": 4}], '[{"x": 1, "y": 2}, {"x": 3, "y": 4}]'),
        ({"__value__": [{"x": 1, "y": 2}]}, '[{"x": 1, "y": 2}]'),
        ({"x": 1, "y": 2}, '{"x": 1, "y": 2}'),
        (None, "[]"),
        ([], "[]"),
        ("[] ", "[] "),
        (["7", 0], ["7", 0]),
    ],
)
def test_points_in_a_prompt_become_text_and_links_stay(pack, value, text):
    def request(value):
        inputs = {"points": value, "more_points": value, "other": [{"x": 1}]}
        return {"prompt": {"4": {"class_type": "DiffSegSelect", "inputs": inputs}, "5": {"class_type": "A"}}}

    known = {"DiffSegSelect": dict.fromkeys(("points", "more_points", "other"))}
    assert pack.nodes.api_values.with_widget_values(request(value), known) == request(text)


@pytest.mark.parametrize(
    "odd", [{}, {"prompt": None}, {"prompt": {"1": 5, "2": {"class_type": "DiffSegSelect"}}}]
)
def test_prompts_that_are_none_are_left_to_comfyui(pack, odd):
    assert pack.nodes.api_values.with_widget_values(dict(odd), {"DiffSegSelect": {}}) == odd
