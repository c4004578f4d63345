"""What would be captured wrongly, or fail without a word that helps, is refused: diffusion transformers."""

from __future__ import annotations

from typing import Any

import comfy.ldm.flux.math
import pytest
import torch
from comfyui_capture import capture_in_comfyui
from transformer_models import tiny_conditioning, tiny_latent, tiny_model


@pytest.fixture
def run(pack):
    """Capture a tiny model, with the usual settings unless told otherwise."""

    def run(name: str, model: Any = None, **settings: Any) -> Any:
        given = {"noise_level": 300, "noise_seed": None, "layers": "all", **settings}
        latent = given.pop("latent", None)
        conditioning = given.pop("conditioning", None) or tiny_conditioning(name)
        return capture_in_comfyui(
            pack,
            tiny_model(name) if model is None else model,
            tiny_latent(name) if latent is None else latent,
            conditioning,
            **given,
        )

    return run


@pytest.mark.parametrize("name", ["Qwen-Image", "Cosmos Predict 2", "Krea 2"])
def test_a_latent_without_frames_is_taken_for_one_frame(run, name):
    """Not for a video of as many frames as it has channels, over which mean and spread would broadcast."""
    with_frame = tiny_latent(name, 2)
    assert torch.equal(
        run(name, latent=with_frame.squeeze(2))[4, 6],
        run(name, latent=with_frame)[4, 6],
    )


def test_a_latent_of_a_video_is_refused(pack, run):
    with pytest.raises(
        pack.diffseg_core.InvalidSettingError, match=r"got 1×16×3×8×12\. .* frames of a video"
    ):
        run("Qwen-Image", latent=torch.ones(1, 16, 3, 8, 12))
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=r"got 1×16×1×8×12"):
        run("Flux dev", latent=torch.ones(1, 16, 1, 8, 12))


@pytest.mark.parametrize("name", ["Flux dev", "Chroma", "Qwen-Image", "Lumina 2"])
def test_patches_of_the_tokens_are_refused(pack, run, name):
    model = tiny_model(name)
    model.model_options["transformer_options"].setdefault("patches", {})["post_input"] = [lambda given: given]
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="post_input"):
        run(name, model)


@pytest.mark.parametrize(
    "key", ["reference_latents", "concat_latent_image", "clip_vision_output", "unclip_conditioning"]
)
def test_conditionings_with_further_images_are_refused(pack, run, key):
    conditioning = tiny_conditioning("Flux dev")
    conditioning[0][1][key] = [torch.randn(1, 16, 6, 10)]
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=f"further images \\({key}\\)"):
        run("Flux dev", conditioning=conditioning)


def test_reference_images_that_come_another_way_are_noticed(pack, run):
    model = tiny_model("SD3")
    model.model_options["transformer_options"]["reference_image_num_tokens"] = [3]
    with pytest.raises(pack.diffseg_core.CaptureError, match="3 of reference images"):
        run("SD3", model)


def test_two_conditionings_are_refused(pack, run):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="one entry, got 2"):
        run("Flux dev", conditioning=tiny_conditioning("Flux dev") * 2)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("SD3", "pooled_output"),
        ("HiDream", "conditioning_llama3"),
        ("HunyuanDiT", "conditioning_mt5xl"),
        ("Kandinsky 5 Image", "pooled_output"),
    ],
)
def test_another_models_conditioning_is_refused(pack, run, name, key):
    conditioning = tiny_conditioning(name)
    del conditioning[0][1][key]
    with pytest.raises(
        pack.diffseg_core.InvalidSettingError, match=f"got one without {key}. Connect the CLIP"
    ):
        run(name, conditioning=conditioning)


def test_a_conditioning_of_another_width_is_named_where_the_table_does_not_know_it(pack, run):
    conditioning = [[torch.randn(1, 7, 12), {}]]
    with pytest.raises(pack.diffseg_core.CaptureError, match=r"conditioning .*12 numbers.*CLIP that belongs"):
        run("LongCat", conditioning=conditioning)


@pytest.mark.parametrize("shape", [(1, 16, 9, 12), (1, 16, 8, 13)])
def test_latents_of_half_tokens_are_refused(pack, run, shape):
    """The model would pad them with what lies at the opposite edge."""
    message = rf"multiples of 2 \(16 pixels\) for Flux\.1, got {shape[2]}×{shape[3]}"
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        run("Flux dev", latent=torch.randn(shape))


def test_latents_beyond_the_learned_positions_are_refused(pack, run):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=r"at most 256 pixels, which SD3"):
        run("SD3", latent=torch.randn(1, 16, 8, 40))


