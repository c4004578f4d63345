"""DiffSeg Select Segments where objects are chosen, as ComfyUI calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch
from picker_tables import read_tables

SIDE, CELLS = 64, 16
BALL, BOX, GROUND = [0.9, 0.2, 0.1], [0.1, 0.3, 0.9], [0.4, 0.6, 0.3]


@pytest.fixture
def image():
    """Two images: a red ball's square and a blue box on the ground, and the same turned upside down."""
    pixels = torch.tensor(GROUND).expand(SIDE, SIDE, 3).clone()
    pixels[8:28, 8:28] = torch.tensor(BALL)
    pixels[36:56, 34:58] = torch.tensor(BOX)
    noise = 0.02 * torch.rand(SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))
    pixels = (pixels + noise).clamp(0, 1)
    return torch.stack((pixels, pixels.flip(0)))


@pytest.fixture
def nested(pack, image):
    """Their segments, with attention that knows the things."""
    core = pack.diffseg_core
    step = SIDE // CELLS
    colours = image[:, step // 2 :: step, step // 2 :: step].flatten(1, 2)
    apart = ((colours[:, :, None] - colours[:, None]) ** 2).sum(-1)
    attention = torch.exp(-apart / 0.05) + 1e-3
    maps = core.AttentionMaps({(CELLS, CELLS): attention / attention.sum(2, keepdim=True)})
    return core.segment_hierarchy(maps, image, number=3)


@pytest.fixture
def select(pack, run_node, nested, image):
    def run(prompts: Any = "[]", invert: bool = False, image_index: int = 0, **inputs: Any):
        inputs = {"image": image, "mode": "object", **inputs}
        text = prompts if isinstance(prompts, str) else json.dumps(prompts)
        return run_node(pack.nodes.select.DiffSegSelect, nested, text, invert, image_index, **inputs)

    return run


def thing(mask: torch.Tensor) -> str:
    """What a mask ``[H, W]`` of the first image holds."""
    places = {"ball": mask[10:26, 10:26], "box": mask[38:54, 36:56], "ground": mask[:, 60:]}
    return " ".join(name for name, pixels in places.items() if pixels.float().mean() > 0.5)


ON_BALL, ON_BOX = {"x": 18, "y": 18}, {"x": 46, "y": 46}


def test_a_click_is_an_object(select, image):
    mask, masks, cutout, segments = select([ON_BALL]).args
    assert thing(mask[0]) == "ball"
    assert torch.equal(masks, mask)
    assert torch.equal(cutout[0, ..., 3], mask[0])
    assert torch.equal(cutout[0, ..., :3], image[0])
    assert segments.batch_size == 2
    assert segments.counts == [1, 0]
    assert torch.equal(segments.union()[0], mask[0])


def test_objects_come_in_their_order_and_as_segments_with_names(select):
    prompts = [{**ON_BALL, "object": "ball"}, {**ON_BOX, "object": "box"}, {"x": 2, "y": 2, "label": 0}]
    mask, masks, _, segments = select(prompts).args
    assert [thing(each) for each in masks] == ["ball", "box", ""]
    assert thing(mask[0]) == "ball box"
    assert segments.names == (("box", "ball"), ())  # by area
    assert [thing(each) for each in segments.masks(0)] == ["box", "ball"]
    assert segments.name(0, 1) == "ball"


def test_of_objects_that_overlap_the_later_one_has_the_pixels(select):
    segments = select([{"box": [0, 0, SIDE, SIDE]}, {**ON_BALL, "object": "ball"}]).args[3]
    assert [thing(each) for each in segments.masks(0)] == ["box ground", "ball"]


def test_inverted_is_what_is_none(select):
    mask, masks, cutout, segments = select([ON_BALL, {**ON_BOX, "object": "box"}], invert=True).args
    assert thing(mask[0]) == "ground"
    assert torch.equal(masks, mask)
    assert torch.equal(cutout[0, ..., 3], mask[0])
    assert segments.names == ()
    assert segments.counts == [1, 0]


def test_nothing_is_an_empty_mask(select):
    mask, masks, _, segments = select().args
    assert mask.shape == masks.shape == (1, SIDE, SIDE)
    assert not mask.any()
    assert not masks.any()
    assert segments.counts == [0, 0]
    assert select(invert=True).args[0].all()


def test_the_image_index_chooses_the_image(select):
    first = select([{"x": 18, "y": 45}], image_index=1).args[0]
    assert thing(first[0].flip(0)) == "ball"


@pytest.mark.parametrize(
    ("inputs", "things"),
    [
        ({"bounding_box": {"x": 6, "y": 6, "width": 24, "height": 24}}, ["ball"]),
        (
            {
                "bounding_box": [
                    {"x": 6.4, "y": 6.0, "width": 23.0, "height": 24},
                    {"x": 32, "y": 34, "width": 28, "height": 24},
                ]
            },
            ["ball", "box"],
        ),
        ({"bounding_box": [[{"x": 6, "y": 6, "width": 24, "height": 24}], []]}, ["ball"]),
        ({"bounding_box": []}, [""]),
        ({"more_points": '[{"x": 46, "y": 46}, {"x": 18, "y": 18, "label": 0}]'}, ["box"]),
        ({"more_points": '[{"x": 46, "y": 46, "object": "b"}]'}, ["box"]),
    ],
)
def test_boxes_and_points_come_from_other_nodes(select, inputs, things):
    assert [thing(each) for each in select(**inputs).args[1]] == things


def test_what_is_painted_is_a_scribble(select):
    drawn = torch.zeros(1, 32, 32)  # of half the size
    drawn[:, 6:12, 6:12] = 1
    assert thing(select(scribble=drawn).args[0][0]) == "ball"
    assert not select(scribble=torch.zeros(1, 64, 64)).args[0].any()
    two = torch.stack((torch.zeros(32, 32), drawn[0]))
    assert not select(scribble=two).args[0].any()
    both = select([ON_BOX], scribble=drawn).args
    assert thing(both[0][0]).startswith("ball box")
    assert len(both[1]) == 1, "clicks go on with the object that is painted"


def test_the_picker_gets_what_it_takes_to_find_the_same(select, nested):
    drawn = torch.zeros(1, SIDE, SIDE)
    drawn[:, 12:24, 12:24] = 1
    (view,) = select(
        [ON_BALL],
        bounding_box={"x": 6, "y": 6, "width": 24, "height": 24},
        scribble=drawn,
        more_points='[{"x": 46, "y": 46, "label": 0}, {"stroke": [[1, 2], [3, 4]]}]',
    ).ui["diffseg_view"]
    box, scribble, click, stroke = view["more_prompts"]
    assert box == {"box": [6, 6, 30, 30], "label": 1, "object": "Object 1"}
    leaves = nested.hierarchies[0].leaves
    assert set(scribble["leaves"]) <= set(leaves[8:28, 8:28].unique().tolist())
    assert click == {"x": 46, "y": 46, "size": 0, "label": 0, "object": "Object 1"}
    assert stroke == {"stroke": [[1, 2], [3, 4]], "label": 1, "object": "Object 1"}
    assert view["more_points"] == []
    files = view["pictures"]["0"]
    assert "objects" not in view["pictures"]["1"], "the image at hand alone"
    tables = read_tables(Path(folder_paths.get_temp_directory(), "diffseg", files["objects"]["filename"]))
    count = nested.hierarchies[0].count
    assert tables["arrivals"].shape == tables["distances"].shape == (count, count)
    assert tables["heights"].tolist() == nested.hierarchies[0].heights.tolist()
    assert tables["colours"].shape == (SIDE, SIDE, 3)
    constants = Path(__file__).resolve().parents[1] / "protocol" / "constants.json"
    assert tables["constants"] == json.loads(constants.read_text()), "as the tests of the picker have them"


def test_the_mode_segments_gets_it_too_and_works_it_out_once(pack, select, nested, image, monkeypatch):
    (first,) = select(mode="segments").ui["diffseg_view"]
    monkeypatch.setattr(pack.nodes.picker.view, "ObjectFinder", None)  # would fail
    (second,) = select([ON_BALL]).ui["diffseg_view"]
    assert first["pictures"] == second["pictures"]
    folder = Path(folder_paths.get_temp_directory()) / "diffseg"
    (folder / first["pictures"]["0"]["objects"]["filename"]).unlink()
    (third,) = select([ON_BALL]).ui["diffseg_view"]
    assert (folder / third["pictures"]["0"]["objects"]["filename"]).is_file()
    monkeypatch.undo()
    other = select([ON_BALL], image=image.clone()).ui["diffseg_view"][0]["pictures"]
    assert other == first["pictures"]


def test_without_an_image_attention_alone_finds_objects(select):
    assert thing(select([ON_BALL], image=None).args[0][0]) == "ball"


def test_prompts_of_every_kind_outside_the_image_are_counted_and_told(select, caplog):
    beyond = {"x": 900, "y": 3, "label": 0}, {"box": [70, 0, 90, 9]}, {"stroke": [[-5, 3]], "label": 0}
    prompts = [ON_BALL, *beyond, {"box": [40, 0, 5000, 9], "label": 0}]
    box = {"x": 500, "y": 6, "width": 24, "height": 24}
    for inputs, count in (
        ({}, 3),
        ({"bounding_box": box}, 4),
        ({"scribble": torch.zeros(1, 64, 64)}, 4),
        ({"negative_points": '[{"x": -1, "y": 6}]'}, 4),
        ({"more_points": '[{"x": 64, "y": 6, "object": "b"}]', "bounding_box": [box, box]}, 6),
    ):
        caplog.clear()
        found = select(prompts, **inputs)
        assert f"{count} of {5 + count - 3} prompt(s) ignored" in caplog.text
        assert thing(found.args[0][0]) == "ball"
    caplog.clear()
    select([ON_BALL])
    assert "ignored" not in caplog.text


def test_a_scribble_of_nothing_is_no_object_and_the_picker_counts_it(select):
    found = select([{**ON_BALL, "object": "ball"}], scribble=torch.zeros(1, 64, 64))
    assert len(found.args[1]) == 1
    assert found.ui["diffseg_view"][0]["more_prompts"] == [
        {"leaves": [], "label": 1, "object": "Object 1"},
    ]


def test_points_against_of_another_node_count_against(select):
    coordinates = json.dumps([{"x": 46, "y": 46}])  # as points editors write them, without labels
    everything = {"box": [0, 0, SIDE, SIDE]}
    with_label = select([{"x": 46, "y": 46, "label": 0}, everything])
    found = select([everything], negative_points=coordinates)
    assert torch.equal(found.args[0], with_label.args[0])
    assert found.ui["diffseg_view"][0]["more_prompts"] == [
        {"x": 46, "y": 46, "size": 0, "label": 0, "object": "Object 1"}
    ]
    both = select(more_points=json.dumps([ON_BALL, ON_BOX]), negative_points=coordinates)
    assert "box" not in thing(both.args[0][0])


def test_points_against_take_their_segments_out_of_what_points_choose(select, nested):
    points = [{"x": 2, "y": 2}, ON_BALL, ON_BOX]
    against = json.dumps([{"x": 45, "y": 40}, {"x": 700, "y": 1}])
    chosen = select(points, mode="segments", negative_points=against)
    assert torch.equal(chosen.args[0], select(points[:2], mode="segments").args[0])
    rest = select(points, invert=True, mode="segments", negative_points=against)
    assert torch.equal(rest.args[0], 1 - chosen.args[0])
    (view,) = chosen.ui["diffseg_view"]
    assert view["negative_points"] == json.loads(against)
    assert view["more_points"] == []


def test_points_against_are_refused_before_anything_runs_too(pack):
    validate = pack.nodes.select.DiffSegSelect.validate_inputs
    for text, mode, said in (
        ("[{", None, "not JSON"),
        ('[{"box": [1, 2, 3, 4]}]', "segments", "are for the mode object"),
        ('[{"box": [1, 2, 3, 4]}]', "object", None),
        ('[{"words": "cup"}]', "object", "words are for an object"),
    ):
        answer = validate(points="[]", negative_points=text, mode=mode)
        assert answer is True if said is None else said in answer
    sent = {"class_type": "DiffSegSelect", "inputs": {"negative_points": [{"x": 1, "y": 2}], "points": "[]"}}
    changed = pack.nodes.api_values.with_widget_values({"prompt": {"1": sent}}, {"DiffSegSelect": {}})
    assert changed["prompt"]["1"]["inputs"]["negative_points"] == '[{"x": 1, "y": 2}]'


def test_segments_of_filter_segments_are_searched_too(pack, run_node, nested, image):
    kept = nested.subset([[0, 1], [0]])
    node = pack.nodes.select.DiffSegSelect
    mask = run_node(node, kept, json.dumps([ON_BOX]), False, 0, image=image, mode="object").args[0]
    assert not mask[0][kept.labels[0] < 0].any()
    rest = run_node(node, kept, json.dumps([ON_BOX]), True, 0, image=image, mode="object").args[0]
    assert torch.equal(rest[0] + mask[0], (kept.labels[0] >= 0).float())
    nothing = run_node(
        node, nested.subset([[], []]), json.dumps([ON_BOX]), False, 0, image=image, mode="object"
    )
    assert not nothing.args[0].any()


def test_segments_without_a_hierarchy_are_refused(pack, run_node, nested, image):
    flat = pack.diffseg_core.Segments(nested.labels, ())
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="Connect DiffSeg Hierarchy"):
        run_node(pack.nodes.select.DiffSegSelect, flat, "[]", False, 0, image=image, mode="object")


