"""Which metric of which server tells what: one table, the names as the servers spell them.

Newer spellings stand before older ones. Names lack `_total`. Knows no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

GAUGES: dict[str, tuple[str, ...]] = {
    "running": (
        "vllm:num_requests_running",
        "sglang:num_running_reqs",
        "llamacpp:requests_processing",
        "trtllm:num_requests_running",
        "tgi:batch_current_size",
    ),
    "waiting": (
        "vllm:num_requests_waiting",
        "sglang:num_queue_reqs",
        "llamacpp:requests_deferred",
        "trtllm:num_requests_waiting",
        "tgi:queue_size",
    ),
    "waiting_capacity": ("vllm:num_requests_waiting_by_reason{reason=capacity}",),
    "waiting_deferred": ("vllm:num_requests_waiting_by_reason{reason=deferred}",),
    "kv_usage": (
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "sglang:token_usage",
        "trtllm:kv_cache_utilization",
    ),
    "retracted": ("sglang:num_retracted_reqs",),
    "spec_accept_length": ("sglang:spec_accept_length",),
    "weights_gb": ("sglang:weight_memory_usage_gb",),
    "kv_cache_gb": ("sglang:kv_cache_memory_usage_gb",),
    "graphs_gb": ("sglang:graph_memory_usage_gb",),
    "gpu_bytes": ("trtllm:gpu_memory_usage_bytes",),
    "loaded_bytes": ("ollama:size_bytes",),
    "loaded_device_bytes": ("ollama:size_vram_bytes",),
    "busy_slots": ("llamacpp:n_busy_slots_per_decode",),
}
"""Values of a moment."""


def _of_latency(name: str, of_sglang: str) -> tuple[str, ...]:
    return (f"vllm:{name}", f"sglang:{of_sglang}", f"trtllm:{name}")


COUNTERS: dict[str, tuple[str, ...]] = {
    "generation_tokens": (
        "vllm:generation_tokens",
        "sglang:realtime_tokens{mode=decode}",
        "sglang:generation_tokens",
        "llamacpp:tokens_predicted",
        "trtllm:generation_tokens",
    ),
    "prompt_tokens": (
        "vllm:prompt_tokens",
        "sglang:realtime_tokens{mode=prefill_compute}",
        "sglang:prompt_tokens",
        "llamacpp:prompt_tokens",
        "trtllm:prompt_tokens",
    ),
    "prefix_queries": ("vllm:prefix_cache_queries",),
    "prefix_hits": ("vllm:prefix_cache_hits",),
    "cached_tokens": ("sglang:cached_tokens", "llamacpp:prompt_tokens_cached"),
    "preempted": ("vllm:num_preemptions",),
    "aborted": ("sglang:num_aborted_requests",),
    "draft_tokens": (
        "vllm:spec_decode_num_draft_tokens",
        "llamacpp:spec_decode_num_draft_tokens",
        "trtllm:spec_decode_num_draft_tokens",
    ),
    "accepted_tokens": (
        "vllm:spec_decode_num_accepted_tokens",
        "llamacpp:spec_decode_num_accepted_tokens",
        "trtllm:spec_decode_num_accepted_tokens",
    ),
    "decodes": ("llamacpp:n_decode",),
    "queue_seconds": _of_latency("request_queue_time_seconds_sum", "queue_time_seconds_sum"),
    "queue_count": _of_latency("request_queue_time_seconds_count", "queue_time_seconds_count"),
    "prefill_seconds": ("vllm:request_prefill_time_seconds_sum",),
    "prefill_count": ("vllm:request_prefill_time_seconds_count",),
}
"""Totals since the server began; of latencies the seconds and the observations."""

HISTOGRAMS: dict[str, tuple[str, ...]] = {
    "ttft_s": (
        "vllm:time_to_first_token_seconds",
        "sglang:time_to_first_token_seconds",
        "trtllm:time_to_first_token_seconds",
    ),
    "itl_s": (
        "vllm:inter_token_latency_seconds",
        "vllm:time_per_output_token_seconds",
        "sglang:inter_token_latency_seconds",
        "sglang:time_per_output_token_seconds",
        "trtllm:time_per_output_token_seconds",
    ),
    "e2e_s": (
        "vllm:e2e_request_latency_seconds",
        "sglang:e2e_request_latency_seconds",
        "trtllm:e2e_request_latency_seconds",
    ),
    "queue_s": (
        "vllm:request_queue_time_seconds",
        "sglang:queue_time_seconds",
        "trtllm:request_queue_time_seconds",
    ),
}
"""Latencies in seconds, by bucket."""

PREFIXES = {
    "vllm:": "vllm:",
    "ray_vllm_": "vllm:",
    "sglang:": "sglang:",
    "sglang_": "sglang:",
    "llamacpp:": "llamacpp:",
    "trtllm_": "trtllm:",
    "tgi_": "tgi:",
}
"""How the names of a server begin, and what stands for it here."""

KEPT_LABELS = ("reason", "mode")
"""Labels that tell values of one replica apart; of those named in the table with no other."""

REPLICA_LABELS = ("engine", "dp_rank", "ReplicaId")
"""Labels that tell replicas apart, the surest first."""


def _bare(names: Iterable[tuple[str, ...]]) -> frozenset[str]:
    return frozenset(re.sub(r"\{.*", "", name) for some in names for name in some)


GAUGE_NAMES = _bare(GAUGES.values())
COUNTER_NAMES = _bare(COUNTERS.values())
HISTOGRAM_NAMES = _bare(HISTOGRAMS.values())