def test_a_latent_of_one_line_is_refused(pack, run):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="at least 2×2 places, got 1×6"):
        run("Flux dev", latent=torch.randn(1, 16, 2, 12))


def test_a_block_that_is_skipped_is_noticed(pack, run):
    model = tiny_model("Flux dev")
    model.set_model_patch_replace(
        lambda given, extra: {"img": given["img"], "txt": given["txt"]}, "dit", "double_block", 1
    )
    with pytest.raises(
        pack.diffseg_core.CaptureError, match=r"block 1 \(double_blocks\) did not \(1 missing\)"
    ):
        run("Flux dev", model)


def test_a_patch_around_a_block_is_captured(run):
    model = tiny_model("Flux dev")
    model.set_model_patch_replace(
        lambda given, extra: extra["original_block"](given), "dit", "double_block", 1
    )
    assert torch.equal(run("Flux dev", model)[4, 6], run("Flux dev")[4, 6])


def test_keys_of_another_image_are_noticed(pack, run, monkeypatch):
    """As some packs bring them in: by another attention function in ComfyUI's module."""
    original = comfy.ldm.flux.math.optimized_attention

    def longer(q: Any, k: Any, v: Any, *args: Any, **named: Any) -> Any:
        return original(q, torch.cat((k, k[:, :, :3]), 2), torch.cat((v, v[:, :, :3]), 2), *args, **named)

    monkeypatch.setattr(comfy.ldm.flux.math, "optimized_attention", longer)
    with pytest.raises(pack.diffseg_core.CaptureError, match="as many keys as queries at block 0"):
        run("Flux dev")


def wrapped(name: str, call: Any) -> Any:
    """A tiny model with a function of another pack around its calls."""
    model = tiny_model(name)
    model.set_model_unet_function_wrapper(call)
    return model


def test_a_model_that_runs_twice_a_step_is_noticed(pack, run):
    def twice(function: Any, given: dict[str, Any]) -> Any:
        function(torch.zeros_like(given["input"]), given["timestep"], **given["c"])
        return function(given["input"], given["timestep"], **given["c"])

    with pytest.raises(pack.diffseg_core.CaptureError, match="block 0 .*ran again"):
        run("Flux dev", wrapped("Flux dev", twice))


def test_a_batch_in_parts_is_noticed(pack, run):
    def one_by_one(function: Any, given: dict[str, Any]) -> Any:
        one = {
            key: value[:1] if isinstance(value, torch.Tensor) else value for key, value in given["c"].items()
        }
        parts = [function(x[None], given["timestep"][:1], **one) for x in given["input"]]
        return torch.cat(parts)

    with pytest.raises(pack.diffseg_core.CaptureError, match=r"all images \(2×8×12\), got 1×8×12"):
        run("Flux dev", wrapped("Flux dev", one_by_one), latent=tiny_latent("Flux dev", 2))


def test_tiles_are_noticed(pack, run):
    def tiled(function: Any, given: dict[str, Any]) -> Any:
        halves = [function(x, given["timestep"], **given["c"]) for x in given["input"].split(4, 2)]
        return torch.cat(halves, 2)

    with pytest.raises(pack.diffseg_core.CaptureError, match=r"all images \(1×8×12\), got 1×4×12"):
        run("Flux dev", wrapped("Flux dev", tiled))


def test_an_image_beside_the_picture_is_noticed(pack, run):
    def beside(executor: Any, x: torch.Tensor, *args: Any, **named: Any) -> Any:
        return executor(torch.cat((x, x), 3), *args, **named)[..., : x.shape[3]]

    model = tiny_model("Flux dev")
    model.add_wrapper_with_key("diffusion_model", "test", beside)
    message = r"Expected 24 tokens of an image of 4×6 and 7 others at block 0 .*, got 55"
    with pytest.raises(pack.diffseg_core.CaptureError, match=message):
        run("Flux dev", model)


def test_patches_of_queries_and_keys_are_refused(pack, run):
    model = tiny_model("Flux dev")
    model.set_model_attn1_patch(lambda q, k, v, **_: {"q": q, "k": k, "v": v})
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=r"patch of tokens \(attn1_patch\)"):
        run("Flux dev", model)


