"""What is told of a cache against what transformers' own holds, for each way to cache."""

from typing import Any

import pytest
import torch
import transformers

from llamatop.engines import architecture
from llamatop.engines.devices import Place
from llamatop.engines.random_weights import random_model
from llamatop.engines.resolve import Source
from llamatop.figures.roofline import kv_bytes
from llamatop.predict.traced import Ask, Shape, Trace
from llamatop.predict.tracer import trace

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 300,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
LATENT = {
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 32,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
"""Multi-head latent attention: keys and values of different sizes."""
WINDOW = 24
MODELS: dict[str, dict[str, Any]] = {
    "DeepseekV2ForCausalLM": {"model_type": "deepseek_v2", **LATENT, "head_dim": 8},
    "DeepseekV3ForCausalLM": {"model_type": "deepseek_v3", **LATENT, "head_dim": 8},
    "Llama4ForCausalLM": {
        "model_type": "llama4_text",
        "attention_chunk_size": WINDOW,
        "num_local_experts": 4,
        "intermediate_size_mlp": 96,
        "interleave_moe_layer_step": 2,
    },
    "Gemma3ForCausalLM": {
        "model_type": "gemma3_text",
        "sliding_window": WINDOW,
        "sliding_window_pattern": 2,
    },
    "GptOssForCausalLM": {
        "model_type": "gpt_oss",
        "sliding_window": WINDOW,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "MistralForCausalLM": {"model_type": "mistral", "sliding_window": WINDOW},
    "OlmoeForCausalLM": {"model_type": "olmoe", "num_experts": 4, "num_experts_per_tok": 2},
    "Qwen3ForCausalLM": {"model_type": "qwen3"},
}
WINDOWED = {"Llama4ForCausalLM", "Gemma3ForCausalLM", "GptOssForCausalLM", "MistralForCausalLM"}


def config_of(name: str) -> dict[str, Any]:
    return {**SMALL, **MODELS[name], "architectures": [name]}


def told(name: str) -> Trace:
    return trace(Ask(name, config_of(name), dtype="float32"))


def real_cache(name: str, prompt: int, generated: int, cache: Any = None) -> Any:
    """transformers' cache after a generation, of a model with random weights."""
    layout = architecture.read(Source(name, config_of(name), None))
    place = Place(torch.device("cpu"), torch.float32)
    model = random_model(layout, place, 0, lambda *_: None)
    ids = torch.randint(3, 200, (1, prompt))
    how = {} if cache is None else {"past_key_values": cache(layout.text)}
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=generated,
        min_new_tokens=generated,
        return_dict_in_generate=True,
        do_sample=False,
        **how,
    )
    return made.past_key_values


def held(cache: Any) -> int:
    """Bytes of its keys and values."""
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


@pytest.mark.parametrize("name", MODELS)
def test_a_token_takes_what_the_cache_grows_by(name: str) -> None:
    short, long = (held(real_cache(name, prompt, 2)) for prompt in (5, 12))
    assert told(name).kv_bytes_per_token == (long - short) / 7


@pytest.mark.parametrize("name", MODELS)
def test_after_a_long_context_the_caches_hold_what_is_told(name: str) -> None:
    found = told(name)
    tokens = 3 * WINDOW
    real = held(real_cache(name, tokens, 2))  # the second token is chosen, not cached
    window_layers = [kind for kind in found.kinds if kind.window is not None]
    between_steps = sum(kind.count * kind.kv_bytes_per_token for kind in window_layers)
    assert real == kv_bytes(found, tokens + 1) - between_steps
    assert bool(window_layers) == (name in WINDOWED)
    assert all(kind.window == WINDOW for kind in window_layers)


def static(text: Any) -> Any:
    return transformers.StaticCache(config=text, max_cache_len=40)


@pytest.mark.parametrize(
    "name", ["Qwen3ForCausalLM", "MistralForCausalLM", "DeepseekV3ForCausalLM"]
)
def test_a_static_cache_takes_the_same_for_a_token(name: str) -> None:
    """All at once: of so many tokens as it is made for, or as its window is wide."""
    assert held(real_cache(name, 5, 2, static)) == kv_bytes(told(name), 40)


def test_scores_that_are_written_out_are_counted_with_their_mask() -> None:
    """Keys and values of different sizes: no fused attention takes them on a CPU."""
    shape, heads, tokens = Shape(2, 400, 1), 4, 400
    raw = {**config_of("DeepseekV3ForCausalLM"), "num_hidden_layers": 1, "first_k_dense_replace": 1}
    found = trace(Ask("latent", raw, dtype="float32", shapes=(shape,)))
    scores = shape.batch * heads * tokens * tokens
    assert found.at(shape).total == pytest.approx(measured(raw, shape), rel=0.02)
    assert found.at(shape).total > scores * (4 + 4 + 1)


def measured(raw: dict[str, Any], shape: Shape) -> int:
    """The most that torch's allocator held in a real forward, by its profiler."""
    layout = architecture.read(Source("real", raw, None))
    place = Place(torch.device("cpu"), torch.float32)
    model = random_model(layout, place, 0, lambda *_: None)
    ids = torch.randint(3, 200, (shape.batch, shape.prompt))
    kinds = [torch.profiler.ProfilerActivity.CPU]
    with (
        torch.inference_mode(),
        torch.profiler.profile(activities=kinds, profile_memory=True) as seen,
    ):
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=1)
    live, most = 0, 0
    for event in sorted(memory_events(seen), key=lambda event: event.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most


def memory_events(seen: Any) -> list[Any]:
    """What was allocated and freed."""
    found = seen.profiler.kineto_results.events()
    return [event for event in found if event.name() == "[memory]"]
