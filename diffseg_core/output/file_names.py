"""Names for files: dates filled in, and names that no file can have refused before anything is done for them.

>>> fill_in_dates("%date:yyyy-MM-dd%/cat", time.struct_time((2025, 3, 9, 7, 5, 2, 6, 68, 0)))
'2025-03-09/cat'
"""

from __future__ import annotations

import ntpath
import os
import re
import time
from collections.abc import Iterable
from pathlib import PurePath

from .. import checks
from ..errors import InvalidSettingError

LONGEST = 255  # bytes of a name, on nearly every file system
DATE = re.compile(r"%date:([^%]*)%")
DATE_PART = re.compile(r"dd?|MM?|hh?|mm?|ss?|yyy?y?")
WIDGET = re.compile(r"%[^%.]+\.[^\W\d][^%.]*%")
ON_WINDOWS = '<>"|?*' if os.name == "nt" else ""
FORBIDDEN = re.compile(rf"[\x00-\x1f\x7f\ud800-\udfff:{ON_WINDOWS}]")


def fill_in_dates(text: str, when: time.struct_time | None = None) -> str:
    """Fill in ``%date:FORMAT%`` as ComfyUI's browser side does: d, dd, M, MM, h, hh, m, mm, s, ss, yy, yyyy.

    A workflow from the browser comes with its dates filled in; one that is sent to the API does not.

    Args:
        text: a prefix of file names.
        when: local time; now by default.

    Raises:
        InvalidSettingError: no text.
    """
    now = when or time.localtime()
    values = {"d": now.tm_mday, "M": now.tm_mon, "h": now.tm_hour, "m": now.tm_min, "s": now.tm_sec}
    filled_in = {letter * width: f"{value:0{width}}" for letter, value in values.items() for width in (1, 2)}
    filled_in |= {"yy": str(now.tm_year)[2:], "yyyy": str(now.tm_year)}

    def write(part: re.Match[str]) -> str:
        return filled_in.get(part[0], part[0])

    return DATE.sub(lambda date: DATE_PART.sub(write, date[1]), checks.text(text, "a filename prefix"))


def check_prefix(prefix: str) -> None:
    """Refuse a prefix of file names that holds what no name may hold, or that only the browser can fill in.

    Args:
        prefix: with its dates filled in; slashes make folders.

    Raises:
        InvalidSettingError: the value of another node's widget (``%Node.widget%``), a colon or a control
            character; on Windows also the other signs that it forbids.
    """
    widget = WIDGET.search(checks.text(prefix, "a filename prefix"))
    if widget:
        raise InvalidSettingError(
            f"Expected a filename prefix with its values filled in, got {widget[0]} in {prefix!r}: only the "
            "browser can fill in another node's widget, and only if a node of that title or name has it. "
            "Correct the name, or write the value itself where the workflow is sent to the API."
        )
    forbidden = FORBIDDEN.search(ntpath.splitdrive(prefix)[1] if os.name == "nt" else prefix)
    if forbidden:
        raise InvalidSettingError(
            f"Expected a filename prefix without {forbidden[0]!r}, which names of files cannot have on every "
            f"system, got {prefix!r}. Write another sign, such as - (a time as %date:hh-mm-ss%)."
        )


def check_lengths(names: Iterable[PurePath]) -> None:
    """Refuse names that hardly any file system takes for their length.

    Args:
        names: of files, with their folders.

    Raises:
        InvalidSettingError: a name, or that of a folder, is too long.
    """

    def length(name: str) -> int:  # Windows counts UTF-16 units
        return len(name.encode("utf-16-le")) // 2 if os.name == "nt" else len(name.encode())

    longest = max((part for name in names for part in name.parts), key=length, default="")
    if (got := length(longest)) > LONGEST:
        raise InvalidSettingError(
            f"Expected names of at most {LONGEST} bytes, got {got} in {longest}. Make the name shorter by "
            f"{got - LONGEST} or more."
        )
