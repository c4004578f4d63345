"""What both hosts know of an architecture: it is added by a row here, one in each host's table, and its test.

Recommended blocks are those that the literature names for SD3 and Flux; docs/models.md says where. None of
them was measured here.
"""

from __future__ import annotations

from dataclasses import dataclass

from .layers import Recommended
from .maps import Evidence


@dataclass(frozen=True)
class Architecture:
    """A kind of model.

    Attributes:
        name: of the architecture.
        native_side: in pixels, of the square images that it was trained on.
        noise_level: that a capture takes where none is chosen, 0..1000.
        evidence: what is better known to tell segments apart in it: in SDXL the features (DiffCut).
        recommended: of a transformer, among its first kind of blocks; None for the middle third of all.
    """

    name: str
    native_side: int = 1024
    noise_level: int = 300
    evidence: Evidence = "attention"
    recommended: Recommended | None = None


ARCHITECTURES = {
    row.name: row
    for row in (
        Architecture("SD15", native_side=512),
        Architecture("SD20", native_side=512),
        Architecture("SD20 with v-prediction", native_side=768),
        Architecture("SDXL", evidence="features"),
        Architecture("SDXLRefiner"),
        Architecture("SD3 and SD3.5", recommended=Recommended(7, 10, of=24)),
        Architecture("Flux.1", recommended=Recommended(12, 19, of=19)),
        Architecture("Flux.2", recommended=Recommended(5, 8, of=8)),
        Architecture("Chroma", recommended=Recommended(12, 19, of=19)),
        Architecture("Z-Image"),
        Architecture("Lumina 2"),
        Architecture("Qwen-Image", native_side=1328),
        Architecture("Anima"),
        Architecture("Cosmos Predict 2"),
        Architecture("HunyuanImage 2.1", native_side=2048),
        Architecture("HiDream I1"),
        Architecture("Krea 2"),
        Architecture("AuraFlow"),
        Architecture("LongCat-Image"),
        Architecture("OmniGen 2"),
        Architecture("Kandinsky 5 Image"),
        Architecture("PixArt"),
        Architecture("HunyuanDiT"),
    )
}
