"""What llama.cpp caches of a model, layer by layer, from the settings of its GGUF file.

Knows which architectures slide a window over which layers, as build 11549 does: each was loaded
there with a window in its settings. What is not understood is told, never guessed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from llamatop.catalog.gguf import Gguf
from llamatop.errors import InputError
from llamatop.predict.traced import LayerKind

CACHE_BITS = {"f16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}
"""Of each `--cache-type`: numbers of a block, and its bytes."""

_EVERY = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "olmo2": 4, "exaone-moe": 4, "afmoe": 4,
    "gpt-oss": 2, "llama4": 4, "plamo3": 8, "smallthinker": 4,
}  # fmt: skip
"""Of so many layers one has no window: the last, of smallthinker the first."""
_FIRST = {"smallthinker"}
_OWN_WINDOW = {"llama4": 8192, "smallthinker": 4096}
"""Windows that stand in llama.cpp, not in the file."""
_PLAIN = """
llama deci falcon baichuan grok gpt2 mpt starcoder refact bloom stablelm qwen qwen2 qwen2moe
qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe phi2 phi3 phimoe plamo codeshell orion internlm2 minicpm
minicpm3 gemma starcoder2 xverse command-r dbrx olmo olmoe openelm arctic deepseek deepseek2
chatglm glm4 glm4moe bitnet jais jais2 nemotron exaone granite granitemoe chameleon plm bailingmoe
bailingmoe2 dots1 arcee ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense hunyuan_vl smollm3 dream
llada llada-moe seed_oss minimax-m2 cogvlm rnd1 pangu-embedded mistral3 mistral4 paddleocr
maincoder gptneox apertus grovemoe
"""
"""Architectures whose layers all cache keys and values, whatever window their file names."""
_HYBRID = """
mamba mamba2 jamba falcon-h1 nemotron_h nemotron_h_moe granitehybrid plamo2 lfm2 lfm2moe
"""
"""Those with states besides, or instead; layers without key/value heads have them."""
_NONE, _RECURRENT = frozenset(_PLAIN.split()), frozenset(_HYBRID.split())
_STATES_EVERYWHERE = {"falcon-h1"}


@dataclass(frozen=True, slots=True)
class Caches:
    """Bytes for each slot."""

    kinds: tuple[LayerKind, ...]
    state_bytes: int = 0
    """Of recurrent layers, however long the context."""
    unknown: str = ""
    """Why nothing of this is known."""


def caches(gguf: Gguf, cache_type: str) -> Caches:
    """What one slot caches; InputError where its settings are no model's."""
    layers, windows = blocks(gguf), _windows(gguf)
    if isinstance(windows, str):
        return Caches((), unknown=windows)
    each = [_bytes(gguf, layer, windows[layer], cache_type) for layer in range(layers)]
    shared = whole(gguf, "attention.shared_kv_layers", 0)
    kept = Counter(zip(each[: layers - shared], windows[: layers - shared], strict=True))
    kinds = tuple(LayerKind(count, size, window) for (size, window), count in kept.items() if size)
    return Caches(kinds, sum(_state(gguf, size) for size in each))


def blocks(gguf: Gguf) -> int:
    """How many layers it has."""
    return whole(gguf, "block_count")


def whole(gguf: Gguf, name: str, otherwise: int | None = None) -> int:
    """A setting that is a number of something; InputError where it is none."""
    value = gguf.of(name)
    value = otherwise if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise InputError(f"{gguf.files[0]}: {gguf.architecture}.{name} is no number of anything")
    return value


def each_layer(gguf: Gguf, name: str, layer: int, otherwise: int) -> int:
    """A setting that is one number, or one a layer."""
    value = gguf.of(name)
    if isinstance(value, list):
        one = value[layer] if layer < len(value) else None
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < 1 << 32:
            raise InputError(f"{gguf.files[0]}: {gguf.architecture}.{name} is not one a layer")
        return one
    return whole(gguf, name, otherwise)


def _bytes(gguf: Gguf, layer: int, window: int | None, cache_type: str) -> int:
    """Keys and values of one layer for a token; 0: it caches none."""
    heads = each_layer(gguf, "attention.head_count", layer, 0)
    shared = each_layer(gguf, "attention.head_count_kv", layer, heads)
    usual = whole(gguf, "embedding_length") // max(heads, 1)
    keys = _head_size(gguf, "key", window, usual)
    latent = gguf.of("attention.key_length_mla") is not None
    values = 0 if latent else _head_size(gguf, "value", window, usual)
    numbers, size = CACHE_BITS[cache_type]
    return sum(-(-shared * one // numbers) * size for one in (keys, values))


def _head_size(gguf: Gguf, what: str, window: int | None, usual: int) -> int:
    size = whole(gguf, f"attention.{what}_length", usual)
    return size if window is None else whole(gguf, f"attention.{what}_length_swa", size)


def _windows(gguf: Gguf) -> list[int | None] | str:
    """The window of each layer, or why they are not known."""
    name, layers = gguf.architecture, blocks(gguf)
    window = whole(gguf, "attention.sliding_window", 0) or _OWN_WINDOW.get(name, 0)
    pattern = gguf.of("attention.sliding_window_pattern")
    if isinstance(pattern, list) and window:
        marks = [*map(bool, pattern), *[False] * layers][:layers]
        return [window if mark else None for mark in marks]
    every = _EVERY.get(name)
    if every is not None and window:
        every = pattern if isinstance(pattern, int) and pattern > 0 else every
        last = 0 if name in _FIRST else every - 1
        return [None if layer % every == last else window for layer in range(layers)]
    if name in _NONE or name in _RECURRENT or (name in _EVERY and not window):
        return [None] * layers
    return f"how llama.cpp caches the architecture {name!r} is not known here"


def _state(gguf: Gguf, kv_bytes: int) -> int:
    """Bytes of a layer's recurrent state, in float32; 0 where it has none."""
    if gguf.architecture not in _RECURRENT:
        return 0
    if kv_bytes and gguf.architecture not in _STATES_EVERYWHERE:
        return 0
    if taps := whole(gguf, "shortconv.l_cache", 0):
        return 4 * whole(gguf, "embedding_length") * (taps - 1)
    inner, state = whole(gguf, "ssm.inner_size", 0), whole(gguf, "ssm.state_size", 0)
    groups, taps = whole(gguf, "ssm.group_count", 0), whole(gguf, "ssm.conv_kernel", 1)
    return 4 * ((taps - 1) * (inner + 2 * groups * state) + inner * state)
