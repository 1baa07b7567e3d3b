"""The usual servers by a short name: the command that makes a fair measurement with each.

Prefix caches are off, there are as many slots as requests at once, and a context for the longest of
them; all else is the server's own choice. `sglang` and `ollama` are from their documentation and
have not been run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from llamatop.catalog.gguf import is_gguf, models_in
from llamatop.engines.resolve import folder_here
from llamatop.errors import InputError
from llamatop.hardware import nvidia
from llamatop.hardware.kept import cache_folder
from llamatop.serve import llamacpp_server, shapes
from llamatop.serve.command import Plan
from llamatop.serve.ready import HOST
from llamatop.settings.config import RunConfig

SERVERS = "pip install xllamacpp gguf"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be served."""

    model: str
    """As it was asked for."""
    port: int
    slots: int
    """Requests at once."""
    context: int | None
    """Tokens of the longest of them, prompt and output; None: not known beforehand."""

    @property
    def folder(self) -> Path | None:
        """Where the model is on this machine; None: the server is to find it by its name."""
        return folder_here(self.model)


def wanted(config: RunConfig, port: int) -> Wanted:
    """Of a run."""
    slots = max(config.concurrency)
    longest = None if config.prompts is not None else config.prompt_toks + config.gen_toks
    return Wanted(config.model, port, slots, None if longest is None else shapes.roomy(longest))


def llama_cpp(want: Wanted) -> Plan:
    """`llama-server` where it is installed, else the server that the package xllamacpp has."""
    program = shutil.which("llama-server")
    if program is None and importlib.util.find_spec("xllamacpp") is None:
        raise InputError(
            "--serve llama.cpp: there is no llama-server here, and no package xllamacpp, which has "
            f"one: {SERVERS}"
        )
    model = str(gguf_of(want.model))
    room = want.slots * want.context if want.context is not None else 0
    if program is None:
        arguments = [sys.executable, "-P", llamacpp_server.__file__, model, str(want.port)]
        arguments += [want.model, str(want.slots), str(room)]
        return Plan(tuple(arguments), want.port, model, calls=want.model)
    arguments = [program, "-m", model, "--alias", want.model, "--host", HOST]
    arguments += ["--port", str(want.port), "-np", str(want.slots), "-c", str(room), "--metrics"]
    # older ones do not know the option, and pass over the variable
    environment = {"LLAMA_ARG_CACHE_RAM": "0"}
    return Plan(tuple(arguments), want.port, model, environment, want.model)


def transformers(want: Wanted) -> Plan:
    """`transformers serve`, which shares a pool of blocks among the requests."""
    beside = Path(sys.executable).with_name("transformers")
    program = str(beside) if beside.exists() else shutil.which("transformers")
    missing = program == str(beside) and importlib.util.find_spec("fastapi") is None
    if program is None or missing:
        raise InputError(
            "--serve transformers: its server is not installed: pip install 'transformers[serving]'"
        )
    model = str(want.folder or want.model)
    arguments = [program, "serve", model, "--continuous-batching", "--host", HOST]
    arguments += ["--port", str(want.port)]
    if nvidia.open_nvml() is None:
        # its own choice is a share of all memory
        blocks = shapes.blocks(want.slots, want.context or shapes.LONG)
        arguments += ["--device", "cpu", "--attn-implementation", "sdpa"]
        arguments += ["--cb-num-blocks", str(blocks), "--cb-max-batch-tokens", "512"]
    tokenizer = str(want.folder) if want.folder is not None else None
    return Plan(tuple(arguments), want.port, model, _offline(want), model, tokenizer)


def vllm(want: Wanted) -> Plan:
    """vLLM, whose pool is a share of the device's memory; on a processor just what is needed."""
    program = _program("vllm", "https://docs.vllm.ai tells how, by the machine")
    model = str(want.folder or want.model)
    context = shapes.within(want.context, want.folder)
    arguments = [program, "serve", model, "--served-model-name", want.model, "--host", HOST]
    arguments += ["--port", str(want.port), "--no-enable-prefix-caching"]
    arguments += ["--max-num-seqs", str(want.slots)]
    arguments += ["--max-model-len", str(context)] if context is not None else []
    environment = {**_offline(want), "VLLM_NO_USAGE_STATS": "1"}
    size = shapes.kv_bytes(want.folder, want.slots * (context or shapes.LONG))
    given = "VLLM_CPU_KVCACHE_SPACE" in os.environ
    if nvidia.open_nvml() is None and size is not None and not given:
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(ceil(2 * size / 2**30))
    return Plan(tuple(arguments), want.port, model, environment, want.model)


def sglang(want: Wanted) -> Plan:
    """SGLang, by https://docs.sglang.io/docs/advanced_features/server_arguments."""
    program = _program("sglang", "https://docs.sglang.io tells how")
    model = str(want.folder or want.model)
    context = shapes.within(want.context, want.folder)
    arguments = [program, "serve", "--model-path", model, "--served-model-name", want.model]
    arguments += ["--host", HOST, "--port", str(want.port), "--disable-radix-cache"]
    arguments += ["--max-running-requests", str(want.slots), "--enable-metrics"]
    arguments += ["--context-length", str(context)] if context is not None else []
    return Plan(tuple(arguments), want.port, model, _offline(want), want.model)


def ollama(want: Wanted) -> Plan:
    """Ollama, by https://docs.ollama.com/faq; its models are its own, pulled beforehand."""
    program = _program("ollama", "https://ollama.com/download")
    if want.folder is not None or is_gguf(Path(want.model)):
        raise InputError(
            f"--serve ollama: it has models of its own: name one of ollama list, not {want.model}"
        )
    environment = {
        "OLLAMA_HOST": f"{HOST}:{want.port}",
        "OLLAMA_NUM_PARALLEL": str(want.slots),
        "OLLAMA_MAX_LOADED_MODELS": "1",
        "OLLAMA_KEEP_ALIVE": "-1",
    }
    if want.context is not None:
        environment["OLLAMA_CONTEXT_LENGTH"] = str(want.context)
    arguments = (program, "serve")
    return Plan(arguments, want.port, want.model, environment, want.model, foretold=False)


NAMES: Mapping[str, Callable[[Wanted], Plan]] = {
    "vllm": vllm,
    "llama.cpp": llama_cpp,
    "transformers": transformers,
    "sglang": sglang,
    "ollama": ollama,
}
"""Each short name, and what makes its command."""


def _program(name: str, where: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise InputError(f"--serve {name}: there is no program {name} on the PATH; install it "
                         f"({where})")  # fmt: skip
    return program


def gguf_of(model: str) -> Path:
    """The file that llama.cpp is to load; the bundled model is written as one once."""
    if model == "demo":
        from llamatop.engines.gguf_demo import kept_demo  # noqa: PLC0415  (numpy)

        return kept_demo(cache_folder())
    path = Path(model).expanduser()
    found = models_in(path) if path.is_dir() else [path] if is_gguf(path) else []
    if len(found) != 1:
        there = f" (there are {len(found)} in that folder)" if found else ""
        raise InputError(
            f"--serve llama.cpp: it runs GGUF files: give one as --model FILE.gguf{there}"
        )
    return found[0].absolute()


def _offline(want: Wanted) -> dict[str, str]:
    """A model that is here needs no network, and should not wait for one."""
    return {"HF_HUB_OFFLINE": "1"} if want.folder is not None else {}
