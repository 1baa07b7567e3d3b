"""The commands behind the short names. Those of SGLang and Ollama have not been run."""

import json
import sys
from pathlib import Path

import pytest

from llamatop.catalog import demo_folder
from llamatop.errors import InputError
from llamatop.serve import names
from llamatop.serve.names import NAMES, Wanted, wanted
from llamatop.serve.plans import plan_for
from llamatop.serve.shapes import blocks, kv_bytes, roomy, within
from llamatop.settings.config import RunConfig

WANTED = Wanted("demo", 8123, 8, 512)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which every program is; the folder of them. No GPU, no bundled GGUF to write."""
    for name in ("vllm", "sglang", "ollama", "llama-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    monkeypatch.setattr(names.nvidia, "open_nvml", lambda: None)
    return tmp_path


def test_vllm(installed: Path) -> None:
    plan = NAMES["vllm"](WANTED)
    assert plan.shown == (
        "HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_CPU_KVCACHE_SPACE=1 "
        f"{installed}/vllm serve {demo_folder()} --served-model-name demo --host 127.0.0.1 "
        "--port 8123 --no-enable-prefix-caching --max-num-seqs 8 --max-model-len 512"
    )
    assert plan.calls == "demo"


def test_llama_cpp(installed: Path) -> None:
    model = installed / "a {port} b.gguf"
    model.write_bytes(b"GGUF")
    plan = NAMES["llama.cpp"](Wanted(str(model), 8123, 8, 512))
    assert plan.shown == (
        f"LLAMA_ARG_CACHE_RAM=0 {installed}/llama-server -m '{model}' --alias '{model}' "
        "--host 127.0.0.1 --port 8123 -np 8 -c 4096 --metrics"
    )


def test_transformers(installed: Path) -> None:
    plan = NAMES["transformers"](WANTED)
    program = Path(sys.executable).with_name("transformers")
    assert plan.shown == (
        f"HF_HUB_OFFLINE=1 {program} serve {demo_folder()} --continuous-batching --host 127.0.0.1 "
        "--port 8123 --device cpu --attn-implementation sdpa --cb-num-blocks 24 "
        "--cb-max-batch-tokens 512"
    )
    assert plan.calls == plan.tokenizer == str(demo_folder())


def test_sglang(installed: Path) -> None:
    plan = NAMES["sglang"](Wanted("some/model", 8123, 8, None))
    assert plan.shown == (
        f"{installed}/sglang serve --model-path some/model --served-model-name some/model "
        "--host 127.0.0.1 --port 8123 --disable-radix-cache --max-running-requests 8 "
        "--enable-metrics"
    )


def test_ollama(installed: Path) -> None:
    plan = NAMES["ollama"](Wanted("llama3.2:1b", 8123, 8, 512))
    assert plan.shown == (
        "OLLAMA_HOST=127.0.0.1:8123 OLLAMA_NUM_PARALLEL=8 OLLAMA_MAX_LOADED_MODELS=1 "
        f"OLLAMA_KEEP_ALIVE=-1 OLLAMA_CONTEXT_LENGTH=512 {installed}/ollama serve"
    )


@pytest.mark.parametrize(
    ("name", "model", "says"),
    [
        ("llama.cpp", "some/model", "give one as --model FILE.gguf"),
        ("ollama", "demo", "name one of ollama list, not demo"),
    ],
)
def test_a_model_that_a_server_cannot_have_is_one_line(
    installed: Path, name: str, model: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        NAMES[name](Wanted(model, 1, 1, 512))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("llama.cpp", r"pip install xllamacpp gguf"),
        ("transformers", r"pip install 'transformers\[serving\]'"),
        ("vllm", "no program vllm on the PATH"),
        ("sglang", "no program sglang on the PATH"),
        ("ollama", "no program ollama on the PATH"),
    ],
)
def test_what_is_not_installed_is_told_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(names.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(InputError, match=says) as refusal:
        plan_for(RunConfig(serve=name, engine="server"))
    assert "\n" not in str(refusal.value)


def test_a_command_has_room_for_the_most_and_longest_requests_of_a_run() -> None:
    config = RunConfig(concurrency=(1, 64, 8), prompt_toks=1000, gen_toks=24)
    assert wanted(config, 1) == Wanted("demo", 1, 64, 1280)


def test_rooms() -> None:
    assert [roomy(1), roomy(480), roomy(481)] == [512, 512, 768]
    assert blocks(4, 512) == 12
    assert within(4096, demo_folder()) == 2048, "no longer than the model's own"
    assert within(4096, None) == 4096
    assert within(None, demo_folder()) is None
    assert kv_bytes(None, 1) is None
    assert kv_bytes(demo_folder(), 10) == 10 * kv_of_demo()


def kv_of_demo() -> int:
    """By the shapes in its configuration."""
    facts = json.loads((demo_folder() / "config.json").read_bytes())
    assert facts["dtype"] == "bfloat16"
    layers, heads = facts["num_hidden_layers"], facts["num_key_value_heads"]
    return int(2 * 2 * layers * heads * facts["head_dim"])
