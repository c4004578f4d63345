"""COCO-Stuff-27: the 182 classes of COCO-Stuff by their supercategories, which are the benchmark's classes.

The supercategories of COCO-Stuff's hierarchy (Caesar et al., "COCO-Stuff: Thing and Stuff Classes in
Context", CVPR 2018), in the order of PiCIE and DiffSeg: 12 of things, then 15 of stuff. Numbers are values in
the pixel maps of COCO-Stuff.
"""

from __future__ import annotations

from ..types import VOID

# fmt: off
SUPERCATEGORIES: dict[str, dict[int, str]] = {
    "electronic-things": {
        71: "tv", 72: "laptop", 73: "mouse", 74: "remote", 75: "keyboard", 76: "cell phone",
    },
    "appliance-things": {
        77: "microwave", 78: "oven", 79: "toaster", 80: "sink", 81: "refrigerator", 82: "blender",
    },
    "food-things": {
        51: "banana", 52: "apple", 53: "sandwich", 54: "orange", 55: "broccoli", 56: "carrot",
        57: "hot dog", 58: "pizza", 59: "donut", 60: "cake",
    },
    "furniture-things": {
        61: "chair", 62: "couch", 63: "potted plant", 64: "bed", 65: "mirror", 66: "dining table",
        67: "window", 68: "desk", 69: "toilet", 70: "door",
    },
    "indoor-things": {
        83: "book", 84: "clock", 85: "vase", 86: "scissors", 87: "teddy bear", 88: "hair drier",
        89: "toothbrush", 90: "hair brush",
    },
    "kitchen-things": {
        43: "bottle", 44: "plate", 45: "wine glass", 46: "cup", 47: "fork", 48: "knife", 49: "spoon",
        50: "bowl",
    },
    "accessory-things": {
        25: "hat", 26: "backpack", 27: "umbrella", 28: "shoe", 29: "eye glasses", 30: "handbag", 31: "tie",
        32: "suitcase",
    },
    "animal-things": {
        15: "bird", 16: "cat", 17: "dog", 18: "horse", 19: "sheep", 20: "cow", 21: "elephant", 22: "bear",
        23: "zebra", 24: "giraffe",
    },
    "outdoor-things": {
        9: "traffic light", 10: "fire hydrant", 11: "street sign", 12: "stop sign", 13: "parking meter",
        14: "bench",
    },
    "person-things": {0: "person"},
    "sports-things": {
        33: "frisbee", 34: "skis", 35: "snowboard", 36: "sports ball", 37: "kite", 38: "baseball bat",
        39: "baseball glove", 40: "skateboard", 41: "surfboard", 42: "tennis racket",
    },
    "vehicle-things": {
        1: "bicycle", 2: "car", 3: "motorcycle", 4: "airplane", 5: "bus", 6: "train", 7: "truck", 8: "boat",
    },
    "ceiling-stuff": {101: "ceiling-other", 102: "ceiling-tile"},
    "floor-stuff": {
        100: "carpet", 113: "floor-marble", 114: "floor-other", 115: "floor-stone", 116: "floor-tile",
        117: "floor-wood",
    },
    "food-stuff": {120: "food-other", 121: "fruit", 152: "salad", 169: "vegetable"},
    "furniture-stuff": {
        97: "cabinet", 106: "counter", 107: "cupboard", 109: "desk-stuff", 111: "door-stuff",
        122: "furniture-other", 129: "light", 132: "mirror-stuff", 155: "shelf", 160: "stairs", 164: "table",
    },
    "rawmaterial-stuff": {99: "cardboard", 131: "metal", 138: "paper", 142: "plastic"},
    "textile-stuff": {
        91: "banner", 92: "blanket", 103: "cloth", 104: "clothes", 108: "curtain", 130: "mat",
        136: "napkin", 140: "pillow", 151: "rug", 166: "textile-other", 167: "towel",
    },
    "wall-stuff": {
        170: "wall-brick", 171: "wall-concrete", 172: "wall-other", 173: "wall-panel", 174: "wall-stone",
        175: "wall-tile", 176: "wall-wood",
    },
    "window-stuff": {179: "window-blind", 180: "window-other"},
    "building-stuff": {
        94: "bridge", 95: "building-other", 127: "house", 150: "roof", 157: "skyscraper", 165: "tent",
    },
    "ground-stuff": {
        110: "dirt", 124: "gravel", 125: "ground-other", 135: "mud", 139: "pavement", 143: "platform",
        144: "playingfield", 146: "railroad", 148: "road", 153: "sand", 158: "snow",
    },
    "plant-stuff": {
        93: "branch", 96: "bush", 118: "flower", 123: "grass", 128: "leaves", 133: "moss",
        141: "plant-other", 162: "straw", 168: "tree",
    },
    "sky-stuff": {105: "clouds", 156: "sky-other"},
    "solid-stuff": {126: "hill", 134: "mountain", 149: "rock", 159: "solid-other", 161: "stone", 181: "wood"},
    "structural-stuff": {98: "cage", 112: "fence", 137: "net", 145: "railing", 163: "structural-other"},
    "water-stuff": {119: "fog", 147: "river", 154: "sea", 177: "water-other", 178: "waterdrops"},
}
# fmt: on
"""Number and name of every fine class, by supercategory."""

NAMES = tuple(SUPERCATEGORIES)
"""The 27 classes."""

UNLABELLED = 255

FINE_TO_COARSE = {UNLABELLED: VOID} | {
    fine: coarse for coarse, members in enumerate(SUPERCATEGORIES.values()) for fine in members
}
"""The class of every value in a pixel map."""
