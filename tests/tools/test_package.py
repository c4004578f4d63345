"""The archive that the registry serves: what is in it, and that ComfyUI loads what is unpacked from it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from diffseg_tools.environment import NEWEST, comfyui_directory
from diffseg_tools.package import build_archive, shipped_files
from diffseg_tools.steps import ROOT

NOT_SHIPPED = {
    "tests",
    "tools",
    "training",
    "benchmarks",
    "docs",
    "diffseg_cli",
    "diffseg_eval",
    ".ci",
    "Makefile",
    "CHANGELOG.md",
}
LOAD = """
import asyncio, json, sys
from pathlib import Path
from diffseg_tools.in_process import import_comfyui, import_pack

import_comfyui(Path(sys.argv[1]))
pack = import_pack(sys.argv[2].replace(".", "_x_"), Path(sys.argv[2]))  # the name that ComfyUI gives it
extension = asyncio.run(pack.comfy_entrypoint())
nodes = [node.define_schema().node_id for node in asyncio.run(extension.get_node_list())]
imported = [module.__file__ for name, module in sys.modules.items() if name.startswith(pack.__name__ + ".")]
ours = ("diffseg_core", "diffseg_cli", "diffseg_eval")
doubled = [name for name in sys.modules if name.split(".")[0] in ours]
print(json.dumps([nodes, imported, doubled, pack.WEB_DIRECTORY]))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive in a folder of a name that is not the repository's, and no name of a module."""
    archive = tmp_path_factory.mktemp("dist") / "new" / "diffseg.zip"
    build_archive(archive)
    folder = tmp_path_factory.mktemp("custom_nodes") / "comfyui-diffseg.1"
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(folder)
    return folder


def files(folder: Path, pattern: str = "**/*") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file()}


def node_ids(folder: Path) -> set[str]:
    text = "".join((folder / name).read_text(encoding="utf-8") for name in files(folder, "nodes/*.py"))
    return set(re.findall(r'node_id="(DiffSeg\w*)"', text))


def test_everything_that_runs_is_shipped(unpacked):
    tracked = set(
        subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, encoding="utf-8"
        ).stdout.split("\0")
    )
    expected = {"LICENSE", "README.md", "pyproject.toml", "__init__.py"}
    for room in ("nodes", "web", "locales", "workflows", "subgraphs", "demo_model", "diffseg_core"):
        here = {name for name in tracked if PurePosixPath(name).parts[:1] == (room,)}
        assert here, room
        expected |= here
    assert expected <= files(unpacked)
    assert {path.read_bytes() == (ROOT / path.relative_to(unpacked)).read_bytes()
            for path in unpacked.rglob("*") if path.is_file()} == {True}  # fmt: skip


def test_every_node_has_its_help_page(unpacked):
    ids = node_ids(unpacked)
    assert len(ids) >= 12
    assert {f"web/docs/{node}.md" for node in ids} <= files(unpacked)


def test_what_only_developers_need_is_not_shipped(unpacked):
    assert {path.name for path in unpacked.iterdir()} & NOT_SHIPPED == set()
    assert all((ROOT / name).exists() for name in NOT_SHIPPED)


def test_comfyui_loads_the_unpacked_archive_and_nothing_beside_it(unpacked):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, str(comfyui_directory(NEWEST)), str(unpacked)],
        cwd=unpacked.parent, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    nodes, imported, doubled, web = json.loads(done.stdout.splitlines()[-1])
    assert set(nodes) == node_ids(unpacked)
    assert len(nodes) == len(set(nodes))
    assert len(imported) >= 30
    assert all(Path(file).is_relative_to(unpacked) for file in imported)
    assert doubled == []
    assert (unpacked / web).is_dir()


def test_every_relative_import_leads_to_a_shipped_file(unpacked):
    """Those inside functions too, which loading does not reach."""
    there = files(unpacked, "**/*.py")
    missing = []
    for name in sorted(there):
        for node in ast.walk(ast.parse((unpacked / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                missing += [f"{name}: {each.name}" for each in node.names if each.name.startswith("diffseg_")]
            elif isinstance(node, ast.ImportFrom):
                base = PurePosixPath(name).parents[node.level - 1] if node.level else PurePosixPath("no")
                place = base.joinpath(*(node.module or "").split("."))
                modules = [place, *(place / each.name for each in node.names)] if node.level else []
                found = [m for m in modules if f"{m}.py" in there or (m / "__init__.py").as_posix() in there]
                folder = any(PurePosixPath(file).is_relative_to(place) for file in there)
                if node.level and not found and not folder:
                    missing.append(f"{name}: {place}")
                if not node.level and (node.module or "").startswith("diffseg_"):
                    missing.append(f"{name}: {node.module}")
    assert missing == []


def test_patterns_are_read_as_git_reads_them(tmp_path):
    for name in ("docs/a.md", "web/docs/b.md", "x.py", "untracked.py", "gone.py", "ü.txt", "build.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".comfyignore").write_text("# not shipped\n/docs/\n\n*.log\n.comfyignore\n")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "docs", "web", "x.py", "gone.py", "ü.txt", "build.log"], check=True)
    (tmp_path / "gone.py").unlink()
    assert shipped_files(tmp_path) == ["web/docs/b.md", "x.py", "ü.txt"]
