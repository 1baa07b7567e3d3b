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

WINDOW = 32
"""Of every layer that has one."""
LAYERS = 4
MOST_LAYERS = 12
VOCABULARY = 512

_WIDTH, _HEADS, _HEAD = 64, 4, 16
_TABLE = """
64 hidden_size d_model n_embd dim embed_dim embedding_size word_embed_proj_dim emb_dim hidden_dim
64 out_hidden_size projector_hidden_size projection_dim projection_hidden_size output_dim
64 text_hidden_size encoder_hidden_size image_text_hidden_size attention_hidden_size embedding_dim
64 projector_output_dim projector_input_dim audio_hidden_size image_token_embed_dim encoder_width
64 merged_hidden_size hidden_size_global downsample_hidden_size vision_output_dim
64 patch_embed_hidden_size projection_hidden_dim
64 intermediate_size ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim mlp_dim ffn_hidden_size
64 dim_ff dff moe_intermediate_size shared_expert_intermediate_size intermediate_size_mlp
64 moe_shared_expert_intermediate_size shared_intermediate_size dense_intermediate_size
64 expert_ffn_hidden_size shared_experts_intermediate_size projection_intermediate_size
64 block_ff_dim alignment_intermediate_size lru_width
4 num_attention_heads n_head n_heads num_heads attention_heads encoder_attention_heads
4 decoder_attention_heads index_n_heads swa_num_attention_heads num_sliding_attention_heads
16 head_dim d_kv kv_channels swa_head_dim qk_nope_head_dim v_head_dim rotary_dim index_head_dim
16 mamba_d_head mamba_head_dim linear_key_head_dim linear_value_head_dim hidden_size_per_layer_input
8 mamba_n_heads mamba_num_heads qk_rope_head_dim
8 n_routed_experts num_local_experts num_experts moe_num_experts n_experts
4 linear_num_key_heads linear_num_value_heads
32 kv_lora_rank q_lora_rank o_lora_rank global_head_dim index_topk
24 qk_head_dim
2 num_experts_per_tok moe_topk max_window_layers n_group
1 topk_group
512 vocab_size vocab_size_per_layer_input decoder_vocab_size unpadded_vocab_size
512 encoder_hash_byte_group_vocab
1000 ngram_vocab_size_base
32 sliding_window sliding_window_size attention_chunk_size window
"""
"""What a field is at most."""
_FIXED = {
    name: int(most) for most, *names in map(str.split, _TABLE.split("\n")[1:-1]) for name in names
}
_NAMES_OF_DEPTH = """
num_hidden_layers encoder_layers decoder_layers n_layer n_layers num_layers depth
num_decoder_layers layers num_blocks conf_num_hidden_layers
"""
_DEPTHS = _NAMES_OF_DEPTH.split()
_KV = ("num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads", "multi_query_group_num")
_EACH = "per_layer_config"
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
    start = given.pop("start", {})
    raw = _shrunk(CONFIG_MAPPING[kind](**start).to_dict(), given)
    if "is_decoder" in raw and not raw.get("is_encoder_decoder"):
        raw["is_decoder"] = True
    return CONFIG_MAPPING[kind].from_dict(raw)


def _shrunk(raw: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """One config, and those within it; what is `given` goes over it."""
    whole = {raw[name] for name in _DEPTHS if isinstance(raw.get(name), int)}
    depth = given.pop("layers", _depth(raw))
    small = {}
    for key, value in raw.items():
        if isinstance(value, dict) and key.endswith("config") and key != _EACH:
            small[key] = _shrunk(value, given.pop(key, {}))
        else:
            small[key] = _field(key, value, raw, whole, depth)
    return small | given


def _depth(raw: dict[str, Any]) -> int:
    """So many layers that each kind of them is shown, where a few do."""
    kinds = raw.get("layer_types") or raw.get("layers_block_type")
    if not isinstance(kinds, list):
        return LAYERS
    shown = max(kinds.index(kind) + 1 for kind in set(kinds))
    return max(LAYERS, min(shown, MOST_LAYERS))


def _field(key: str, value: Any, raw: dict[str, Any], whole: set[int], depth: int) -> Any:
    if isinstance(value, dict):
        return _table(key, value, raw, depth)
    if isinstance(value, list):
        return value[:depth] if len(value) in whole and len(value) > 3 else value
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return _number(key, value, raw, depth)


def _number(key: str, value: int, raw: dict[str, Any], depth: int) -> int:
    if key in _DEPTHS:
        return min(value, depth)
    if key in _KV:
        heads = raw.get("num_attention_heads") or raw.get("n_head") or 0
        return 1 if value == 1 else _HEADS if value == heads else 2
    if key == "head_dim" and value == raw.get("qk_rope_head_dim"):
        return _FIXED["qk_rope_head_dim"]
    if key in _FIXED:
        return min(value, _FIXED[key]) if value > 0 else value
    return 300 + value % 200 if _ID.fullmatch(key) and value >= VOCABULARY else value


def _table(key: str, value: dict[str, Any], raw: dict[str, Any], depth: int) -> dict[str, Any]:
    """A table of layers, or of settings."""
    if key == _EACH:
        sizes = {n: _shrunk(own, {}) for n, own in value.items() if int(n) < depth}
        return {n: own | {"head_dim": 32} if "head_dim" in own else own for n, own in sizes.items()}
    sections = value.get("mrope_section")
    if not sections:
        return value
    half = int(_HEAD // 2 * value.get("partial_rotary_factor", 1))
    first, second = half // 4, (half - half // 4) // 2
    return value | {"mrope_section": [first, second, half - first - second]}
