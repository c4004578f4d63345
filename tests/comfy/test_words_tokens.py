"""Where words lie among the tokens of a text: with the tokenizers that ship with ComfyUI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from word_clips import TARGETS, word_clip

WORDS = "giraffe\ntraffic light, light\n(antidisestablishmentarianism:1.3)\nsofa \\(blue\\)\n!hand"
NAMES = ["giraffe", "traffic light", "light", "antidisestablishmentarianism", "sofa (blue)", "hand"]
OWN = {"SD 1": "l", "SD 2": "h", "SDXL": "g", "SDXL Refiner": "g", "Flux": "t5xxl", "Chroma": "t5xxl"}
ENCODERS = {"Flux": [["t5xxl"]], "Chroma": [["t5xxl"]], "Qwen-Image": [["qwen25_7b"]]}
SD3 = [["l", "g"], ["t5xxl"]]


@pytest.fixture(scope="module")
def clips() -> Callable[[str], Any]:
    """CLIPs by the model's name, each made once. Tests must not change them."""
    made: dict[str, Any] = {}

    def clip(name: str) -> Any:
        if name not in made:
            with torch.inference_mode():
                made[name] = word_clip(name)
        return made[name]

    return clip


@pytest.fixture
def read(pack) -> Callable[..., Any]:
    """The places of a text's words, the tokens that were encoded, and the encoding."""

    def run(clip: Any, text: str, encoders: Any = None) -> Any:
        words, tokens = pack.diffseg_core.words.lines, pack.nodes.comfy.words
        pieces = words.prompt_of(words.parse_words(text))
        given = {}

        class Heard:
            """The CLIP, whose tokens are remembered as they are encoded."""

            def __getattr__(self, name: str) -> Any:
                return getattr(clip, name)

            def encode_from_tokens_scheduled(self, tokens: Any) -> Any:
                given.update(tokens)
                return clip.encode_from_tokens_scheduled(tokens)

        encoded = tokens.encode_pieces(Heard(), pieces)[0][0]
        return tokens.find_places(clip, pieces, encoded.shape[1], encoders), given, encoded

    return run


def written(clip: Any, given: dict[str, Any], key: str, places: tuple[int, ...], head: int = 0) -> str:
    """The text that lies there, by the tokenizer's own vocabulary."""
    row = [token for chunk in given[key] for token, _ in chunk]
    part = getattr(clip.tokenizer, f"clip_{key}", None) or getattr(clip.tokenizer, key)
    return part.tokenizer.decode([int(row[head + place]) for place in places]).strip()


def flat(places: Any) -> list[tuple[int, ...]]:
    return [word for line in places.lines for word in line]


@pytest.mark.parametrize("name", list(OWN))
def test_at_the_places_of_every_word_stand_its_own_tokens(clips, read, name):
    clip = clips(name)
    places, given, encoded = read(clip, WORDS, ENCODERS.get(name))
    found = [written(clip, given, OWN[name], word) for word in flat(places)]
    assert [each.replace(" ", "") for each in found] == [each.replace(" ", "") for each in NAMES]
    assert written(clip, given, OWN[name], places.others) == "other objects"
    assert written(clip, given, OWN[name], places.background) == "background"
    assert max(places.background) < encoded.shape[1]


def test_places_of_sd1_counted_by_hand(clips, read):
    # start, a, photograph, of, giraffe, ",", traffic, light, ",", light, ",", other, objects, ",", background
    places, _, encoded = read(clips("SD 1"), "giraffe\ntraffic light, light")
    assert places.lines == (((4,),), ((6, 7), (9,)))
    assert (places.others, places.background) == ((11, 12), (14,))
    assert encoded.shape[1] == 77


def test_places_of_t5_counted_by_hand(clips, read):
    # ▁, a, ▁photograph, ▁of, ▁light: by the vocabulary; no start
    clip = clips("Chroma")
    places, given, encoded = read(clip, "light", ENCODERS["Chroma"])
    names = [clip.tokenizer.clip_t5xxl.inv_vocab[token] for token, _ in given["t5xxl"][0]]
    assert places.lines == (((names.index("▁light"),),),)
    assert encoded.shape[1] == len(names)


def test_qwen_image_reads_the_words_within_its_template(clips, read):
    clip = clips("Qwen-Image")
    places, given, encoded = read(clip, WORDS, ENCODERS["Qwen-Image"])
    head = len(given["qwen25_7b"][0]) - encoded.shape[1]
    assert head > 20, "the template's head is cut off"
    found = [written(clip, given, "qwen25_7b", word, head) for word in flat(places)]
    assert [each.rstrip(",") for each in found] == NAMES  # a bracket and the comma behind it are one token
    assert written(clip, given, "qwen25_7b", tuple(range(4)), head).startswith("a photograph of")
    assert written(clip, given, "qwen25_7b", places.background, head) == "background"


