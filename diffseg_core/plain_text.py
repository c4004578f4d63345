"""The door that all text of people comes through: what is seen of it is what counts."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

from .errors import InvalidSettingError

# As in web/picker/prompting/prompts.mjs. Joiners belong to the word in Arabic, in India's scripts and
# within emoji; elsewhere nobody sees them.
_JOINED = "[\u0600-\u1cff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    f"|(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})"
)
HALVES = re.compile("[\ud800-\udfff]")  # of a pair, alone: no letter
SPACES = re.compile("[\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def plain_text(text: str) -> str:
    r"""Text as it is seen: without marks that have no width, with usual spaces, letters composed.

    Byte order marks, zero-width spaces and other marks of format come with text that is copied from pages and
    documents, and would make another word of the same one. Lines and tabs stay.

    >>> plain_text("\ufeffred\u00a0cu\u200bp")
    'red cup'
    """
    return SPACES.sub(" ", UNSEEN.sub("", HALVES.sub("", unicodedata.normalize("NFC", text))))


def read_plain_text(path: Path) -> str:
    """The text of a file, in UTF-8, or in UTF-16 with a byte order mark as some editors save it.

    Raises:
        InvalidSettingError: text in another encoding, or no text.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if marked else "utf-8")
        if "\0" in text:
            raise ValueError("it has bytes of 0")
    except ValueError as error:
        raise InvalidSettingError(
            f"Expected text in UTF-8 in {path}, got another encoding, or no text ({error}). Save it as UTF-8."
        ) from None
    return plain_text(text)