def test_boxes_and_scribbles_say_nothing_of_segments(select, caplog):
    found = select([ON_BALL], mode="segments", bounding_box={"x": 1, "y": 1, "width": 5, "height": 5})
    assert "bounding_box and scribble are ignored" in caplog.text
    assert torch.equal(found.args[0], select([ON_BALL], mode="segments").args[0])
    names = found.args[3].counts
    assert names == [1, 0]


@pytest.mark.parametrize(
    ("points", "mode", "said"),
    [
        ('[{"box": [1, 2, 3, 4]}]', "object", None),
        ('[{"box": [1, 2, 3, 4]}]', "segments", "are for the mode object"),
        ('[{"box": [1, 2, 3, 4]}]', None, "are for the mode object"),
        ('[{"box": [9, 2, 3, 4]}]', "object", "box of at least one pixel"),
        ('[{"x": 1, "y": 2, "object": 3}]', "object", "name of an object as text"),
        ('[{"x": 1, "y": 2, "label": 0}]', "segments", None),
        ("nonsense", "object", "not JSON"),
    ],
)
def test_prompts_are_refused_before_anything_runs(pack, points, mode, said):
    answer = pack.nodes.select.DiffSegSelect.validate_inputs(points=points, more_points="[]", mode=mode)
    assert answer is True if said is None else said in answer


@pytest.mark.parametrize("box", [{"x": 1, "y": 2, "width": 0, "height": 3}, {"x": 1}, "text", {"x": None}])
def test_a_bounding_box_that_is_none_is_refused(pack, select, box):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="bounding box of x, y, width and height"):
        select(bounding_box=box)
