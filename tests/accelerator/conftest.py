"""ComfyUI on this machine's accelerator, and the pack in it.

    COMFYUI_DIR=<folder of ComfyUI> pytest tests/accelerator

runs in any Python that has ComfyUI's packages and pytest; nothing is downloaded and no checkpoint is needed,
as the models have random weights. Without COMFYUI_DIR it is the ComfyUI that `make test` fetches. ComfyUI
takes its device when it is first imported, so these tests need a process of their own and are no part of
`pytest tests`. Where there is no accelerator they end with one line.

DIFFSEG_ACCELERATOR=cpu runs the same tests with the CPU as the accelerator, to find mistakes in the tests
themselves: what only a real one can show (CUDA's memory, models that are loaded in part) is skipped, as is
SDXL's real size, and SD 1.5 sees a quarter of the image's sides.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import accelerators
import pytest
import torch

try:
    DEVICE = accelerators.chosen_accelerator()
except ValueError as error:
    raise pytest.UsageError(str(error)) from None

if DEVICE is not None:
    accelerators.import_repository()
    from diffseg_tools.environment import installation_in_use
    from diffseg_tools.in_process import import_comfyui, import_pack
    from diffseg_tools.steps import SetupError

    try:
        directory = installation_in_use().directory
    except SetupError as error:
        raise pytest.UsageError(str(error)) from None
    if not (directory / "main.py").is_file():
        raise pytest.UsageError(
            f"ComfyUI is not in {directory}. Set COMFYUI_DIR to its folder, or run `make test-accelerator`."
        )
    import_comfyui(directory, cpu=DEVICE.type == "cpu")
    import comfy.cli_args
    import comfy.model_management
    import folder_paths

    PACK = import_pack()


def pytest_cmdline_main() -> int | None:
    """End at once where there is nothing to test on."""
    if DEVICE is None:
        print(accelerators.NONE)
        return 0
    return None


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The accelerator; ComfyUI must have found the same."""
    assert DEVICE is not None
    assert comfy.model_management.get_torch_device() == DEVICE
    return DEVICE


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    """The accelerator, for tests that read or limit its memory."""
    if device.type != "cuda":
        pytest.skip(f"only CUDA tells and limits the memory in use, and this is {device.type}")
    return device


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The pack, as ComfyUI has it."""
    return PACK


@pytest.fixture(autouse=True)
def _as_comfyui_runs_nodes(tmp_path: Any) -> Iterator[None]:
    """Without autograd, with folders of its own, and with no model left behind."""
    assert DEVICE is not None
    before = folder_paths.get_temp_directory(), folder_paths.get_output_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_output_directory(str(tmp_path / "output"))
    with torch.inference_mode():
        yield
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_output_directory(before[1])
    gc.collect()  # a model that dies while ComfyUI goes through its list would shorten the list
    comfy.model_management.unload_all_models()
    accelerators.release_memory(DEVICE)


@pytest.fixture(autouse=True)
def _float32_is_float32() -> Iterator[None]:
    """Without TensorFloat-32, in which CUDA's convolutions are by default: it knows three digits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI with ``--gpu-only``: what nodes hand on stays on the accelerator."""
    monkeypatch.setattr(comfy.cli_args.args, "gpu_only", True)


@pytest.fixture(scope="session")
def capture(pack: ModuleType) -> Callable[..., Any]:
    """The maps that the capture node makes of a MODEL and a latent, as of the clean latent."""

    def run(model: Any, latent: torch.Tensor, conditioning: list[Any]) -> Any:
        captured = accelerators.captured(
            pack, model=model, conditioning=conditioning, latent={"samples": latent}
        )
        return captured.maps

    return run


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line that is seen whether the test passes or not."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return line
