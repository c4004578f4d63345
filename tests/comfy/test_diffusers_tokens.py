"""Where words lie among a diffusers pipeline's tokens, by the real tokenizers, and words read end to end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffseg_tools.environment import NEWEST, comfyui_directory
from model_shapes import CONTEXT

FOLDER = comfyui_directory(NEWEST) / "comfy"
PIPELINES = {
    "SD": (diffusers.StableDiffusionPipeline, 77),
    "SD3": (diffusers.StableDiffusion3Pipeline, 77 + 256),
    "SD3 without T5": (diffusers.StableDiffusion3Pipeline, 77 + 256),
    "SD3 without T5's weights": (diffusers.StableDiffusion3Pipeline, 77 + 256),  # its tokenizer is there
    "Flux": (diffusers.FluxPipeline, 512),
    "Qwen": (diffusers.QwenImagePipeline, None),
}
TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, "
    "spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
    "<|im_start|>assistant\n"
)
WORDS = ["giraffe", "traffic light", "light", "antidisestablishmentarianism", "cup (blue)", "café", "T-shirt"]


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    """As the pipelines have them."""
    encoders = FOLDER / "text_encoders"
    return {
        "clip": transformers.CLIPTokenizer.from_pretrained(FOLDER / "sd1_tokenizer", model_max_length=77),
        "t5": transformers.T5TokenizerFast.from_pretrained(encoders / "t5_tokenizer"),
        "qwen": transformers.Qwen2Tokenizer.from_pretrained(encoders / "qwen25_tokenizer"),
    }


@pytest.fixture
def pipeline_of(tokenizers) -> Callable[[str], Any]:
    """The part of a pipeline that turns text into tokens."""

    def make(name: str) -> Any:
        kind, _ = PIPELINES[name]
        pipeline = SimpleNamespace(encode_prompt=inspect.unwrap(kind.encode_prompt))
        if name == "Qwen":
            pipeline.tokenizer, pipeline.text_encoder = tokenizers["qwen"], object()
            pipeline.prompt_template_encode, pipeline.prompt_template_encode_start_idx = TEMPLATE, 34
            return pipeline
        pipeline.tokenizer, pipeline.tokenizer_max_length = tokenizers["clip"], 77
        pipeline.tokenizer_2 = tokenizers["t5" if name == "Flux" else "clip"]
        pipeline.tokenizer_3 = tokenizers["t5"] if name in ("SD3", "SD3 without T5's weights") else None
        pipeline.text_encoder = pipeline.text_encoder_2 = object()
        pipeline.text_encoder_3 = object() if name == "SD3" else None
        return pipeline

    return make


def encoded_ids(pipeline: Any, name: str, text: str) -> tuple[list[tuple[Any, int]], int]:
    """Of every token of the encoded prompt its tokenizer and id, as the pipeline makes them of the text."""

    def padded(tokenizer: Any, length: int) -> list[tuple[Any, int]]:
        read = tokenizer(text, padding="max_length", max_length=length, truncation=True).input_ids
        return [(tokenizer, number) for number in read]

    if name == "Qwen":
        ids = pipeline.tokenizer(TEMPLATE.format(text)).input_ids[34:]
        return [(pipeline.tokenizer, number) for number in ids], len(ids)
    if name == "Flux":
        return padded(pipeline.tokenizer_2, 512), 512
    ids = padded(pipeline.tokenizer, 77)
    if name == "SD3":
        ids += padded(pipeline.tokenizer_3, 256)
    return ids, PIPELINES[name][1]


def found_places(pack: Any, pipeline: Any, name: str, lines: Any, length: int) -> Any:
    core = pack.diffseg_core
    rows = pack.diffseg_core.diffusers.transformers.TRANSFORMERS
    encoding = pack.diffseg_core.diffusers.prompts.Encoding(("text_encoder",), ("embeds",))
    for row in rows:
        if name != "SD" and row.name.startswith(name[:3]):
            encoding = row.encoding
    return core.diffusers.words.find_places(pipeline, encoding, core.words.lines.prompt_of(lines), length)


def spoken(ids: list[tuple[Any, int]], places: tuple[int, ...]) -> list[str]:
    """The text of some tokens, one for each tokenizer."""
    said = []
    for tokenizer in dict.fromkeys(ids[place][0] for place in places):
        own = [ids[place][1] for place in places if ids[place][0] is tokenizer]
        said.append(tokenizer.decode(own).strip())
    return said


def plain(text: str) -> str:
    """CLIP reads small letters, with spaces anywhere; a token of a bracket may hold the comma behind it."""
    return "".join(text.lower().split()).rstrip(",")


@pytest.mark.parametrize("name", PIPELINES)
def test_the_tokens_of_a_word_say_the_word(pack, pipeline_of, name):
    pipeline = pipeline_of(name)
    text = "\n".join(each.replace("(", r"\(").replace(")", r"\)") for each in WORDS)
    lines = pack.diffseg_core.parse_words(text)
    prompt = "a photograph of " + ", ".join([*WORDS, "other objects", "background"])
    ids, length = encoded_ids(pipeline, name, prompt)
    places = found_places(pack, pipeline, name, lines, length)
    readers = 2 if name == "SD3" else 1
    for word, (found,) in zip(WORDS, places.lines, strict=True):
        assert [plain(each) for each in spoken(ids, found)] == [plain(word)] * readers
    assert spoken(ids, places.others) == ["other objects"] * readers
    assert spoken(ids, places.background) == ["background"] * readers
    every = [place for line in places.lines for word in line for place in word]
    assert len(every) == len(set(every))
    assert every[0] > 0


def test_synonyms_have_places_of_their_own(pack, pipeline_of):
    lines = pack.diffseg_core.parse_words("cup, coffee mug\n!light\ntraffic light")
    places = found_places(pack, pipeline_of("SD"), "SD", lines, 77)
    # start 0, a 1, photograph 2, of 3, cup 4, "," 5, coffee 6, mug 7, "," 8, light 9, "," 10, traffic light
    assert places.lines == (((4,), (6, 7)), ((9,),), ((11, 12),))
    assert (places.others, places.background) == ((14, 15), (17,))


@pytest.mark.parametrize(("name", "most"), [("SD", 75), ("Flux", 511)])
def test_words_that_do_not_fit_are_named(pack, pipeline_of, name, most):
    known = ["cat", "dog", "cow", "car", "bus", "cup", "bed", "sun", "sea", "sky", "hat", "pen", "box", "tea"]
    numbers = range(10) if name == "SD" else range(60)
    words = [f"{word} {chr(97 + number % 26) * (1 + number // 26)}" for word in known for number in numbers]
    lines = pack.diffseg_core.parse_words("\n".join(words[:140]))
    pipeline = pipeline_of(name)
    errors = pack.diffseg_core.InvalidSettingError
    length = PIPELINES[name][1]
    if name == "Flux":  # has room for some hundred and twenty words
        lines = pack.diffseg_core.parse_words("\n".join(words[:190]))
    with pytest.raises(errors, match=rf"at most {most} tokens.*('background'|…)") as error:
        found_places(pack, pipeline, name, lines, length)
    fitting = int(str(error.value).split("The first ")[1].split()[0])
    assert 10 < fitting < len(lines)
    found_places(pack, pipeline, name, lines[:fitting], length)
    with pytest.raises(errors, match="do not fit"):
        found_places(pack, pipeline, name, lines[: fitting + 1], length)


def test_words_that_clip_has_no_room_for_are_all_read_by_t5(pack, pipeline_of):
    """CLIP's tokens draw otherwise than T5's: a word in both does not compare with one in T5 alone."""
    words = [f"{word} {letter}" for letter in "abcde" for word in ("cat", "dog", "cow", "car", "bus", "cup")]
    lines = pack.diffseg_core.parse_words("\n".join(words))
    pipeline = pipeline_of("SD3")
    places = found_places(pack, pipeline, "SD3", lines, 77 + 256)
    for (word,) in places.lines:
        assert min(word) >= 77
    assert min(places.background) >= 77
    assert min(places.others) >= 77
    few = found_places(pack, pipeline, "SD3", lines[:3], 77 + 256)
    for places in (*(word for (word,) in few.lines), few.others, few.background):
        assert min(places) < 77 <= max(places)


def test_words_beyond_clip_are_refused_where_t5_has_a_tokenizer_and_no_weights(pack, pipeline_of):
    words = [f"{word} {letter}" for letter in "abcde" for word in ("cat", "dog", "cow", "car", "bus", "cup")]
    lines = pack.diffseg_core.parse_words("\n".join(words))
    errors = pack.diffseg_core.words.token_places.TooManyWordsError
    with pytest.raises(errors, match="at most 75 tokens"):
        found_places(pack, pipeline_of("SD3 without T5's weights"), "SD3", lines, 77 + 256)


def test_a_pipeline_that_encodes_in_a_way_of_its_own_is_refused(pack, pipeline_of):
    lines = pack.diffseg_core.parse_words("cup")
    with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="to 77 tokens, got 154"):
        found_places(pack, pipeline_of("SD"), "SD", lines, 154)


def test_a_word_without_tokens_is_refused(pack, pipeline_of):
    words = pack.diffseg_core.words.lines
    lines = (words.WordLine((words.Word("cup"),)), words.WordLine((words.Word("\u200b"),)))
    errors = pack.diffseg_core.InvalidSettingError
    with pytest.raises(errors, match=r"got '.u200b', of which it makes no token"):
        found_places(pack, pipeline_of("Flux"), "Flux", lines, 512)


@pytest.fixture(scope="module")
def reader(hosts, tokenizers) -> Any:
    """The small SD 1.x, with a small text encoder of random weights and the real tokenizer."""
    with torch.inference_mode(False):
        torch.manual_seed(4)
        config = transformers.CLIPTextConfig(
            hidden_size=CONTEXT,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
        encoder = transformers.CLIPTextModel(config).eval()
    parts = dict(hosts("sd1").pipeline.components)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(FOLDER / "sd1_tokenizer", model_max_length=77)
    parts |= {"text_encoder": encoder, "tokenizer": tokenizer}
    return diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)


def test_words_are_read_and_found_end_to_end(pack, reader, images):
    core = pack.diffseg_core
    maps = core.capture_diffusers(reader, images, working_size=128)
    lines = core.parse_words("cup, mug\ntraffic light\n!hand")
    words = core.read_words(reader, maps, lines)
    assert words.lines == lines
    assert words.attention.maps.shape == (2, words.attention.grid.tokens, 77)
    assert [[len(word) for word in line] for line in words.places.lines] == [[1, 1], [2], [1]]
    encoded = core.diffusers.words.encode_words(reader, lines)
    again = core.read_words(reader, maps, lines, encoded)
    assert torch.equal(again.attention.maps, words.attention.maps)
    found = core.find_words(core.segment_hierarchy(maps, images.movedim(1, -1)), maps, words)
    assert [len(masks) for masks in found.masks] == [2, 2]
    with pytest.raises(
        core.InvalidSettingError, match=r"encoded \('cup, traffic light, hand'\), got 'table'"
    ):
        core.read_words(reader, maps, core.parse_words("table"), encoded)


def test_a_weight_moves_a_word_away_from_the_empty_prompt_and_nothing_else(pack, reader):
    core = pack.diffseg_core
    encode = core.diffusers.words.encode_words
    plain_words = encode(reader, core.parse_words("cup, mug\ntable"))
    weighted = encode(reader, core.parse_words("cup, (mug:1.5)\n(table:0.5)"))
    assert weighted.places == plain_words.places
    encoding = core.diffusers.prompts.Encoding(("text_encoder",), ("embeds",))
    empty = core.diffusers.prompts.encode_text(reader, encoding, "").embeds
    expected = plain_words.prompt.embeds.clone()
    for place, weight in ((6, 1.5), (8, 0.5)):
        expected[:, place] = empty[:, place] + (expected[:, place] - empty[:, place]) * weight
    torch.testing.assert_close(weighted.prompt.embeds, expected)
    assert (weighted.prompt.embeds - plain_words.prompt.embeds).abs().max() > 0.1


@pytest.mark.parametrize("vectors", [1, 4])
def test_a_textual_inversion_is_a_word_of_all_its_vectors(pack, reader, tmp_path, vectors):
    name = f"<thing{vectors}>"
    learned = torch.randn(vectors, CONTEXT)
    with torch.inference_mode(False):
        reader.load_textual_inversion({name: learned}, token=name)
    lines = pack.diffseg_core.parse_words(f"cup\n{name}\ntable")
    places = pack.diffseg_core.diffusers.words.encode_words(reader, lines).places
    behind = 6 + vectors
    assert places.lines == (((4,),), (tuple(range(6, behind)),), ((behind + 1,),))


def test_a_pipeline_without_text_encoder_is_refused(pack, hosts):
    core = pack.diffseg_core
    with pytest.raises(core.InvalidSettingError, match=r"DiffusionPipeline without text_encoder\."):
        core.diffusers.words.encode_words(hosts("sd1").pipeline, core.parse_words("cup"))
