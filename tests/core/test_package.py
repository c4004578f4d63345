"""The package as a whole: what it needs, what it must never do, and that its examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import diffseg_cli
import diffseg_core
import diffseg_eval

CORE = Path(diffseg_core.__file__).parent
COMMAND = Path(diffseg_cli.__file__).parent


def modules(package: Path) -> dict[str, Path]:
    """The modules of a package and of its rooms, by name."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        *rooms, name = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(rooms if name == "__init__" else [*rooms, name])] = path
    return names


CORE_MODULES, COMMAND_MODULES = modules(CORE), modules(COMMAND) | modules(Path(diffseg_eval.__file__).parent)
RUNS = {"diffseg_cli.__main__"}  # when it is imported
WITH_EXAMPLES = [
    name
    for name in [*CORE_MODULES, *COMMAND_MODULES]
    if name not in RUNS
    and any(test.examples for test in doctest.DocTestFinder().find(importlib.import_module(name)))
]
ROOMS = ["errors", "progress", "plain_text", "grid", "checks", "settings", "tree", "segments", "images"]
ROOMS += ["attention", "image", "merging", "hierarchy", "diffcut", "editing", "objects", "output", "words"]
ROOMS += ["diffusers", "benchmark"]
"""From the first to the last: imports go from a later one to an earlier one."""
HOSTS = ["comfy", "diffusers", "PIL", "scipy", "skimage", "sklearn", "transformers"]
NEVER_IMPORTED = {"pickle", "shelve", "marshal", "subprocess", "socket", "urllib", "requests", "ctypes"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save"}


def test_the_version_is_that_of_the_project_file():
    project = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{diffseg_core.__version__}"\n' in project


def test_the_examples_in_the_docstrings_give_what_they_say():
    names = [name for name in [*CORE_MODULES, *COMMAND_MODULES] if name not in RUNS]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert [name for name, result in results.items() if result.failed] == []
    assert sum(result.attempted > 0 for result in results.values()) >= 20


def test_importing_the_core_imports_neither_a_host_nor_another_library():
    blocked = f"import sys; sys.modules.update(dict.fromkeys({HOSTS})); import diffseg_core"
    subprocess.run([sys.executable, "-c", blocked], check=True)


def imports(name: str, path: Path) -> set[str]:
    """What a module imports of the core and the command, as `diffseg_core.room.module`."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            found |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & {*CORE_MODULES, *COMMAND_MODULES} - {
        "diffseg_core",
        "diffseg_cli",
        "diffseg_eval",
        name,
        package,
    }


def test_rooms_of_the_core_import_earlier_rooms_only():
    allowed = {name: ROOMS[: ROOMS.index(name) + 1] for name in ROOMS}
    wrong = []
    for name in CORE_MODULES.keys() - {"diffseg_core"}:
        for imported in imports(name, CORE_MODULES[name]):
            package, room = imported.split(".")[:2]
            if package != "diffseg_core" or room not in allowed[name.split(".")[1]]:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_no_modules_import_one_another_in_a_circle():
    arrows = {
        name: imports(name, path)
        for name, path in [*CORE_MODULES.items(), *COMMAND_MODULES.items()]
        if name != "diffseg_core"
    }
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for imported in arrows.get(name, ()):
                if not name.startswith(f"{imported}."):  # a package's own docstring and names
                    follow(imported, (*way, name))
            done.add(name)

    for name in arrows:
        follow(name, ())


def forbidden(source: str) -> set[str]:
    """Modules that it imports, and functions that it calls, which the core never uses."""
    nodes = list(ast.walk(ast.parse(source)))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return ({name.split(".")[0] for name in imported} & NEVER_IMPORTED) | (called & NEVER_CALLED)


def test_no_module_pickles_evaluates_or_reaches_outside():
    sample = "from urllib.request import urlopen\nimport pickle, json\ntorch.load(eval('x'))"
    assert forbidden(sample) == {"urllib", "pickle", "torch.load", "eval"}
    reaching = {name: forbidden(path.read_text(encoding="utf-8")) for name, path in CORE_MODULES.items()}
    assert {name: uses for name, uses in reaching.items() if uses} == {}


def test_everything_public_is_there_and_documented():
    assert [name for name in diffseg_core.__all__ if not getattr(diffseg_core, name).__doc__] == []
