"""Presets: kept, read again, and refused where they are damaged."""

from __future__ import annotations

import json

import pytest

from diffseg_core.benchmark.presets import Preset, read_presets, write_preset
from diffseg_core.errors import InvalidSettingError

UNET = Preset("SD15", 100, "both", resolutions="all", merge_threshold=0.8)
TRANSFORMER = Preset("Flux.1", 300, "attention", blocks="7-9, 12")


def test_presets_come_back_as_they_were(tmp_path):
    path = tmp_path / "user" / "presets.json"
    assert read_presets(path) == {}
    write_preset(path, UNET)
    write_preset(path, TRANSFORMER)
    assert read_presets(path) == {"SD15": UNET, "Flux.1": TRANSFORMER}
    newer = Preset("SD15", 50, "features", resolutions="all")
    write_preset(path, newer)
    assert read_presets(path) == {"SD15": newer, "Flux.1": TRANSFORMER}
    assert [each.name for each in path.parent.iterdir()] == ["presets.json"]


def damaged(**changes: object) -> str:
    preset = {"noise_level": 100, "evidence": "both", **changes}
    return json.dumps({"format": "diffseg-presets", "version": 1, "presets": {"SD15": preset}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "another kind of file"),
        ('{"format": "other"}', "another kind of file"),
        ('{"format": "diffseg-presets", "version": 1}', "no presets"),
        ('{"format": "diffseg-presets", "version": 1, "presets": {"SD15": 3}}', "no settings for SD15"),
        (damaged(noise_level=1001), "no noise level from 0 to 1000 for SD15, but 1001"),
        (damaged(noise_level=True), "no noise level"),
        (damaged(noise_level=0.5), "no noise level"),
        (damaged(noise_level=float("nan")), "no noise level"),
        (damaged(evidence="colour"), "an unknown evidence for SD15, 'colour'"),
        (damaged(evidence=[1]), "an unknown evidence"),
        (damaged(resolutions="most"), "unknown resolutions"),
        (damaged(merge_threshold=0), "no merge threshold"),
        (damaged(merge_threshold="1"), "no merge threshold"),
        (damaged(blocks=3), "no text for the blocks"),
        (damaged(blocks="none"), "layers of a UNet to be"),
    ],
)
def test_a_damaged_file_is_told_and_not_written_over(tmp_path, text, found):
    path = tmp_path / "presets.json"
    path.write_text(text)
    with pytest.raises(InvalidSettingError, match="Expected DiffSeg's presets in .*Mend the file") as caught:
        read_presets(path)
    assert found in str(caught.value)
    with pytest.raises(InvalidSettingError):
        write_preset(path, UNET)
    assert path.read_text() == text


def test_bytes_that_are_no_text_and_other_versions_are_told(tmp_path):
    path = tmp_path / "presets.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettingError, match="Mend the file"):
        read_presets(path)
    path.write_text('{"format": "diffseg-presets", "version": 2, "presets": {}}')
    with pytest.raises(InvalidSettingError, match="version 1 .* got 2"):
        read_presets(path)
    with pytest.raises(InvalidSettingError, match="Mend the file"):
        read_presets(tmp_path)  # a folder
