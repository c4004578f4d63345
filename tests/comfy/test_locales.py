"""The translations say all that the nodes' schemas say, in a form that ComfyUI's front end can show."""

from __future__ import annotations

import re

import pytest
from diffseg_tools.locales import LOCALES, SYNTAX, english, flatten, node_file, schema_texts

TRANSLATED = sorted(folder.name for folder in LOCALES.iterdir() if folder.name != "en")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# What no translation may lose: %placeholders%, abbreviations, numbers, quoted names.
KEPT = re.compile(r'%\w+%|[A-Z]{2,}|\d+(?:\.\d+)?|"[^"]+"')


def test_english_is_what_the_nodes_say(pack):
    expected = english(pack)
    assert node_file("en") == expected, "The nodes' texts have changed: run `make locales`."
    assert list(flatten(node_file("en"))) == list(flatten(expected)), "In another order: run `make locales`."


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_no_other(pack, language):
    translated = dict(flatten(node_file(language)))
    assert list(translated) == list(schema_texts(pack))
    assert all(text.strip() == text != "" for text in translated.values())


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_numbers_abbreviations_and_placeholders(language):
    original = dict(flatten(node_file("en")))
    for keys, text in flatten(node_file(language)):
        if keys in original and keys[-1] != "name":
            lost = set(KEPT.findall(original[keys])) - set(KEPT.findall(text))
            assert not lost, f"{language}, {'.'.join(keys)}: {lost} got lost"


@pytest.mark.parametrize("language", ["en", *TRANSLATED])
def test_no_text_is_taken_for_message_syntax(language):
    for keys, text in flatten(node_file(language)):
        assert SYNTAX.isdisjoint(text), f"{language}, {'.'.join(keys)}: braces, @ or | break it in ComfyUI"


def test_chinese_is_chinese():
    for keys, text in flatten(node_file("zh")):
        if keys[-1] != "name":
            assert CHINESE.search(text), ".".join(keys)
        if keys[-1] in ("description", "tooltip"):
            assert re.search(r"[。）]$", text), f"no whole sentence: {text}"
