"""The values that travel between DiffSeg's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..diffseg_core import AttentionMaps, GridSize, Segments
from ..diffseg_core.attention.capture_settings import ModelInputs
from .comfy.api import io

if TYPE_CHECKING:
    from typing_extensions import Self

CATEGORY = "DiffSeg"  # of the menu: what masking needs
MORE = "DiffSeg/more"  # and the rest
ESSENTIALS = "Image Tools"  # of the front end's first page of nodes

Attention = io.Custom("DIFFSEG_ATTENTION")  # carries a CapturedAttention
SegmentsType = io.Custom("DIFFSEG_SEGMENTS")  # carries a CapturedSegments


class HostVisible(tuple[Any, ...]):
    """A value that is, underneath, a tuple of the tensors and models that it holds.

    ComfyUI keeps the outputs of nodes and, when memory runs short, gives up those first that hold a model of
    an earlier run or take most of it. It looks for models and tensors in tuples and lists only: what any
    other object holds counts as nothing and is kept the longest. A value that travels between nodes is
    therefore a tuple for the host, which may walk through it, and for everyone else an object with named
    attributes.

    A subclass is a dataclass, ``@dataclass(frozen=True, eq=False)``, whose ``__new__`` passes on what its
    fields hold, in tuples or lists to any depth, each once. A list may grow later, for what is computed at
    the first use. Two such values are equal if they are the same object, as tensors have no equality that
    a host could use.
    """

    def __new__(cls, *contents: Any) -> Self:
        """Make the value of what it shows the host: tensors and models, and tuples or lists of them."""
        return super().__new__(cls, contents)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies are made from the fields: what was kept beside them is computed anew."""
        return type(self), tuple(getattr(self, name) for name in self.__dataclass_fields__)  # type: ignore[attr-defined]


def tensors_within(*values: Any) -> tuple[torch.Tensor, ...]:
    """The tensors in lists, tuples and mappings to any depth, each once."""
    tensors = {id(tensor): tensor for value in values for tensor in _walked(value)}
    return tuple(tensors.values())


def _walked(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _walked(value.values())
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield from _walked(item)


@dataclass(frozen=True, eq=False)
class CapturedAttention(HostVisible):
    """Attention maps, and what made them, for the nodes that come later.

    Attributes:
        maps: the attention.
        image_size: height and width of the images in pixels.
        step: what the model was given; None where that is not known.
        image: IMAGE ``[B, H, W, C]`` of this size, the tensor itself; None of a latent.
        model: the MODEL.
        clip: its CLIP; None where none was connected.
        conditioning: CONDITIONING.
    """

    maps: AttentionMaps
    image_size: GridSize
    step: ModelInputs | None = None
    image: torch.Tensor | None = None
    model: Any = None
    clip: Any = None
    conditioning: list[Any] | None = None

    def __new__(
        cls,
        maps: AttentionMaps,
        image_size: GridSize,
        step: ModelInputs | None = None,
        image: torch.Tensor | None = None,
        model: Any = None,
        clip: Any = None,
        conditioning: list[Any] | None = None,
    ) -> Self:
        """The host sees the maps, their aggregate once there is one, all other tensors and both models."""
        models = (held for held in (model, getattr(clip, "patcher", None)) if held is not None)
        tensors = tensors_within(step.tensors if step else (), image, conditioning)
        return super().__new__(cls, maps.tensors, tensors, *models)


@dataclass(frozen=True, eq=False)
class CapturedSegments(HostVisible):
    """Segments, and the capture that they come from.

    Attributes:
        segments: the segments.
        capture: of their images; its image is the one to show them on.
    """

    segments: Segments
    capture: CapturedAttention

    def __new__(cls, segments: Segments, capture: CapturedAttention) -> Self:
        """The host sees all tensors of the segments, and what it sees of the capture."""
        return super().__new__(cls, segments.tensors, capture)

    def replaced(self, segments: Segments) -> CapturedSegments:
        """Other segments of the same capture."""
        return CapturedSegments(segments, self.capture)
