"""The package as a whole: what it needs, what it must never do, and that its examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import diffseg_core

FILES = sorted(Path(diffseg_core.__file__).parent.glob("*.py"))
MODULES = [f"diffseg_core.{path.stem}" for path in FILES if path.stem != "__init__"]
WITH_EXAMPLES = [
    name
    for name in MODULES
    if any(test.examples for test in doctest.DocTestFinder().find(importlib.import_module(name)))
]
HOSTS = ["comfy", "diffusers", "PIL", "scipy", "skimage", "sklearn", "transformers"]
NEVER = {"pickle", "shelve", "marshal", "subprocess", "socket", "urllib", "requests", "ctypes"}


def test_there_are_examples():
    assert len(WITH_EXAMPLES) >= 4


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_in_the_docstrings_give_what_they_say(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_importing_the_core_imports_neither_a_host_nor_another_library():
    blocked = f"import sys; sys.modules.update(dict.fromkeys({HOSTS})); import diffseg_core"
    subprocess.run([sys.executable, "-c", blocked], check=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_module_pickles_evaluates_or_reaches_outside(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert imported & NEVER == set()
    assert called & {"eval", "exec", "compile", "__import__", "torch.load", "torch.save"} == set()


@pytest.mark.parametrize("name", diffseg_core.__all__)
def test_everything_public_is_there_and_documented(name):
    assert getattr(diffseg_core, name).__doc__
