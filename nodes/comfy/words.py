"""Words read by a model's own text encoder and attention: ComfyUI's side of finding segments by words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import comfy.model_management
import torch

from ...diffseg_core import GridSize, InvalidSettingError, UnsupportedModelError
from ...diffseg_core.attention.layers import RECOMMENDED
from ...diffseg_core.attention.text import (
    NO_QUERIES,
    TextAccumulator,
    TextAttention,
    attention_to_text,
)
from ...diffseg_core.words.lines import Piece, TokenPlaces, WordAttention, WordLine, prompt_of
from ...diffseg_core.words.token_places import EncoderTokens, piece_spans, places_of_words
from ..types import CapturedAttention
from .capture import Backbone, backbone_of, prepared
from .conditioning import acting_conditioning, checked_clip
from .latents import latent_grid
from .transformer_capture import TransformerCapture
from .transformers import READ_TRANSFORMERS
from .unet import SUPPORTED_UNETS, UNetCapture, cross_attention_layers

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

SAME_MODEL = "Connect the model that the attention was captured from, or capture it again with this one."

Encoders = Sequence[Sequence[str]]
"""Text encoders, as tokenizers name them: those that share tokens together, these in the tokens' order."""
NO_WORD = 0  # of a token that is none of a word's: start, end, padding
BLANK = " \n▁Ġ"  # how tokenizers write spaces


