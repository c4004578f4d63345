"""Text of people: what nobody sees of it does not count, in whatever encoding it comes."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from diffseg_core import InvalidSettingError, parse_words
from diffseg_core.objects.points import parse_points
from diffseg_core.output.label_map import parse_classes
from diffseg_core.plain_text import plain_text, read_plain_text

CASES = json.loads((Path(__file__).resolve().parents[1] / "protocol" / "plain_text.json").read_text("utf-8"))


def test_text_is_what_is_seen_of_it():
    for given, expected in CASES:
        assert plain_text(given) == expected, ascii(given)
        assert plain_text(expected) == expected, "nothing is left to take out"


def test_unseen_marks_make_no_other_word_point_or_class():
    for mark in ("\ufeff", "\u200b", "\u2060", "\u00ad", "\u200d", "\u202a"):
        assert parse_words(f"{mark}red\u00a0cu{mark}p\n{mark}!hand") == parse_words("red cup\n!hand")
        assert parse_points(f'{mark}[{{"x":{mark} 3,\u00a0"y": 1}}]') == parse_points('[{"x": 3, "y": 1}]')
        assert parse_classes(f"{mark}0 = s{mark}ky") == {0: "sky"}
    with pytest.raises(InvalidSettingError, match="lines 1 and 2"):
        parse_words("cup\ncu\u200bp")


def test_files_are_read_in_utf_8_and_in_marked_utf_16_and_else_refused_by_name(tmp_path):
    file = tmp_path / "words.txt"
    text = "Tasse, 杯子\nsky"
    little, big = (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")
    for mark, encoding in ((b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), little, big):
        file.write_bytes(mark + text.encode(encoding))
        assert read_plain_text(file) == text
    for data in (
        "sky".encode("utf-16-le"),
        "Straße".encode("latin-1"),
        codecs.BOM_UTF16_LE + b"\x00",
        b"\x89PNG\r\n",
    ):
        file.write_bytes(data)
        with pytest.raises(InvalidSettingError, match=r"Expected text in UTF-8 in .*words\.txt"):
            read_plain_text(file)
    with pytest.raises(FileNotFoundError):
        read_plain_text(tmp_path / "none.txt")
