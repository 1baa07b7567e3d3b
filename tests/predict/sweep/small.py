"""A small config of each type that transformers knows, by rules over the names of its fields.

A type whose defaults do not shrink by rule has fields of its own in `OWN`.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.predict.sweep.own import OWN

WINDOW = 64
"""Of every layer that has one."""
LAYERS = 4
MOST_LAYERS = 12
VOCABULARY = 512

_WIDTH, _HEADS, _HEAD = 64, 4, 16
_FIXED: dict[str, int] = {
    **dict.fromkeys(
        "hidden_size d_model n_embd dim embed_dim embedding_size word_embed_proj_dim emb_dim "
        "out_hidden_size projector_hidden_size projection_dim projection_hidden_size output_dim "
        "text_hidden_size encoder_hidden_size image_text_hidden_size hidden_dim attention_hidden_size "
        "projector_output_dim projector_input_dim audio_hidden_size image_token_embed_dim "
        "merged_hidden_size hidden_size_global downsample_hidden_size vision_output_dim "
        "patch_embed_hidden_size projection_hidden_dim encoder_width".split(),
        _WIDTH,
    ),
    **dict.fromkeys(
        "intermediate_size ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim mlp_dim ffn_hidden_size "
        "dim_ff dff moe_intermediate_size shared_expert_intermediate_size intermediate_size_mlp "
        "moe_shared_expert_intermediate_size shared_intermediate_size dense_intermediate_size "
        "expert_ffn_hidden_size shared_experts_intermediate_size projection_intermediate_size "
        "block_ff_dim alignment_intermediate_size lru_width".split(),
        64,
    ),
    **dict.fromkeys(
        "num_attention_heads n_head n_heads num_heads attention_heads encoder_attention_heads "
        "decoder_attention_heads index_n_heads".split(),
        _HEADS,
    ),
    **dict.fromkeys("head_dim d_kv kv_channels swa_head_dim qk_nope_head_dim v_head_dim".split(), _HEAD),
    **dict.fromkeys("kv_lora_rank q_lora_rank o_lora_rank".split(), 32),
    "qk_rope_head_dim": 8,
    "qk_head_dim": _HEAD + 8,
    "global_head_dim": 32,
    **dict.fromkeys(
        "n_routed_experts num_local_experts num_experts moe_num_experts n_experts".split(), 8
    ),
    "num_experts_per_tok": 2,
    "moe_topk": 2,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 16,
    "vocab_size": VOCABULARY,
    "decoder_vocab_size": VOCABULARY,
    "unpadded_vocab_size": VOCABULARY,
    **dict.fromkeys("sliding_window sliding_window_size attention_chunk_size window".split(), WINDOW),
    "max_window_layers": 2,
    "n_group": 2,
    "topk_group": 1,
    "rotary_dim": _HEAD,
    "mamba_n_heads": 8,
    "mamba_d_head": _HEAD,
    "mamba_num_heads": 8,
    "mamba_head_dim": _HEAD,
    "encoder_hash_byte_group_vocab": 500,
    "embedding_dim": _WIDTH,
    "index_topk": 32,
    "index_head_dim": 16,
    "ngram_vocab_size_base": 1000,
}
_DEPTHS = (
    "num_hidden_layers encoder_layers decoder_layers n_layer n_layers num_layers depth num_decoder_layers "
    "layers num_blocks conf_num_hidden_layers"
).split()
_KV = "num_key_value_heads num_kv_heads swa_num_key_value_heads multi_query_group_num".split()
_ID = re.compile(r"\w*_(token_id|token_index|token_ids)|\w+_(start|end)_id")


def types() -> dict[str, str]:
    """Every type that generates text, with the class that a checkpoint of it names."""
    found = dict(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    found |= modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    found |= modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return {kind: name if isinstance(name, str) else name[0] for kind, name in found.items()}


def small(kind: str) -> Any:
    """A small config of a type; whatever transformers raises where it has none."""
    given = copy.deepcopy(OWN.get(kind, {}))
    raw = _shrunk(CONFIG_MAPPING[kind]().to_dict(), given)
    if "is_decoder" in raw and not raw.get("is_encoder_decoder"):
        raw["is_decoder"] = True
    return CONFIG_MAPPING[kind].from_dict(raw)


def _shrunk(raw: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """One config, and those within it; what is `given` goes over it."""
    whole = {raw[name] for name in _DEPTHS if isinstance(raw.get(name), int)}
    depth = given.pop("layers", _depth(raw))
    small = {}
    for key, value in raw.items():
        if isinstance(value, dict) and key.endswith("config"):
            small[key] = _shrunk(value, given.pop(key, {}))
        else:
            small[key] = _field(key, value, raw, whole, depth)
    return small | given


def _depth(raw: dict[str, Any]) -> int:
    """So many layers that each kind of them is shown, where a few do."""
    lists = [raw[key] for key in ("layer_types", "layers_block_type") if isinstance(raw.get(key), list)]
    if not lists:
        return LAYERS
    shown = max(lists[0].index(kind) + 1 for kind in set(map(str, lists[0])))
    return max(LAYERS, min(shown, MOST_LAYERS))


def _field(key: str, value: Any, raw: dict[str, Any], whole: set[int], depth: int) -> Any:
    if isinstance(value, dict):
        return _by_layer(key, value, raw, depth)
    if isinstance(value, list):
        return _list(key, value, whole, depth)
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if key in _DEPTHS:
        return min(value, depth)
    if key in _KV:
        heads = raw.get("num_attention_heads") or raw.get("n_head") or 0
        return 1 if value == 1 else _HEADS if value == heads else 2
    if key == "head_dim" and value == raw.get("qk_rope_head_dim"):
        return _FIXED["qk_rope_head_dim"]
    if key in _FIXED:
        return min(value, _FIXED[key]) if value > 0 else value
    if _ID.fullmatch(key) and value >= VOCABULARY:
        return 300 + value % 200
    return value


def _by_layer(key: str, value: dict[str, Any], raw: dict[str, Any], depth: int) -> dict[str, Any]:
    """A table of layers, or of settings."""
    if key == "per_layer_config":
        return {n: _shrunk(v, {}) for n, v in value.items() if int(n) < depth}
    section = "mrope_section"
    if section not in value:
        return value
    width = (_HEAD // 2) * value.get("partial_rotary_factor", 1)
    first = int(width) // 4
    return value | {section: [first, (int(width) - first) // 2, int(width) - first - (int(width) - first) // 2]}


def _list(key: str, value: list[Any], whole: set[int], depth: int) -> list[Any]:
    return value[: min(depth, len(value))] if len(value) in whole and len(value) > 3 else value
