"""What pytest must know of this repository as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVERS = "tests/server/"
LONG = [SERVERS, "tests/cli/batch/test_ray_executor.py", "tests/comfy/test_oldest_release.py"]
LONG += ["tests/comfy/test_check_model.py", "tests/cli/commands/test_check.py", "tests/core/benchmark/"]
"""What takes longest, first: begun last, it would leave the other workers idle."""


class RootIsNoPackage:
    """Collects the repository's root as a folder.

    Its `__init__.py` is what ComfyUI loads; pytest would import it as a package of tests.
    """

    @staticmethod
    def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RootIsNoPackage())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        starts = [item.nodeid.startswith(beginning) for beginning in LONG]
        return starts.index(True) if any(starts) else len(LONG)

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, all tests of a server are one file: one worker starts one of each release."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class LongFirst(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return SERVERS if nodeid.startswith(SERVERS) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False  # the order is ours, not by the number of tests
    return LongFirst(config, log)
