"""What types need besides the rules of `small`: fields that must agree with one another, and
fields without which a type's own defaults make no model.

`layers` is how many it keeps, `start` what its defaults are made with; all else goes over the
shrunk config, deep.
"""

from __future__ import annotations

from typing import Any

_HEAD = {"head_dim": 16}
_SSM = {
    "n_mamba_heads": 8,
    "mamba_headdim": 16,
    "attention_hidden_size": 128,
    "attention_head_dim": 32,
}
_GEMMA3N = {
    "layers": 10,
    "num_kv_shared_layers": 5,
    "intermediate_size": [64] * 10,
    "activation_sparsity_pattern": [0.0] * 10,
}
_GROUPED = {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}

_SECTIONS = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
    }
}
_SIGHT = {"text_config": _SECTIONS}

OWN: dict[str, dict[str, Any]] = {
    "glm46v": _SIGHT,
    "glm4v": _SIGHT,
    "glm_ocr": _SIGHT,
    "glmga": _SIGHT,
    "paddleocr_vl": _SIGHT,
    "qwen2_5_vl": _SIGHT,
    "qwen2_vl": _SIGHT,
    "qwen2_5_omni_thinker": _SIGHT,
    "glm4v_moe": {
        "text_config": {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
                "mrope_section": [1, 1, 2],
            }
        }
    },
    "reformer": {"axial_pos_embds_dim": [32, 32], "attention_head_size": 16},
    "molmo2": {"adapter_config": {"vision_feature_layer": [3, 1]}},
    "falcon_h1": {"mamba_d_ssm": 128, "mamba_n_heads": 16},
    "bailing_hybrid": _GROUPED,
    "bamba": {"attn_layer_indices": [1]},
    "chameleon": {"vocabulary_map": {"<image>": 5, "IMGIMGA": 6}},
    "emu3": {"vocabulary_map": {"<image>": 5, "<|visual token 000000|>": 6}},
    "gemma4_assistant": {"start": {"text_config": {"hidden_size_per_layer_input": 0}}},
    "gemma4_unified_assistant": {"start": {"text_config": {"hidden_size_per_layer_input": 0}}},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "dots3_note": {
        "text_config": {"head_dim": 24},
        "vision_config": {"adapter_in_dim": 64, "adapter_out_dim": 64},
        "audio_config": {"adapter_input_size": 64, "adapter_out_dim": 64},
    },
    "dots3_note_text": {"head_dim": 24},
    "aria": {"projector_patch_to_query_dict": {"256": 128}},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}},
    },
    "cohere_compass": {
        "text_config": {
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}},
        }
    },
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
    "deepseek_ocr2": {
        "text_config": {**_GROUPED, "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"]}
    },
    "deepseek_v2": _GROUPED,
    "deepseek_v4": {  # which divide the lengths of prompts: of the rest a buffer holds every token
        "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 8}
    },
    "dots1": {"n_routed_experts": 8, "n_shared_experts": 1, **_GROUPED},
    "ernie4_5_vl_moe": {"text_config": {"moe_intermediate_size": [64, 32]}},
    "fun_asr_nano": {"adaptor_config": {"intermediate_size": 16}},
    "gemma3n": {"text_config": _GEMMA3N},
    "gemma3n_text": _GEMMA3N,
    "granite4_vision": {
        "downsample_rate": "1/2",
        "spatial_target_layers": [0, 1, 2, 3],
        "deepstack_layer_map": [[-1, 0]],
    },
    "hrm_text": {"layers": 8, "num_hidden_layers": 8, "num_layers_per_stack": 1},
    "hunyuan_v1_dense": _HEAD,
    "hunyuan_v1_moe": _HEAD,
    "hunyuan_vl": {"text_config": _HEAD},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 16},
    "ministral": _HEAD,
    "nemotron": {"num_key_value_heads": 2, "head_dim": 16},
    "qwen4_exp": {
        "text_config": {
            "indexer_n_heads": 4,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 16,
            "indexer_budget": 32,
            "indexer_compress_ratio": 4,
        }
    },
    "qwen4_exp_text": {
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 32,
        "indexer_compress_ratio": 4,
    },
    "step3p7": {"text_config": {"sliding_window": 64}},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128},
    "xlnet": {"d_head": 16, "d_inner": 64},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"layers": 10, **_SSM},
    "zamba2": {"layers": 13, **_SSM, "adapter_rank": 8},
}
