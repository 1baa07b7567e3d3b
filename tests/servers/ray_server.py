"""Ray Serve LLM with one replica of vLLM on the processor, in a cluster of its own.

    python ray_server.py MODEL PORT METRICS_PORT

Runs in the environment that `install_ray.sh` makes, until it is ended, and its cluster with it.
MODEL is a folder, served as `demo`.
"""

import sys
from typing import Any

import ray
from ray import serve
from ray.serve.llm import LLMConfig, build_openai_app

ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
CORES = 4
"""As Ray counts them: the replica, its engine and the ingress take one each, whatever is there."""


def app(model: str) -> Any:
    """The OpenAI-compatible application."""
    config = LLMConfig(
        model_loading_config={"model_id": "demo", "model_source": model},
        placement_group_config={"bundles": [{"CPU": 1}]},
        deployment_config={"num_replicas": 1},
        engine_kwargs={"dtype": "float32", "max_model_len": 2048, "enforce_eager": True},
        runtime_env={"env_vars": ENVIRONMENT},
    )
    return build_openai_app({"llm_configs": [config]})


if __name__ == "__main__":
    model, port, metrics = sys.argv[1:]
    ray.init(
        num_cpus=CORES,
        include_dashboard=False,
        _metrics_export_port=int(metrics),
        _system_config={"metrics_report_interval_ms": 1000},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(app(model), blocking=True)
