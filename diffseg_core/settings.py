"""Every setting that a person chooses, and what it may be.

Here alone: the library's functions check by it, the nodes' inputs and the command's options have their
ranges, options and defaults from it. `tools/entrances.py` says where each can be set.
"""

from __future__ import annotations

from typing import Literal, get_args

from .checks import Choice, Number, Switch

# Capture (paper, 3.2)
InputMode = Literal["clean latent", "noised latent"]

NOISE_LEVEL = Number("a noise level", 0, 1000, -1, whole=True, automatic="the architecture's own")
INPUT_MODE = Choice[InputMode]("the input mode", get_args(InputMode), "clean latent")
NOISE_SEED = Number("a noise seed", 0, 2**64 - 1, 0, whole=True)
WORKING_SIZE = Number("a working size", 64, 4096, 0, whole=True, unit="pixels", zero="the model's own")

# Segment (paper, 3.3 and 3.4)
Refinement = Literal["none", "kmeans"]

MERGE_THRESHOLD = Number(
    "a merge threshold",
    0.01,
    10.0,
    1.0,
    unit="nats",
    hint="Usual values lie from 0.05 to 1.5; higher gives fewer segments.",
)
MERGE_PASSES = Number("merge passes", 1, 20, 3, whole=True)
ANCHORS = Number("anchors per side of the grid", 2, 128, 16, whole=True)
REFINEMENT = Choice[Refinement]("the refinement", get_args(Refinement), "none")
SMALLEST_PIECE = Number("a smallest area", 0.0, 0.5, 0.0, unit="of the image", is_share=True)

# Hierarchy
Cut = Literal["automatic", "number of segments", "height", "normalised cut"]
Evidence = Literal["automatic", "attention", "features", "both"]

CUT = Choice[Cut]("the cut", get_args(Cut), "automatic")
NUMBER = Number("a number of segments", 1, 65535, 10, whole=True)
HEIGHT = Number("a height", 0.0, 20.0, 0.1, unit="nats")
NEIGHBOURS_ONLY = Switch("neighbours_only", True)
# The weights were chosen on the photographs of docs/granularity.md. The finest segments' area is 157 pixels
# of 512×512, some two tokens of a 64×64 grid; twice as much costs covering (same page).
CONTRAST = Number("a weight of the contrast", 0.0, 2.0, 0.5)
COLOUR = Number("a weight of the colours", 0.0, 10.0, 0.25)
FINEST = Number("an area of the finest segments", 0.0001, 0.1, 0.0006, unit="of the image", is_share=True)
EVIDENCE = Choice[Evidence]("evidence", get_args(Evidence), "automatic")

# Normalised cut (DiffCut)
Borders = Literal["image edges", "features"]

CUT_THRESHOLD = Number("a threshold", 0.0, 0.9, 0.5)
CUT_POWER = Number("a power", 0.5, 50.0, 10.0)  # the higher, the more alike places must be to hold together
CUT_BORDERS = Choice[Borders]("borders", get_args(Borders), "image edges")

# Select and words
Mode = Literal["segments", "object"]

MODE = Choice[Mode]("the mode", get_args(Mode), "segments")
GRANULARITY = Number("a granularity", 1, 65535, 0, whole=True, unit="segments", zero="as they come")
INVERT = Switch("invert", False)
WORD_THRESHOLD = Number("a threshold", 0.0, 1.0, 0.5)
BACKGROUND_OFFSET = Number("a background offset", -1.0, 1.0, 0.0)

# Filter, snap, refine
Border = Literal["any", "touching", "not touching"]
Place = Literal["any", "leftmost", "rightmost", "topmost", "bottommost", "most central"]

SMALLEST_AREA = Number("a smallest area", 0.0, 1.0, 0.0, unit="of the image", is_share=True)
LARGEST_AREA = Number("a largest area", 0.0, 1.0, 1.0, unit="of the image", is_share=True)
BORDER = Choice[Border]("border", get_args(Border), "any")
KEEP_LARGEST = Number("a number of segments to keep", 1, 65535, 0, whole=True, zero="all")
PLACE = Choice[Place]("place", get_args(Place), "any")
COVERAGE = Number("a coverage", 0.0, 1.0, 0.5, unit="of a segment", is_share=True)
REACH = Number("a reach", 0.0, 0.2, 0.0, unit="of the image's longer side", is_share=True, zero="by itself")
SOFT = Switch("soft", False)

# Output
Palette = Literal["distinct", "ADE20K"]

PALETTE = Choice[Palette]("palette", get_args(Palette), "distinct")
OPACITY = Number("an opacity", 0.0, 1.0, 0.4)
DRAW_BORDERS = Switch("borders", True)
DRAW_NUMBERS = Switch("numbers", True)
CROP_FACTOR = Number("a crop factor", 1.0, 100.0, 3.0, hint="1 is the bounding box itself.")
