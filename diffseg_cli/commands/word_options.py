"""Options of commands that find things by words, and the settings that are read from them."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path

from diffseg_core.errors import InvalidSettingError
from diffseg_core.plain_text import read_plain_text
from diffseg_core.words.lines import SEPARATORS

from ..batch.settings import DEMO, MergeSettings, WordSearch, WordSettings
from .options import add_number, as_options, only_given


def add_word_options(parser: argparse.ArgumentParser) -> None:
    """What to look for, and how: read them with `word_search`."""
    group = parser.add_argument_group("words", "as of the node DiffSeg Find by Words")
    group.add_argument(
        "--words",
        metavar="WORDS",
        help="find what these mean in each image, by the model's own attention to text: classes as in \"cup, "
        'table", words of one class as in "cup|mug, table", !hand for what is never chosen, (cup:1.3) for a '
        "word's weight, which Qwen-Image leaves out; or a file (.txt) with a line for each class and commas "
        "between words of one class",
    )
    add_word_settings(group)


def add_word_settings(group: argparse._ArgumentGroup) -> None:
    """How things are found by words: read them with `word_settings`."""
    add_number(
        group, WordSettings, "threshold", "X", "of a word's own range; lower takes more", "words_threshold"
    )
    add_number(
        group,
        WordSettings,
        "background_offset",
        "X",
        "added to the background's scores; higher takes less",
    )


def word_settings(args: argparse.Namespace) -> WordSettings:
    """What is given, over the defaults."""
    given = {"threshold": args.words_threshold, "background_offset": args.background_offset}
    return WordSettings(**only_given(given))


def word_search(args: argparse.Namespace) -> WordSearch | None:
    """What is looked for by words; None where none are given.

    Raises:
        InvalidSettingError: words that cannot be read, settings of words without any, words for a model
            that cannot read them, or together with settings of segments that they have no use for.
    """
    if args.words is None:
        given = only_given({name: getattr(args, name) for name in ("words_threshold", "background_offset")})
        if given:
            raise InvalidSettingError(f"Expected --words together with {as_options(given)}, got none.")
        return None
    if args.model == DEMO:
        raise InvalidSettingError(
            "Expected a model with a text encoder together with --words, got the demo model, which has none. "
            "Choose one of Stable Diffusion, SDXL, SD3, Flux.1 or Qwen-Image with --model."
        )
    names = [each.name for each in fields(MergeSettings)] + ["granularity", "height"]
    given = only_given({name: getattr(args, name) for name in names})
    if given:
        raise InvalidSettingError(
            f"Expected --words alone, got {as_options(given)} too: words take parts of a hierarchy, however "
            "it is cut. Leave one of them out."
        )
    return WordSearch(_in_lines(args.words), word_settings(args))


def _is_one_entry(given: str) -> bool:
    """Whether it cannot be several words, the last of which ends in .txt."""
    return re.search(SEPARATORS, given) is None and "|" not in given


def _in_lines(given: str) -> str:
    """A class in each line: where there is one line alone, commas stand between classes, | within them."""
    if given.lower().endswith(".txt") and "\n" not in given:
        try:
            path = Path(given).expanduser()
            if path.is_file() or _is_one_entry(given):
                return read_plain_text(path)
        except InvalidSettingError:
            raise
        except (OSError, ValueError, RuntimeError) as error:  # the last of an unknown home
            raise InvalidSettingError(
                f"Expected words in the file {given}, which cannot be read: {error}."
            ) from error
    if "\n" in given:
        return given
    return re.sub(SEPARATORS, "\n", given).replace("|", ",")
