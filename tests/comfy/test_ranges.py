"""The command's settings have the ranges and defaults of the nodes' inputs."""

from __future__ import annotations

from dataclasses import fields

import pytest

from diffseg_cli.batch.settings import CaptureSettings, MergeSettings, NestedSettings

OTHER_DEFAULTS = {("DiffSegHierarchy", "number"), ("DiffSegHierarchy", "height")}
"""Inputs of a node that are there always; the command's are given or not."""


@pytest.mark.parametrize(
    ("room", "node", "settings"),
    [
        ("capture", "DiffSegCapture", CaptureSettings),
        ("segment", "DiffSegSegment", MergeSettings),
        ("hierarchy", "DiffSegHierarchy", NestedSettings),
    ],
)
def test_ranges_and_defaults_are_those_of_the_node(pack, room, node, settings):
    schema = getattr(getattr(pack.nodes, room), node).GET_SCHEMA()
    inputs = {port.id: port for port in schema.inputs}
    with_range = [field for field in fields(settings) if "range" in field.metadata]
    assert with_range
    for field in with_range:
        port = inputs[field.name]
        assert tuple(field.metadata["range"]) == (port.min, port.max), field.name
        if (node, field.name) not in OTHER_DEFAULTS:
            assert field.default == port.default, field.name