def test_a_word_that_qwens_tokenizer_joins_with_the_comma_behind_it_is_found(clips, read):
    clip = clips("Qwen-Image")
    places, given, encoded = read(clip, "c++\ncup", ENCODERS["Qwen-Image"])
    head = len(given["qwen25_7b"][0]) - encoded.shape[1]
    assert written(clip, given, "qwen25_7b", places.lines[0][0], head) == "c++,"
    assert written(clip, given, "qwen25_7b", places.lines[1][0], head) == "cup"


@pytest.mark.parametrize("name", [*OWN, "Qwen-Image"])
def test_a_repeated_word_of_another_line_is_not_mixed_up(clips, read, name):
    text = "light\nlight light\nred light"
    places, _, _ = read(clips(name), text, ENCODERS.get(name))
    assert [len(word) for word in flat(places)] == [1, 2, 2]
    everything = [place for word in flat(places) for place in word]
    assert len(set(everything)) == 5
    assert everything == sorted(everything)


@pytest.mark.parametrize("name", ["SD 1", "SD 2", "SDXL", "SDXL Refiner", "Qwen-Image"])
def test_the_encoding_changes_at_a_words_places_and_not_before(clips, read, name):
    clip = clips(name)
    _, _, one = read(clip, "cup\ngiraffe", ENCODERS.get(name))
    places, _, other = read(clip, "cup\nelephant", ENCODERS.get(name))
    changed = (
        (one[:, : places.others[0]] - other[:, : places.others[0]]).abs().amax((0, 2)) > 1e-6
    ).nonzero()
    assert int(changed[0]) == places.lines[1][0][0]


@pytest.mark.parametrize("name", ["SD 1", "SD 2", "SDXL", "SDXL Refiner"])
def test_words_beyond_the_first_77_tokens_are_found(clips, read, name):
    clip = clips(name)
    names = [
        f"{colour} {thing}"
        for colour in ("red", "blue", "green", "white", "black", "brown", "grey")
        for thing in ("cup", "table", "lamp", "horse", "tree", "window", "umbrella", "ball")
    ]
    places, given, encoded = read(clip, "\n".join(names))
    assert encoded.shape[1] == 77 * 3
    assert len(given[OWN[name]]) == 3
    assert [written(clip, given, OWN[name], word) for word in flat(places)] == names
    assert flat(places)[-1][0] > 2 * 77


def test_a_word_split_over_two_chunks_is_found_in_both(clips, read):
    clip = clips("SD 1")
    long = "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis"
    names = [*(f"cup{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"), long]
    for count in range(8, len(names)):
        chosen = [*names[:count], long]
        places, given, _ = read(clip, "\n".join(chosen))
        where = flat(places)[-1]
        assert written(clip, given, "l", where).replace(" ", "") == long.replace(" ", "")
        if where[0] < 77 <= where[-1]:
            return
    pytest.fail("no prompt of these split the word")


def test_weights_reach_the_encoding(clips, read):
    clip = clips("SD 1")
    (places, given, plain), (_, _, strong) = read(clip, "cup\nlamp"), read(clip, "(cup:2)\nlamp")
    changed = ((plain - strong).abs().amax((0, 2)) > 1e-6).nonzero().flatten().tolist()
    assert changed == list(places.lines[0][0])
    assert {weight for _, weight in given["l"][0]} == {1.0}


@pytest.mark.parametrize("vectors", [1, 4])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_every_vector_of_a_textual_inversion_is_a_place_of_its_word(pack, read, tmp_path, vectors, ending):
    from safetensors.torch import save_file

    embedding = torch.randn(vectors, 32, generator=torch.Generator().manual_seed(1))
    if ending == "pt":
        torch.save({"string_to_param": {"*": embedding}}, tmp_path / "mycup.pt")
    else:
        save_file({"emb_params": embedding}, tmp_path / "mycup.safetensors")
    clip = word_clip("SD 1", tmp_path)
    places, given, encoded = read(clip, "lamp\nembedding:mycup\ntable")
    assert places.lines[1] == (tuple(range(6, 6 + vectors)),)
    for place, vector in zip(places.lines[1][0], embedding, strict=True):
        assert torch.equal(given["l"][0][place][0], vector)
    assert written(clip, given, "l", places.lines[2][0]) == "table"
    assert encoded.shape[1] == 77


