"""Tables that others made are here as they made them: each is held by a hash of what its source says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from diffseg_core.output.ade20k import CLASSES, class_number
from diffseg_eval.datasets.classes import (
    CITYSCAPES_CLASSES,
    CITYSCAPES_NAMES,
    COCO27_NAMES,
    CONTEXT_NAMES,
    FINE_TO_COARSE,
    FIRST_LABEL,
    OBJECT_CLASSES,
    OBJECT_NAMES,
    UNLABELLED,
    VOC_NAMES,
)
from diffseg_eval.types import VOID


def digest(lines: Iterable[object]) -> str:
    """SHA-256 of the lines in UTF-8 with a newline between two."""
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()


def numbered(table: Mapping[int, object]) -> list[str]:
    return [f"{number} {each}" for number, each in sorted(table.items())]


def test_ade20k_has_the_names_and_colours_of_the_scene_parsing_benchmark():
    # CSAILVision/sceneparsing: last column of objectInfo150.txt at commit a8ba881 (the next one exchanges the
    # first two words for a television; models and their annotators have these), and the rows "R G B" of
    # `colors` in visualizationCode/color150.mat at commit e202229.
    names = "83366761dd32a3a9d9562c8c067e512ee4c09c945a3497104df29d446098cf80"
    colours = "7d6ac2551a6c668d4f4a9bf5902373c7892e7cb17cfadb743d4cb078580ac18c"
    assert digest(name for name, _ in CLASSES) == names
    assert digest(" ".join(map(str, colour)) for _, colour in CLASSES) == colours
    assert class_number("picture") == class_number("painting") == 22


def test_coco_stuff_27_is_made_of_it_as_in_diffseg():
    # google/diffseg, data/coco/fine_to_coarse_dict.pickle at commit 77ea596 (janghyuncho/PiCIE has the same):
    # number, index and name of the coarse class.
    coarse = {fine: f"{each} {COCO27_NAMES[each]}" for fine, each in FINE_TO_COARSE.items() if each != VOID}
    assert digest(numbered(coarse)) == "4ef577d76216fb4ab254b560705f9bdaad82d8e5dafe835b97898995214a4dc7"
    assert {fine for fine, each in FINE_TO_COARSE.items() if each == VOID} == {UNLABELLED}


def test_coco_object_is_made_of_it_as_in_diffcut():
    # PaulCouairon/DiffCut, dataloader/coco/coco_object_mapping.pickle at commit aa16df4: number and class of
    # the 80 things. The others have numbers from 80 on there, all of which its code counts as background.
    # Their names are those of the 80 things in nightrome/cocostuff, labels.txt at commit 876a7db.
    things = {number: each for number, each in OBJECT_CLASSES.items() if each != len(OBJECT_NAMES) - 1}
    assert digest(numbered(things)) == "03d04f80c61d8ddf6056b190e1028942d31aaaef27d1b121aa925454a08b4e56"
    assert digest(OBJECT_NAMES[:-1]) == "d7654b26101572841ed1cd80aa03aa60e35f1b8acb4aea6906c4066886f16e07"


def test_cityscapes_has_the_labels_of_its_authors_and_the_classes_of_diffseg():
    # mcordts/cityscapesScripts, cityscapesscripts/helpers/labels.py at commit 0bcc4a7: id and name from 7 on;
    # google/diffseg, `label_dict` of data/cityscapes/cityscapes_data.py at commit 77ea596 without -1.
    labels = dict(enumerate(CITYSCAPES_NAMES, FIRST_LABEL))
    classes = {label: -1 if each == VOID else each for label, each in CITYSCAPES_CLASSES.items()}
    assert digest(numbered(labels)) == "69f6c173ecb69208447d207bf22489610c3440ab6ecb89bdb187890cf183865e"
    assert digest(numbered(classes)) == "15ff07a374bafcec0869ccece80ab9cd9db1e8f2a84ac9d9ba90e79c01978665"


def test_pascal_has_the_classes_of_mmsegmentation():
    # open-mmlab/mmsegmentation, mmseg/datasets: CLASSES of voc.py at commit 1d341e5 without the background,
    # and those of PascalContextDataset59 in pascal_context.py at commit a5acc11.
    assert digest(VOC_NAMES) == "7d877f185c807bc51b4cfb4f4202fc0b4e1c6724b782ba245fe36f8d254f0ad7"
    assert digest(CONTEXT_NAMES) == "cd808465f06a16169edc25580073f0eda347e64f06cc1c2e24acd0b237f6497d"
