"""The nodes as ComfyUI calls them, one after the other, without a server."""

from __future__ import annotations

import asyncio
import re

import pytest
import torch


@pytest.fixture
def image(images):
    return images.movedim(1, -1)  # [2, 100, 150, 3]


def test_every_node_says_what_it_is(pack):
    extension = asyncio.run(pack.comfy_entrypoint())
    nodes = asyncio.run(extension.get_node_list())
    assert [node.__name__ for node in nodes] == [
        "DiffSegCapture",
        "DiffSegSegment",
        "DiffSegHierarchy",
        "DiffSegCut",
        "DiffSegSelect",
        "DiffSegObject",
        "DiffSegFindWords",
        "DiffSegFilter",
        "DiffSegSnapMask",
        "DiffSegRefine",
        "DiffSegMasks",
        "DiffSegLabelMap",
        "DiffSegToSEGS",
        "DiffSegSave",
        "DiffSegPreview",
        "DiffSegCheckModel",
        "DiffSegDemoModel",
    ]
    for node in nodes:
        schema = node.GET_SCHEMA()
        assert schema.node_id == node.__name__
        assert schema.category == "DiffSeg"
        assert schema.description.endswith(".")
        assert 3 <= len(schema.search_aliases) <= 6
        for port in [*schema.inputs, *schema.outputs]:
            assert port.tooltip, f"{schema.node_id}: {port}"
            assert re.search(r"[.)]$", port.tooltip), port.tooltip


def test_a_latent_gives_what_its_image_gives(run_capture, sd1, image):
    square = torch.nn.functional.interpolate(image.movedim(-1, 1), size=(128, 128)).movedim(1, -1)
    from_image = run_capture(vae=sd1.vae, image=square)
    from_latent = run_capture(latent={"samples": sd1.vae.encode(square)})
    assert from_image.image_size == from_latent.image_size == (128, 128)
    assert from_image.maps.grids == from_latent.maps.grids
    for grid in from_image.maps:
        assert torch.equal(from_image.maps[grid], from_latent.maps[grid])


def test_a_latent_is_used_at_its_own_size(run_capture):
    captured = run_capture(latent={"samples": torch.randn(1, 4, 16, 24)}, working_size=512)
    assert captured.image_size == (128, 192)
    assert captured.maps.grid == (16, 24)


def test_transparency_and_half_precision_are_taken(run_capture, sd1, image):
    plain = run_capture(vae=sd1.vae, image=image)
    transparent = torch.cat((image, torch.rand(2, 100, 150, 1)), -1)
    without = run_capture(vae=sd1.vae, image=transparent)
    half = run_capture(vae=sd1.vae, image=image.half())
    for grid in plain.maps:
        torch.testing.assert_close(without.maps[grid], plain.maps[grid], rtol=0, atol=1e-5)
        torch.testing.assert_close(half.maps[grid], plain.maps[grid], rtol=0, atol=0.05)


def test_a_long_image_keeps_its_shape(run_capture, sd1):
    captured = run_capture(vae=sd1.vae, image=torch.rand(1, 60, 240, 3))
    assert captured.image_size == (60, 240)
    assert captured.maps.grid == (8, 32)  # 64×256 pixels


def test_the_working_size_is_the_models_own_unless_set(pack, hosts):
    backbone_of = pack.nodes.comfy.capture.backbone_of
    assert {
        name: backbone_of(hosts(name).model).architecture.native_side for name in ("sd1", "sd2-v", "sdxl")
    } == {
        "sd1": 512,
        "sd2-v": 768,
        "sdxl": 1024,
    }


def test_both_or_neither_image_and_latent_are_refused(pack, run_capture, sd1, image):
    error = pack.diffseg_core.InvalidSettingError
    latent = {"samples": torch.randn(1, 4, 16, 16)}
    with pytest.raises(error, match=r"either an image .* or a latent, got both"):
        run_capture(vae=sd1.vae, image=image, latent=latent)
    with pytest.raises(error, match="got neither a latent nor an image"):
        run_capture()
    with pytest.raises(error, match="got neither a latent nor a vae"):
        run_capture(image=image)


