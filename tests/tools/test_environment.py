"""Where the ComfyUI lies that is tested."""

from __future__ import annotations

from diffseg_tools.environment import NEWEST, OLDEST, comfyui_directory


def test_another_comfyui_can_stand_in_for_the_newest_and_for_no_other(tmp_path, monkeypatch):
    monkeypatch.delenv("DIFFSEG_NEWEST", raising=False)
    pinned = comfyui_directory(NEWEST), comfyui_directory(OLDEST)
    assert [folder.name for folder in pinned] == [f"ComfyUI-{NEWEST}", f"ComfyUI-{OLDEST}"]
    monkeypatch.setenv("DIFFSEG_NEWEST", str(tmp_path))
    assert (comfyui_directory(NEWEST), comfyui_directory(OLDEST)) == (tmp_path, pinned[1])
    monkeypatch.setenv("DIFFSEG_NEWEST", "")  # what make gives where COMFYUI_DIR is not set
    assert comfyui_directory(NEWEST) == pinned[0]
