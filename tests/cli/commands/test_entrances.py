"""The table of entrances at ``diffseg segment``: every option has a row, and goes to the library's door."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from diffseg_tools.entrances import COMMANDS_OWN, SETTINGS, VALUES

from diffseg_cli.commands import main, segment
from diffseg_core import settings
from diffseg_core.checks import Choice, Number

OPTIONS = {entry.removeprefix("segment "): row for row in (*SETTINGS, *VALUES) for entry in row.options}


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What the command says when it refuses to run."""
    try:
        status = main(["segment", "photo.jpg", "--out", "out", *args])
    except SystemExit as stop:
        status = stop.code
    assert status == 2, args
    return " ".join(capsys.readouterr().err.split())


def test_every_option_has_a_row_and_every_row_its_option():
    parser = argparse.ArgumentParser()
    segment.add_parser(parser.add_subparsers())
    parser = next(iter(parser._subparsers._group_actions[0].choices.values()))
    found = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    found -= {name for name in found if name.startswith("--no-")}
    assert found - set(OPTIONS) - set(COMMANDS_OWN.split()) == set(), "without a row"
    assert set(OPTIONS) - found - {"INPUT"} == set(), "of nothing"


def test_options_of_settings_are_refused_in_the_settings_own_words(capsys):
    for option, row in OPTIONS.items():
        setting = getattr(settings, row.name, None)
        if isinstance(setting, Number):
            for text in (str(setting.limits[1] * 2 + 1), "nan", "some"):
                assert f"Expected {setting.what}" in refusal(capsys, option, text), (option, text)
        elif isinstance(setting, Choice):
            assert f"argument {option}: invalid choice: 'some'" in refusal(capsys, option, "some")


def test_values_are_refused_in_the_words_of_their_door(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").touch()
    for option, row in OPTIONS.items():
        if not row.refused or option == "--prompts":  # a file for each image: test_segment_prompts
            continue
        text, _, message = row.refused[0].rpartition(" -> ")
        given = ["--model", "other"] if option == "--words" else []
        assert message in refusal(capsys, option, json.loads(text), *given), option
