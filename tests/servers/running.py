"""Servers that tests drive: each in a process of its own, on a free port of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import gone, until

HERE = Path(__file__).parent


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server:
    """A server on a leash; `command` has `{port}` where its port is said."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        ready: str = "/health",
        seconds: float = 150,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._command = command
        self._env = {**os.environ, **(env or {})}
        self._ready, self._seconds = ready, seconds
        self.port = free_port()
        try:
            self.start()
        except AssertionError:  # somebody else may have got the port meanwhile
            self.stop()
            self.port = free_port()
            self.start()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the port that it had, and wait until it serves."""
        command = [part.replace("{port}", str(self.port)) for part in self._command]
        leash = [sys.executable, str(HERE / "leash.py"), *command]
        with self.log.open("ab") as log:
            self._leash = subprocess.Popen(
                leash,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,  # what ends the tests must not end the leash before it acts
            )
        until(self._serves, self._seconds)

    def processes(self) -> list[psutil.Process]:
        """The server and all that it started."""
        return psutil.Process(self._leash.pid).children(recursive=True)

    def kill(self) -> None:
        """End it at once, as a machine's out-of-memory killer would; `start` brings it back."""
        processes = self.processes()
        for process in processes:
            process.kill()
        self._leash.wait(60)
        until(lambda: all(gone(process) for process in processes))

    def stop(self) -> None:
        """End it, unless it has ended."""
        if self._leash.poll() is None:
            self.kill()

    def get(self, path: str) -> str:
        """The body of an answer."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, path: str, body: Any) -> Any:
        """The JSON of an answer."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _serves(self) -> bool:
        assert self._leash.poll() is None, self.log.read_text(errors="replace")[-2000:]
        try:
            self.get(self._ready)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True


def llamacpp(model: Path, log: Path, **parameters: Any) -> Server:
    """llama.cpp, with metrics and slots; `parameters` as of `llamacpp_server.py`."""
    given = [f"{name.replace('__', '.')}={json.dumps(v)}" for name, v in parameters.items()]
    script = str(HERE / "llamacpp_server.py")
    return Server([sys.executable, script, str(model), "{port}", *given], log)


def transformers_serve(folder: Path, log: Path) -> Server:
    """`transformers serve` with continuous batching, pinned to one model."""
    program = str(Path(sys.executable).with_name("transformers"))
    options = "--continuous-batching --cb-num-blocks 64 --cb-max-batch-tokens 512"
    where = "--attn-implementation sdpa --device cpu --host 127.0.0.1 --port {port}"
    command = [program, "serve", str(folder), *options.split(), *where.split()]
    return Server(command, log, env={"HF_HUB_OFFLINE": "1"})


def scripted(log: Path) -> Server:
    """The scripted server, which says what it sent and when."""
    return Server([sys.executable, str(HERE / "scripted_server.py"), "{port}"], log)


def vllm(folder: Path, environment: Path, log: Path) -> Server:
    """vLLM on the processor, from an environment that `install_vllm.sh` made."""
    options = "--served-model-name demo --max-model-len 2048 --dtype float32 --enforce-eager"
    where = "--host 127.0.0.1 --port {port}"
    module = [str(environment / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server"]
    command = [*module, "--model", str(folder), *options.split(), *where.split()]
    env = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    return Server(command, log, seconds=300, env=env)


def ray_llm(folder: Path, environment: Path, log: Path, metrics_port: int) -> Server:
    """Ray Serve LLM, from an environment that `install_ray.sh` made."""
    script = [str(environment / "bin" / "python"), str(HERE / "ray_server.py")]
    command = [*script, str(folder), "{port}", str(metrics_port)]
    env = {"HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    server = Server(command, log, ready="/v1/models", seconds=400, env=env)
    until(lambda: "is ready at" in log.read_text(errors="replace"), 400)  # the replica, too
    return server