def test_what_is_around_the_model_comes_to_its_end(run):
    """The pass stops early only where nobody else is around: others may have to put something right."""
    done: list[str] = []

    def around(function: Any, given: dict[str, Any]) -> Any:
        done.append("begun")
        result = function(given["input"], given["timestep"], **given["c"])
        done.append("ended")
        return result

    plain = run("Flux dev", layers="0")
    found = run("Flux dev", wrapped("Flux dev", around), layers="0")
    assert done == ["begun", "ended"]
    assert torch.equal(found[4, 6], plain[4, 6])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("Flux dev", {"width": 12}, r"conditioning of one prompt, \[1, tokens, 8\] .* got \[1, 7, 12\]"),
        ("Qwen-Image", {"width": 12}, r"\[1, tokens, 8\] .* got \[1, 7, 12\]"),
        ("Flux dev", {"pooled": 12}, r"pooled output of one prompt, \[1, 8\] .* got \[1, 12\]"),
        ("SD3", {"pooled": 12}, r"\[1, 8\] .* got \[1, 12\]"),
        ("Flux dev", {"pooled": None}, "finite numbers in the pooled output, got 8 of 8"),
    ],
)
def test_conditionings_of_another_width_are_refused_before_the_model_runs(pack, run, name, change, message):
    conditioning = tiny_conditioning(name)
    if "width" in change:
        conditioning[0][0] = torch.randn(1, 7, change["width"])
    if "pooled" in change:
        width = change["pooled"]
        pooled = torch.full((1, 8), torch.nan) if width is None else torch.randn(1, width)
        conditioning[0][1]["pooled_output"] = pooled
    model = tiny_model(name)
    calls: list[int] = []
    model.model.diffusion_model.register_forward_pre_hook(lambda *_: calls.append(1))
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        run(name, model, conditioning=conditioning)
    assert not calls


def test_images_that_are_too_small_for_pixart_are_refused(pack, run):
    with pytest.raises(
        pack.diffseg_core.InvalidSettingError, match="at least 256 pixels for PixArt, got 192×192"
    ):
        run("PixArt sigma", latent=torch.randn(1, 4, 24, 24))


@pytest.mark.parametrize(
    ("name", "dimensions", "message"),
    [
        ("Qwen-Image", 2, "a VAE of videos with .* as the model has, got one of images"),
        ("Flux dev", 3, "got one of videos"),
    ],
)
def test_a_vae_of_the_other_kind_is_refused_before_it_runs(pack, name, dimensions, message):
    """Both have 16 channels."""

    class OtherVAE:
        latent_channels = 16
        latent_dim = dimensions

    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=message):
        pack.nodes.capture.DiffSegCapture.execute(
            tiny_model(name),
            300,
            "clean latent",
            0,
            0,
            "all",
            conditioning=tiny_conditioning(name),
            vae=OtherVAE(),
            image=torch.rand(1, 64, 64, 3),
        )


def test_a_vae_of_videos_encodes_images_one_by_one(pack):
    """It would take a batch for the frames of one video."""

    class VideoVAE:
        latent_channels = 16
        latent_dim = 3

        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            assert len(pixels) == 1
            return torch.randn(1, 16, 1, pixels.shape[1] // 8, pixels.shape[2] // 8)

    captured = pack.nodes.capture.DiffSegCapture.execute(
        tiny_model("Qwen-Image"),
        300,
        "clean latent",
        0,
        96,
        "all",
        conditioning=tiny_conditioning("Qwen-Image"),
        vae=VideoVAE(),
        image=torch.rand(3, 64, 96, 3),
    )[0]
    assert captured.maps.batch_size == 3
    assert captured.maps.grid == (5, 7)  # 80×112 pixels, of whole tokens
    assert captured.image_size == (64, 96)


def test_a_model_on_several_devices_is_refused(pack, run):
    model = tiny_model("Flux dev")
    model.model_options["multigpu_clones"] = {"cuda:1": object()}
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="one device"):
        run("Flux dev", model)


def test_a_loaders_own_class_is_refused(pack, run):
    model = tiny_model("Flux dev")
    net = model.model.diffusion_model
    net.__class__ = type("NunchakuFluxTransformer", (type(net),), {})
    message = r"Flux\.1 as ComfyUI runs it \(Flux\), got NunchakuFluxTransformer"
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match=message):
        run("Flux dev", model)


@pytest.mark.parametrize("level", [1, 999])
def test_levels_next_to_the_ends_are_finite(run, level):
    assert torch.isfinite(run("Flux dev", noise_level=level)[4, 6]).all()
    assert torch.isfinite(run("Cosmos Predict 2", noise_level=level)[4, 6]).all()


def test_a_level_without_a_finite_sigma_is_refused(pack, run):
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="finite σ at noise level 1000"):
        run("Cosmos Predict 2", noise_level=1000)
