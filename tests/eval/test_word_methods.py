"""Classes found by their names: the measure by hand, methods on made-up attention, and whole runs."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree, rmtree

import made_datasets
import numpy as np
import pytest
import torch
from made_text_model import save_text_model
from PIL import Image

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_cli.batch.settings import CaptureSettings, ModelChoice, SegmentSettings
from diffseg_cli.commands import main
from diffseg_core import AttentionMaps, InvalidSettingError
from diffseg_core.attention.text import TextAttention
from diffseg_core.grid import GridSize
from diffseg_core.words.lines import TokenPlaces, Word, WordAttention, WordLine, parse_words, prompt_of
from diffseg_core.words.token_places import TooManyWordsError
from diffseg_eval.class_matching import count_named, mean_iou
from diffseg_eval.datasets import open_dataset
from diffseg_eval.methods import parse_methods
from diffseg_eval.metrics import compute_metrics
from diffseg_eval.segmentations import Context
from diffseg_eval.types import VOID, AnnotatedImage
from diffseg_eval.word_methods import CLASS_WORDS, by_words, class_lines, joined, read_words

GRID, SIDE = 16, 64
COUNTS = {"voc": 20, "context": 59, "coco-object": 80, "cityscapes27": 27, "ade20k": 150}


def lines_of(*names: str) -> tuple[WordLine, ...]:
    return tuple(WordLine((Word(name),)) for name in names)


def test_the_measure_by_name_is_the_one_worked_by_hand():
    # Two classes and a background (2). First image: of 10 pixels of class 0, 6 are right, 3 are taken for 1
    # and 1 for background; of 5 of background 4 are right and 1 is taken for 0; 7 pixels do not count.
    first = [[0, 0, 6], [0, 1, 3], [0, 2, 1], [2, 0, 1], [2, 2, 4], [-1, 0, 7]]
    # Second image: 8 pixels of class 1, 2 of them right.
    second = [[1, 1, 2], [1, 2, 6]]
    counted = count_named([first, second], 3)
    assert counted.true_positives.tolist() == [[6, 0, 4], [0, 2, 0]]
    assert counted.false_negatives.tolist() == [[4, 0, 1], [0, 6, 0]]
    assert counted.false_positives.tolist() == [[1, 3, 1], [0, 0, 6]]
    records = [{"segments": 3, "named": table} for table in (first, second)]
    metrics = compute_metrics(records, 3)
    assert metrics["accuracy_named"].overall == pytest.approx(12 / 23)
    # Over the set: 6 of 11, 2 of 11, 4 of 12.
    assert metrics["mean_iou_named"].overall == pytest.approx((6 / 11 + 2 / 11 + 4 / 12) / 3)
    assert metrics["mean_iou_named"].per_image[1] == pytest.approx((2 / 8 + 0 / 6) / 2)
    assert "mean_iou_named" not in compute_metrics([{"segments": 3, "background": first}], 3)


def test_pixels_without_a_name_are_wrong_where_there_is_no_background():
    counted = count_named([[[0, 0, 3], [0, 2, 1], [1, 2, 4]]], 2)  # 2 is the number of classes: no name
    assert counted.true_positives.tolist() == [[3, 0]]
    assert counted.false_negatives.tolist() == [[1, 4]]
    assert counted.false_positives.tolist() == [[0, 0]]
    assert mean_iou(*(pixels.sum(axis=0) for pixels in counted)) == pytest.approx((3 / 4 + 0) / 2)


@pytest.mark.parametrize("dataset", COUNTS)
def test_every_class_has_words_of_its_own(dataset: str, tmp_path: Path):
    made_datasets.MAKERS[dataset](tmp_path)
    names = open_dataset(dataset, tmp_path).class_names
    lines = class_lines(dataset)
    assert len(lines) == COUNTS[dataset] == len([name for name in names if name != "background"])
    assert len({line.name for line in lines}) == len(lines)
    assert lines == parse_words("\n".join(CLASS_WORDS[dataset]))  # as a person would type them
    text = "".join(piece.text for piece in prompt_of(lines))
    assert text.startswith("a photograph of ")
    assert not {"diningtable", "pottedplant", "tvmonitor"} & set(text.replace(",", "").split())


def test_words_stand_in_the_order_of_the_classes():
    named = {dataset: [line.name for line in class_lines(dataset)] for dataset in COUNTS}
    assert named["voc"][:2] == ["airplane", "bicycle"]
    assert named["voc"][10] == "dining table"
    assert named["context"][58] == "wood"
    assert named["coco-object"][79] == "toothbrush"
    assert named["cityscapes27"][0] == "road"
    assert named["ade20k"][149] == "flag"


def test_a_dataset_without_names_is_refused():
    for dataset in ("cocostuff27", "bsds500", "folder"):
        with pytest.raises(InvalidSettingError, match=f"voc, context, .*, got {dataset}"):
            class_lines(dataset)


def test_all_methods_are_those_that_every_model_has():
    kinds = {choice.kind for choice in parse_methods("all")}
    assert not kinds & {"words", "words-all"}
    with pytest.raises(InvalidSettingError, match="no number for the method words"):
        parse_methods("words:5")


def quarters(seen: dict[str, int], lines: tuple[WordLine, ...]) -> WordAttention:
    """Attention to words that mean quarters of the image: 0 and 1 above, 2 and 3 below."""
    rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    quarter = (rows // (GRID // 2) * 2 + columns // (GRID // 2)).flatten()
    scores = torch.zeros(GRID**2, len(lines) + 3)
    scores[:, 0] = 3.0
    for place, line in enumerate(lines, start=1):
        if line.name in seen:
            scores[quarter == seen[line.name], place] = 4.0
    named = torch.isin(quarter, torch.tensor([seen[line.name] for line in lines if line.name in seen]))
    scores[~named, -1] = 4.0
    places = TokenPlaces(
        tuple(((place,),) for place in range(1, len(lines) + 1)), (len(lines) + 1,), (len(lines) + 2,)
    )
    return WordAttention(tuple(lines), TextAttention(GridSize(GRID, GRID), scores.softmax(1)[None]), places)


class MadeModel:
    """Sees four quarters; takes a few words at once."""

    def __init__(self, seen: dict[str, int], most: int = 99) -> None:
        self.seen, self.most, self.asked = seen, most, []

    def capture(self, image: Image.Image) -> AttentionMaps:
        quarter = torch.arange(GRID) // (GRID // 2)
        group = (quarter[:, None] * 2 + quarter).flatten()
        alike = (group[:, None] == group).float() + 1e-4
        return AttentionMaps({(GRID, GRID): (alike / alike.sum(1, keepdim=True))[None]})

    def read_words(self, maps: AttentionMaps, lines: tuple[WordLine, ...]) -> WordAttention:
        if len(lines) > self.most:
            raise TooManyWordsError(f"Expected {self.most} words, got {len(lines)}.")
        self.asked.append([line.name for line in lines])
        return quarters(self.seen, tuple(lines))


def quartered(classes: list[int]) -> AnnotatedImage:
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40]], np.uint8)
    numbers = np.arange(4).reshape(2, 2).repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)
    truth = np.array(classes, np.int32)[numbers]
    return AnnotatedImage("made", Image.fromarray(colours[numbers]), truth, ())


def labels_by(model: MadeModel, image: AnnotatedImage, knows_classes: bool) -> np.ndarray:
    run = Context(model, SegmentSettings())  # type: ignore[arg-type]
    return by_words(run, image, LINES, knows_classes)


LINES = lines_of("boat", "cow", "dog", "cup", "sofa")


@pytest.mark.parametrize("knows_classes", [True, False])
def test_pixels_have_the_class_whose_word_is_found_there(knows_classes: bool):
    image = quartered([1, 5, 3, 3])  # cow, background, cup, cup
    model = MadeModel({"cow": 0, "cup": 2})
    labels = labels_by(model, image, knows_classes)
    expected = np.array([[1, 5], [3, 5]]).repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)
    assert (labels == expected).mean() > 0.97
    assert labels.dtype == np.int32
    assert model.asked == [["cow", "cup"] if knows_classes else ["boat", "cow", "dog", "cup", "sofa"]]


def test_an_image_of_background_alone_needs_no_model():
    image = quartered([5, 5, VOID, 5])
    model = MadeModel({})
    assert (labels_by(model, image, True) == 5).all()
    assert model.asked == []


def test_too_many_words_for_one_prompt_are_read_in_parts():
    image = quartered([1, 5, 3, 3])
    model = MadeModel({"cow": 0, "cup": 2}, most=2)
    labels = labels_by(model, image, False)
    assert model.asked == [["boat", "cow"], ["dog"], ["cup", "sofa"]]
    whole = labels_by(MadeModel({"cow": 0, "cup": 2}), image, False)
    assert (labels == whole).mean() > 0.97
    with pytest.raises(TooManyWordsError, match="Expected 0 words"):
        labels_by(MadeModel({}, most=0), image, False)


def test_words_that_are_refused_for_another_reason_are_not_tried_in_parts():
    class Refusing(MadeModel):
        def read_words(self, maps: AttentionMaps, lines: tuple[WordLine, ...]) -> WordAttention:
            self.asked.append(lines)
            raise InvalidSettingError("Expected another word.")

    model = Refusing({})
    with pytest.raises(InvalidSettingError, match="another word"):
        read_words(Context(model, SegmentSettings()), quartered([1, 5, 3, 3]), LINES)  # type: ignore[arg-type]
    assert model.asked == [LINES]


def test_parts_are_joined_as_if_they_were_one_prompt():
    def attention(maps: torch.Tensor, *places: object) -> WordAttention:
        lines = lines_of(*("abcd"[: len(places[0])]))  # type: ignore[arg-type]
        return WordAttention(lines, TextAttention(GridSize(1, 2), maps), TokenPlaces(*places))  # type: ignore[arg-type]

    one, two = torch.rand(1, 2, 5), torch.rand(1, 2, 4)
    both = joined(
        attention(one, (((1, 2),), ((3,), (0,))), (4,), ()), attention(two, (((0,), (1, 3)),), (2,), (3,))
    )
    assert both.places.lines == (((1, 2),), ((3,), (0,)), ((5,), (6, 8)))
    assert (both.places.others, both.places.background) == ((4, 7), (8,))
    assert torch.equal(both.attention.maps, torch.cat((one, two), 2))
    assert len(both.lines) == 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    names = [word for each in ("voc", "ade20k", "cityscapes27") for word in CLASS_WORDS[each]]
    save_text_model(folder, [word for name in names for word in name.replace(",", "").split()])
    return folder


def evaluate(dataset: str, root: Path, out: Path, *options: str) -> int:
    return main(["evaluate", dataset, "--root", str(root), "--out", str(out), *options])


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["voc", "ade20k", "cityscapes27"])
def test_a_random_model_is_measured_from_end_to_end(dataset: str, model: Path, tmp_path: Path, capsys):
    names = made_datasets.MAKERS[dataset](tmp_path / "data")
    options = ["--model", str(model), "--working-size", "128", "--resolution", "64", "--limit", "2"]
    methods = ["--methods", "words,words-all,one-segment", "--words-threshold", "0.3"]
    run = tmp_path / "run"
    assert evaluate(dataset, tmp_path / "data", run, *options, *methods) == 0
    results = json.loads((run / "results.json").read_text())
    assert results["pictures"] == names[:2]
    assert results["settings"]["words_threshold"] == 0.3
    assert results["settings"]["background_offset"] == 0.0
    rows = {row["method"]: row["metrics"] for row in results["rows"]}
    for name in ("words", "words-all"):
        assert 0 <= rows[name]["mean_iou_named"] <= 1
    assert rows["one-segment"]["mean_iou_named"] is None
    printed = capsys.readouterr().out
    assert "mIoU by name" in printed
    assert "nothing is matched" in printed
    record = json.loads((run / f"pictures/{names[0]}.json").read_text())
    table = record["rows"]["words"]["named"]
    classes = {line[0] for line in table}
    nothing = COUNTS[dataset]
    assert {line[1] for line in table} <= classes | {nothing}  # no class that is not in the image
    assert main(["compare", f"{run}:words", f"{run}:words-all"]) == 0
    assert "mIoU by name" in capsys.readouterr().out
    assert main(["compare", f"{run}:words", f"{run}:one-segment"]) == 0
    assert "by name" not in capsys.readouterr().out
    changed = [*options, "--methods", "words,words-all,one-segment"]
    assert evaluate(dataset, tmp_path / "data", run, *changed) == 2
    assert "words threshold 0.3 there, 0.5 now" in capsys.readouterr().err


def test_what_does_not_fit_is_tried_once(model: Path):
    """The tokenizer warns each time."""
    segmenter = Segmenter(
        ModelChoice(str(model), "cpu"), CaptureSettings(working_size=128), further_words=True
    )
    encoded = []
    plain = segmenter.read_words
    segmenter.read_words = lambda maps, lines: encoded.append(len(lines)) or plain(maps, lines)
    run = Context(segmenter, SegmentSettings())
    lines = class_lines("cityscapes27")
    for _ in range(2):
        image = quartered([1, 5, 3, 3])
        by_words(run, image, lines, False)
    assert encoded.count(27) == 1
    assert encoded[-2:] == [14, 13]


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("voc", ["--methods", "words"], "got the demo model, which has none"),
        (
            "cocostuff27",
            ["--methods", "words-all", "--model", "any"],
            "got cocostuff27. Leave",
        ),
        (
            "voc",
            ["--methods", "one-segment", "--words-threshold", "0.4"],
            "words or words-all among",
        ),
    ],
)
def test_what_words_cannot_do_is_told_before_anything_is_written(
    dataset: str, options: list[str], message: str, tmp_path: Path, capsys
):
    made_datasets.MAKERS[dataset](tmp_path / "data")
    assert evaluate(dataset, tmp_path / "data", tmp_path / "run", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run/pictures").exists()


def test_a_model_without_a_text_encoder_is_refused(model: Path, tmp_path: Path, capsys):
    made_datasets.make_voc(tmp_path / "data")
    mute = tmp_path / "mute"
    copytree(model, mute)
    rmtree(mute / "text_encoder")
    index = json.loads((mute / "model_index.json").read_text())
    index["text_encoder"] = [None, None]
    (mute / "model_index.json").write_text(json.dumps(index))
    run = tmp_path / "run"
    options = ["--methods", "words", "--model", str(mute), "--working-size", "128", "--resolution", "64"]
    assert evaluate("voc", tmp_path / "data", run, *options) == 2
    assert "Expected a model with its text encoder" in capsys.readouterr().err