def read_words(
    model: ModelPatcher,
    clip: Any,
    attention: CapturedAttention,
    lines: Sequence[WordLine],
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> WordAttention:
    """What every place of the captured images attends to in a prompt of words.

    Of a UNet, by the queries that the capture kept and the keys that its layers make of the words, with LoRA
    and the like: nothing else of the model runs, and what patches of other nodes do to the text (attn2_patch)
    is left out. A model in which text and image run together (SD3, Flux.1, Chroma, Qwen-Image) runs on the
    captured latent once more, with the words, as far as the last of the captured blocks.

    Args:
        model: the MODEL that the attention was captured from. It is not changed.
        clip: its CLIP.
        attention: of one capture.
        lines: the words.
        on_layer: called with the number of layers done and their total.

    Raises:
        UnsupportedModelError: words cannot be read from such a model or text encoder.
        InvalidSettingError: no CLIP, one of another model, a capture that does not suit, or a word that the
            text encoder does not know.
        CaptureError: a layer did not run as expected.
    """
    checked_clip(clip)
    step = attention.step
    backbone = backbone_of(model, step.settings.layers if step else RECOMMENDED)
    read = _reader(model, backbone, attention, on_layer)
    pieces = prompt_of(lines)
    conditioning = encode_pieces(clip, pieces)
    encoders = backbone.row.encoders if isinstance(backbone, TransformerCapture) else None
    places = find_places(clip, pieces, conditioning[0][0].shape[1], encoders)
    return WordAttention(tuple(lines), read(conditioning), places)


def _reader(
    model: ModelPatcher,
    backbone: Backbone,
    attention: CapturedAttention,
    on_layer: Callable[[int, int], None],
) -> Callable[[list[Any]], TextAttention]:
    """How the attention to a conditioning is found; what can be refused is refused here, before a run."""
    step = attention.step
    if isinstance(backbone, TransformerCapture) and not backbone.row.encoders:
        raise UnsupportedModelError(
            f"Expected a model from which words can be read, got {backbone.name}. These work: "
            f"{SUPPORTED_UNETS}; {READ_TRANSFORMERS}."
        )
    if step is not None and step.architecture != backbone.name:
        raise InvalidSettingError(
            f"Expected attention captured from {backbone.name}, got from {step.architecture}. {SAME_MODEL}"
        )
    if isinstance(backbone, TransformerCapture):
        if step is None:
            raise InvalidSettingError(
                "Expected attention with the latent that it was captured from, got none: capture again."
            )

        def by_a_step(conditioning: list[Any]) -> TextAttention:
            accumulator = TextAccumulator()
            run = prepared(model, conditioning, step.settings, GridSize(*step.latents.shape[-2:]), backbone)
            run.run(step, accumulator, on_layer)
            text = accumulator.finish()
            return TextAttention(text.grid, text.maps.to(comfy.model_management.intermediate_device()))

        return by_a_step
    assert isinstance(backbone, UNetCapture)
    queries = attention.maps.queries
    if not queries:
        raise InvalidSettingError(NO_QUERIES)

    def by_queries(conditioning: list[Any]) -> TextAttention:
        grid = latent_grid(attention.image_size, backbone.latent_pixels)
        sigma = backbone.sigma(model, 0 if step is None else step.noise_level)
        ((context, _),) = acting_conditioning(model, conditioning, sigma, grid)
        comfy.model_management.load_models_gpu([model])
        names = {layer.layer for layer in queries}
        layers = cross_attention_layers(backbone.unet)  # now that what patches exchange is in place
        projections = {layer.name: layer.attention.to_k for layer in layers if layer.name in names}
        dtype = model.model.get_dtype_inference()
        text = comfy.model_management.cast_to_device(context, model.load_device, dtype)
        keys = {}
        for name, projection in projections.items():
            comfy.model_management.throw_exception_if_processing_interrupted()
            keys[name] = projection(text)
            on_layer(len(keys), len(projections))
        return attention_to_text(queries, keys)

    return by_queries


class _Read(NamedTuple):
    """A prompt as one encoder has it."""

    length: int  # number of its tokens, all chunks together
    head: int  # number of tokens of a template before the prompt, which may be cut off what is encoded
    pieces: list[tuple[int, ...]]  # places of each piece's tokens, without those that say nothing


def encode_pieces(clip: Any, pieces: Sequence[Piece]) -> Any:
    """The conditioning of a prompt of words, which counts their weights."""
    written, _ = _written(clip, pieces)
    text = "".join(piece.text for piece in written)
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def find_places(
    clip: Any, pieces: Sequence[Piece], encoded: int, encoders: Encoders | None = None
) -> TokenPlaces:
    """Where the words lie; see `places_of_words`.

    Args:
        clip: a CLIP.
        pieces: of the prompt.
        encoded: number of tokens of its conditioning.
        encoders: of which the model's text is made; those that are not loaded are left out. All together if
            None.

    Raises:
        UnsupportedModelError: another number of tokens was encoded than the tokenizers count, or the tokens
            are not those of the pieces, one after the other.
        InvalidSettingError: a word without a token that says something.
    """
    written, separately = _written(clip, pieces)
    tokenize = cache(lambda text: clip.tokenize(text, return_word_ids=True))
    groups, start, head = [], 0, 0
    for together in encoders or [list(tokenize(""))]:
        loaded = [name for name in together if _part(clip.cond_stage_model, name) is not None]
        read = [_read(clip, name, written, separately, tokenize) for name in loaded]
        if read:
            length = min(tokens.length for tokens in read)  # ComfyUI cuts the longer ones off
            head = max(tokens.head for tokens in read)
            shared = [set(chain(*places)) for places in zip(*(tokens.pieces for tokens in read), strict=True)]
            groups.append((start, length, shared))
            start += length
    cut = start - encoded
    if not start or cut not in (0, head):
        raise UnsupportedModelError(
            f"Expected {start} tokens of text from the text encoder, as its tokenizer counts, got {encoded} "
            f"from {type(clip.cond_stage_model).__name__.strip('_')}. Connect the CLIP that belongs to the "
            "model, as ComfyUI loads it."
        )
    among_all = [
        EncoderTokens(
            tuple(
                tuple(first - cut + place for place in sorted(places) if place < length) for places in shared
            ),
            first,
            first + length,
        )
        for first, length, shared in groups
    ]
    return places_of_words(pieces, among_all)


def _written(clip: Any, pieces: Sequence[Piece]) -> tuple[list[Piece], bool]:
    r"""The pieces as they are given to the tokenizers, and whether these read them separately.

    Each word is a weighted segment of its own, as ``(cup:1)``, with brackets as ``\(``: ComfyUI's tokenizers
    then make the same tokens of it wherever it stands. Some read no weights, such as Qwen-Image's, and are
    given the plain text.
    """
    plain, weighted = (
        [[token for chunk in chunks for token, _ in chunk] for chunks in clip.tokenize(text).values()]
        for text in ("cup", "(cup:1)")
    )
    if plain != weighted:
        return list(pieces), False
    escaped = [piece.text.replace("(", r"\(").replace(")", r"\)") for piece in pieces]
    return [
        piece._replace(text=f"({text}:{piece.weight})" if piece.is_content else text)
        for piece, text in zip(pieces, escaped, strict=True)
    ], True


def _part(whole: Any, name: str) -> Any:
    """One of several encoders or tokenizers; None where it is not loaded."""
    part = getattr(whole, f"clip_{name}", None)
    return getattr(whole, name, None) if part is None else part


def _read(
    clip: Any, name: str, pieces: Sequence[Piece], separately: bool, tokenize: Callable[[str], Any]
) -> _Read:
    """A prompt, whose pieces are as `_written` gives them, as one encoder has it."""
    embedding = _part(clip.cond_stage_model, name).transformer.get_input_embeddings()
    width = embedding.weight.shape[-1]

    def words_of(text: str) -> tuple[list[int], list[Any], int]:
        """Places and tokens of words as the encoder lays them out, and the number of all tokens."""
        places: list[int] = []
        tokens: list[Any] = []
        start = 0
        for chunk in tokenize(text)[name]:
            # Vectors of an embedding made for another encoder are left out, and padding fills the end.
            fitting = [
                (token, word)
                for token, _, word in chunk
                if not isinstance(token, torch.Tensor) or token.shape[-1] == width
            ]
            words = [(place, token) for place, (token, word) in enumerate(fitting) if word != NO_WORD]
            places += [start + place for place, _ in words]
            tokens += [token for _, token in words]
            start += len(chunk)
        return places, tokens, start

    places, tokens, length = words_of("".join(piece.text for piece in pieces))
    says = _content_test(_part(clip.tokenizer, name))
    head, spans = piece_spans(pieces, lambda text: words_of(text)[1], separately)
    of_pieces = [tuple(places[token] for token in span if says(tokens[token])) for span in spans]
    return _Read(length, head, of_pieces)


def _content_test(tokenizer: Any) -> Callable[[Any], bool]:
    """Whether a token says something: not a space, and nothing that the tokenizer does not know."""
    texts = getattr(tokenizer, "inv_vocab", {})
    unknown = getattr(getattr(tokenizer, "tokenizer", None), "unk_token_id", None)
    return lambda token: (
        isinstance(token, torch.Tensor) or bool(token != unknown and str(texts.get(token, "?")).strip(BLANK))
    )
