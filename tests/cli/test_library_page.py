"""The example of docs/library.md, run with the demo model in place of a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from diffseg_cli.batch.models import load_pipeline
from diffseg_cli.batch.settings import ModelChoice

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_of_the_library_runs_as_it_stands(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    pipeline = load_pipeline(ModelChoice(device="cpu", precision="float32"))
    width = pipeline.unet.config.cross_attention_dim
    loading = 'StableDiffusionPipeline.from_pretrained("…")'
    assert loading in code
    code = code.replace("from diffusers import StableDiffusionPipeline\n", "").replace(loading, "pipeline")
    # The demo model has no text encoder, which a checkpoint brings.
    code = code.replace("(pipeline, image)", "(pipeline, image, prompt_embeds=prompt)")
    code = code.replace("photo.jpg", (ROOT / "demo_model" / "photograph.jpg").as_posix())
    names = {"pipeline": pipeline, "prompt": torch.zeros(1, 1, width)}
    exec(compile(code, "library.md", "exec"), names)
    assert names["nested"].labels.shape == (1, 400, 600)
    assert names["coarse"].counts == [5]
    assert names["overlay"].shape == (1, 400, 600, 3)
    assert names["sharp"].labels.shape == (1, 400, 600)
    assert names["mask"].shape == (400, 600)
    assert names["thing"].counts == [1]
    assert 0 < names["scores"][0] <= 1
