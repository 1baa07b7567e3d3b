#!/bin/sh
# Ray Serve LLM over vLLM for processors, in an environment of its own.
#
#     tests/servers/install_ray.sh [FOLDER]         # default .ray, beside .venv
#     LLAMATOP_RAY=FOLDER python -m pytest -m slow tests/servers/test_ray.py
#
# ray[llm] pins an older vLLM, that of GPUs, with all its libraries; what its server imports beside
# vLLM is named here instead. 4 GB of disk.
set -eu

folder=${1:-.ray}
"$(dirname "$0")/install_vllm.sh" "$folder"
"$folder/bin/python" -m pip --disable-pip-version-check install \
    "ray[serve]==2.60.0" pyarrow pandas jsonref hf_transfer
echo "Ray Serve LLM is ready in $folder"