def test_vectors_for_another_encoder_shift_no_place(pack, read, tmp_path):
    torch.save({"clip_l": torch.randn(3, 16), "clip_g": torch.randn(3, 24)}, tmp_path / "mycup.pt")
    clip = word_clip("SDXL", tmp_path)  # whose second encoder has 32 numbers to a token
    places, _, encoded = read(clip, "embedding:mycup\ntable")
    seen: list[torch.Tensor] = []
    hook = clip.cond_stage_model.clip_g.transformer.register_forward_pre_hook(
        lambda module, arguments, named: seen.append(named["embeds"]), with_kwargs=True
    )
    try:
        read(clip, "embedding:mycup\ntable")
    finally:
        hook.remove()
    table = clip.tokenizer.clip_g.tokenizer("table")["input_ids"][1]
    row = clip.cond_stage_model.clip_g.transformer.get_input_embeddings().weight[table]
    (place,) = ((seen[0][0] - row).abs().amax(-1) < 1e-6).nonzero().flatten().tolist()
    assert place in places.lines[1][0], "where the second encoder has the word"
    assert place + 3 in places.lines[1][0], "where the first has it"
    assert encoded.shape[1] == 77


def test_an_embedding_that_is_not_there_is_named(pack, read, tmp_path):
    clip = word_clip("SD 1", tmp_path)
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="'embedding:nosuch', of which it"):
        read(clip, "embedding:nosuch")


@pytest.mark.parametrize("name", ["Flux", "Chroma"])
def test_a_word_that_the_encoder_has_no_token_for_is_named(pack, clips, read, name):
    with pytest.raises(pack.diffseg_core.InvalidSettingError, match="'🦒', of which it makes no token"):
        read(clips(name), "cup\n🦒", ENCODERS[name])


@pytest.mark.parametrize(
    "missing",
    [
        (),
        ("clip_l",),
        ("clip_g",),
        ("t5xxl",),
        ("clip_l", "clip_g"),
        ("clip_l", "t5xxl"),
        ("clip_g", "t5xxl"),
    ],
)
def test_sd3_is_read_with_the_encoders_that_are_there(pack, clips, read, missing):
    clip = clips("SD3")
    model = clip.cond_stage_model
    kept = {name: getattr(model, name) for name in missing}
    try:
        for name in missing:
            setattr(model, name, None)
        places, given, encoded = read(clip, WORDS, SD3)
    finally:
        for name, part in kept.items():
            setattr(model, name, part)
    has_clip, has_t5 = {"clip_l", "clip_g"} - set(missing), "t5xxl" not in missing
    lengths = [77] * bool(has_clip) + [len(given["t5xxl"][0])] * has_t5
    assert encoded.shape[1] == sum(lengths)
    for name, word in zip(NAMES, flat(places), strict=True):
        parts = []
        if has_clip:
            parts.append(written(clip, given, "g", tuple(place for place in word if place < 77)))
        if has_t5:
            start = 77 if has_clip else 0
            inside = tuple(place for place in word if place >= start)
            parts.append(written(clip, given, "t5xxl", inside, -start))
        assert [each.replace(" ", "") for each in parts] == [name.replace(" ", "")] * len(lengths)


def test_a_word_that_one_of_sd3s_encoders_does_not_know_leaves_that_one_out_for_all(clips, read):
    clip = clips("SD3")
    known, _, _ = read(clip, "cup\ntable", SD3)
    places, _, _ = read(clip, "cup\n猫", SD3)  # T5 has no token for it
    of_clip = 77
    assert all(any(place >= of_clip for place in own) for ((own,),) in zip(known.lines, strict=True))
    assert all(place < of_clip for line in places.lines for own in line for place in own)
    assert max(places.others + places.background) < of_clip


def test_sd3_without_any_encoder_is_refused(pack, clips, read):
    clip = clips("SD3")
    model = clip.cond_stage_model
    kept = {name: getattr(model, name) for name in ("clip_l", "clip_g", "t5xxl")}
    try:
        for name in kept:
            setattr(model, name, None)
        with pytest.raises(pack.diffseg_core.UnsupportedModelError, match="Expected 0 tokens of text"):
            read(clip, "cup", SD3)
    finally:
        for name, part in kept.items():
            setattr(model, name, part)


def test_another_number_of_tokens_than_the_tokenizer_counts_is_refused(pack, clips):
    words, tokens = pack.diffseg_core.words.lines, pack.nodes.comfy.words
    pieces = words.prompt_of(words.parse_words("cup"))
    with pytest.raises(
        pack.diffseg_core.UnsupportedModelError, match="77 tokens .* got 78 from SD1ClipModel"
    ):
        tokens.find_places(clips("SD 1"), pieces, 78)


def test_longer_padding_of_t5_is_counted(clips, read):
    clip = clips("Chroma").clone()
    clip.set_tokenizer_option("t5xxl_min_length", 300)
    places, given, encoded = read(clip, "cup", ENCODERS["Chroma"])
    assert encoded.shape[1] == 300
    assert written(clip, given, "t5xxl", places.lines[0][0]) == "cup"


def test_every_kind_of_text_encoder_is_tried(pack):
    read = {row.name for row in pack.nodes.comfy.transformers.TRANSFORMERS if row.encoders}
    assert read == {"SD3 and SD3.5", "Flux.1", "Chroma", "Qwen-Image"}
    assert set(TARGETS) == {*OWN, "SD3", "Qwen-Image"}
