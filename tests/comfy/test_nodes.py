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
        "DiffSegSelect",
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
        assert schema.category in ("DiffSeg", "DiffSeg/more")
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
    with pytest.raises(
        pack.diffseg_core.InvalidSettingError,
        match=r"VAE of images with 4 latent channels .* got one of images with 16",
    ):
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
    carried, count = pack.nodes.segment.DiffSegSegment.execute(captured, 0.2, 8, 0.5).args
    segments = carried.segments
    assert segments.labels.shape == (2, 100, 150)
    assert count == sum(segments.counts)
    every = pack.nodes.masks.DiffSegMasks.execute(carried)[0]
    assert every.shape == (count, 100, 150)
    assert every.dtype == torch.float32
    for masks in every.split(segments.counts):
        assert torch.equal(masks.sum(0), torch.ones(100, 150))
        areas = masks.sum((1, 2))
        assert torch.equal(areas, areas.sort(descending=True).values)
    overlay = pack.nodes.preview.DiffSegPreview.execute(carried)
    assert torch.equal(overlay[0], pack.diffseg_core.draw_overlay(image, segments))
    assert len(overlay.ui.as_dict()["images"]) == 2


def test_segments_carry_the_capture_and_its_image_through_every_node(pack, run_capture, sd1, image):
    """What is connected to a later node goes on in place of the captured image; a latent has none."""
    nodes, cut = pack.nodes, ("automatic", 5, 0.0, 0.5, True, 0.1)
    captured = run_capture(vae=sd1.vae, image=image)
    assert (captured.image, captured.model) == (image, sd1.model)
    assert captured.conditioning is sd1.conditioning
    hierarchy = nodes.hierarchy.DiffSegHierarchy
    tree = hierarchy.execute(captured, *cut)[0]
    assert tree.capture is captured
    other = image.flip(2)
    for node, inputs in (
        (nodes.filter.DiffSegFilter, ("", 0.0, 100.0, "any", 0, "any")),
        (nodes.snap_mask.DiffSegSnapMask, (torch.ones(1, 100, 150), 50.0)),
        (nodes.refine.DiffSegRefine, (0.0, False)),
        (nodes.select.DiffSegSelect, ("[]", True, 0)),
    ):
        carried = next(each for each in node.execute(tree, *inputs).args if hasattr(each, "capture"))
        assert carried.capture is captured, node
    for carried in (
        hierarchy.execute(captured, *cut, image=other)[0],
        nodes.refine.DiffSegRefine.execute(tree, 0.0, False, other)[0],
        nodes.select.DiffSegSelect.execute(tree, "[]", True, 0, other)[3],
    ):
        assert carried.capture.image is other
        assert (carried.capture.maps, carried.capture.model) == (captured.maps, captured.model)

    of_latent = run_capture(latent={"samples": torch.randn(2, 4, 16, 16)})
    flat = nodes.segment.DiffSegSegment.execute(of_latent, 0.2, 8, 0.5)[0]
    for run in (
        lambda: hierarchy.execute(of_latent, *cut),
        lambda: nodes.refine.DiffSegRefine.execute(flat, 0.0, False),
    ):
        with pytest.raises(pack.diffseg_core.InvalidSettingError, match="captured from a latent. Connect"):
            run()
    assert nodes.select.DiffSegSelect.execute(flat, "[]", True, 0)[0].all()
    colours = nodes.preview.DiffSegPreview.execute(flat)[0]
    assert colours.shape == (2, 128, 128, 3)
    with_image = hierarchy.execute(of_latent, *cut, image=torch.rand(2, 128, 128, 3))[0]
    assert nodes.select.DiffSegSelect.execute(with_image, "[]", True, 0)[2][..., 3].all()


def test_a_conditioning_that_cannot_serve_is_refused_before_the_vae_runs(
    pack, run_capture, sd1, image, monkeypatch
):
    encoded = []
    monkeypatch.setattr(sd1.vae, "encode", encoded.append)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="one entry, got 2"):
        run_capture(vae=sd1.vae, image=image, conditioning=sd1.conditioning * 2)
    assert not encoded


def test_the_hierarchy_says_where_it_takes_the_features(pack, hosts, capture):
    """Of SDXL's class by itself; and it cuts as DiffCut where it is told to."""
    core, node = pack.diffseg_core, pack.nodes.hierarchy.DiffSegHierarchy
    image = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(1))

    def outputs(name: str, cut: str = "number of segments"):
        latent = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(5))
        maps = capture(hosts(name), latent=latent)
        attention = pack.nodes.types.CapturedAttention(maps, core.GridSize(128, 128))
        return maps, node.execute(attention, cut, 5, 0.0, 0.7, True, 0.5, image)

    maps, automatic = outputs("sdxl")
    assert automatic.ui.as_dict() == {"text": ("evidence: features",)}
    expected = core.segment_hierarchy(maps, image, 5, finest=0.005, evidence="features")
    assert torch.equal(automatic[0].segments.labels, expected.labels)
    assert outputs("sd1")[1].ui is None
    maps, cut = outputs("sdxl", "normalised cut")
    assert cut.ui is None
    expected = core.segment_cut(maps, image, 0.7)
    assert torch.equal(cut[0].segments.labels, expected.labels)
    assert cut[1] == sum(expected.counts)
