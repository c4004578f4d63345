"""What an installed package has, by what pyproject.toml says."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from diffseg_cli.batch.models import demo_model_folder
from diffseg_cli.commands import main

tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_in_a_wheel(project):
    found = {
        ".".join(file.parent.relative_to(REPOSITORY).parts)
        for package in ("diffseg_core", "diffseg_cli", "diffseg_eval")
        for file in (REPOSITORY / package).rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found | {"diffseg_cli.demo_model"}


def test_the_demo_model_is_in_a_wheel(project):
    patterns = project["tool"]["setuptools"]["package-data"]["diffseg_cli.demo_model"]
    assert project["tool"]["setuptools"]["package-dir"] == {"diffseg_cli.demo_model": "demo_model"}
    folder = REPOSITORY / "demo_model"
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    assert {path for path in folder.rglob("*") if path.is_file()} - packed == {folder / "photograph.jpg"}
    assert demo_model_folder() == folder


def test_the_command_is_installed(project):
    point = importlib.metadata.EntryPoint(
        "diffseg", project["project"]["scripts"]["diffseg"], "console_scripts"
    )
    assert point.load() is main
