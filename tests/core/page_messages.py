"""Messages that pages quote, and whether the code says them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("nodes", "diffseg_core", "diffseg_cli", "web", "tools")
HOLE = "\0"  # in a sentence of the code: what is filled in when it is said
LEFT_OUT = "…"  # in a quotation
SAID_BY_CODE = 0.6  # of a quotation's letters; the rest may be what was filled in
SCRIPT = re.compile(r"""(["'`])((?:(?!\1)[^\\\n]|\\.)*)\1""")


def is_said(quotation: str) -> bool:
    """Whether a sentence of the code can read so, with any words in the places that it fills in."""
    words = set(re.findall(r"[a-z]{3,}", quotation.lower()))
    return any(
        len(words & own) >= SAID_BY_CODE * len(words) and _fits(quotation, sentence)
        for sentence, own in sentences()
    )


@cache
def sentences() -> list[tuple[str, frozenset[str]]]:
    """Every sentence of the code, and its words."""
    found: set[str] = set()
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix == ".py":
                found.update(_of_python(ast.parse(path.read_text(encoding="utf-8"))))
            elif path.suffix in (".mjs", ".js"):
                found.update(_of_script(path.read_text(encoding="utf-8")))
    return [(text, frozenset(re.findall(r"[a-z]{3,}", text.lower()))) for text in found if " " in text]


def _of_python(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        text = _joined(node)
        if text is not None:
            yield text


def _joined(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_joined(value) or HOLE for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _joined(node.left), _joined(node.right)
        return None if left is right is None else f"{left or HOLE}{right or HOLE}"
    return None


def _of_script(text: str) -> Iterator[str]:
    for _, literal in SCRIPT.findall(text):
        yield re.sub(r"\$\{[^}]*\}", HOLE, literal)


def _fits(quotation: str, sentence: str) -> bool:
    """Go along the quotation; each place in the sentence holds how many letters the sentence itself said."""
    places = dict.fromkeys(range(len(sentence)), 0)
    for letter in quotation:
        further: dict[int, int] = {}
        for place, said in places.items():
            if letter == LEFT_OUT:
                for later in range(place, len(sentence) + 1):
                    further[later] = max(further.get(later, 0), said)
                continue
            while place < len(sentence) and sentence[place] == HOLE:
                further[place] = max(further.get(place, 0), said)
                place += 1
            if place < len(sentence) and sentence[place] == letter:
                further[place + 1] = max(further.get(place + 1, 0), said + 1)
        places = further
    fixed = len(quotation.replace(LEFT_OUT, ""))
    return any(said >= SAID_BY_CODE * fixed for said in places.values())
