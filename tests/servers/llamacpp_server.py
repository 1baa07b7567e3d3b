"""llama.cpp's own HTTP server, from the package xllamacpp, in the process that runs this.

    python llamacpp_server.py MODEL.gguf PORT [NAME=VALUE ...]

NAME is one of llama.cpp's common parameters (`n_parallel`, `n_ctx`, `cpuparams.n_threads`, ...).
"""

import json
import signal
import sys
from typing import Any

import xllamacpp


def serve(model: str, port: str, *given: str) -> None:
    """Serve until the process is ended."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {"demo"}
    parameters.port = int(port)
    parameters.endpoint_metrics = parameters.endpoint_slots = True
    for name, _, value in (one.partition("=") for one in given):
        *path, last = name.split(".")
        target: Any = parameters
        for part in path:
            target = getattr(target, part)
        setattr(target, last, json.loads(value))
    server = xllamacpp.Server(parameters)
    while server:
        signal.pause()


if __name__ == "__main__":
    serve(*sys.argv[1:])