def test_images_of_another_shape_are_refused(pack, run_capture, sd1):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=r"got 5 \(1×100×150×5\)"):
        run_capture(vae=sd1.vae, image=torch.rand(1, 100, 150, 5))


def test_a_vae_of_another_model_is_refused(pack, run_capture, sd1, image, monkeypatch):
    monkeypatch.setattr(sd1.vae, "latent_channels", 16)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match=r"VAE of 4 latent channels .* got 16"):
        run_capture(vae=sd1.vae, image=image)


def test_the_seed_matters_for_a_noised_latent_only(run_capture):
    latent = {"samples": torch.randn(1, 4, 16, 16)}

    def finest(mode: str, seed: int) -> torch.Tensor:
        return run_capture(latent=latent, input_mode=mode, noise_seed=seed).maps[(16, 16)]

    assert torch.equal(finest("clean latent", 1), finest("clean latent", 2))
    assert torch.equal(finest("noised latent", 1), finest("noised latent", 1))
    assert not torch.allclose(finest("noised latent", 1), finest("noised latent", 2), atol=1e-4)
    assert not torch.allclose(finest("noised latent", 1), finest("clean latent", 1), atol=1e-4)


def test_from_image_to_masks_and_overlay(pack, run_capture, sd1, image):
    captured = run_capture(vae=sd1.vae, image=image)
    segments, count = pack.nodes.segment.DiffSegSegment.execute(captured, 0.2, 3, 8, "kmeans", 0.5).args
    assert segments.labels.shape == (2, 100, 150)
    assert count == sum(segments.counts)
    for index in range(2):
        masks = pack.nodes.masks.DiffSegMasks.execute(segments, index)[0]
        assert masks.shape == (segments.counts[index], 100, 150)
        assert masks.dtype == torch.float32
        assert torch.equal(masks.sum(0), torch.ones(100, 150))
        areas = masks.sum((1, 2))
        assert torch.equal(areas, areas.sort(descending=True).values)
    # A preview asks ComfyUI which prompt its images belong to, and so needs the class that ComfyUI runs.
    preview = pack.nodes.preview.DiffSegPreview
    overlay = preview.execute(segments, image, 0.5, True, True)
    assert overlay[0].shape == image.shape
    assert len(overlay.ui.as_dict()["images"]) == 2
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="image index from 0 to 1, got 2"):
        pack.nodes.masks.DiffSegMasks.execute(segments, 2)


def test_a_conditioning_that_cannot_serve_is_refused_before_the_vae_runs(
    pack, run_capture, sd1, image, monkeypatch
):
    encoded = []
    monkeypatch.setattr(sd1.vae, "encode", encoded.append)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="one entry, got 2"):
        run_capture(vae=sd1.vae, image=image, conditioning=sd1.conditioning * 2)
    assert not encoded


def test_the_hierarchy_says_where_it_takes_the_features(pack, hosts, capture):
    """SDXL's class by itself, others as they are told; said on the node only where automatic chose."""
    node = pack.nodes.hierarchy.DiffSegHierarchy
    image = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(1))
    cut = ("number of segments", 5, 0.0, True, 0.5, 0.25, 0.5)

    def outputs(name: str, *evidence: str):
        latent = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(5))
        maps = capture(hosts(name), latent=latent)
        attention = pack.nodes.types.CapturedAttention(maps, pack.diffseg_core.GridSize(128, 128))
        return node.execute(attention, image, *cut, *evidence)

    automatic, told = outputs("sdxl"), outputs("sdxl", "features")
    assert automatic.ui.as_dict() == {"text": ("evidence: features",)}
    assert told.ui is None
    assert torch.equal(automatic[0].labels, told[0].labels)
    assert outputs("sd1").ui is None
    assert not torch.equal(outputs("sdxl", "attention")[0].labels, told[0].labels)
