"""llama.cpp's own HTTP server, from the package xllamacpp, in the process that runs this.

    python llamacpp_server.py MODEL.gguf PORT NAME SLOTS CONTEXT

CONTEXT, in tokens, is shared out among the slots; 0: as long as the model's. Serves until it is
ended.
"""

from __future__ import annotations

import importlib
import signal
import sys


def serve(model: str, port: int, name: str, slots: int, context: int) -> None:
    """Serve until the process is ended."""
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {name}
    parameters.port = port
    parameters.n_parallel, parameters.n_ctx = slots, context
    parameters.cache_ram_mib = 0  # no prompt is kept for later ones
    parameters.endpoint_metrics = parameters.endpoint_slots = True
    server = xllamacpp.Server(parameters)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while server:
        signal.pause()


if __name__ == "__main__":
    _, MODEL, PORT, NAME, SLOTS, CONTEXT = sys.argv
    serve(MODEL, int(PORT), NAME, int(SLOTS), int(CONTEXT))
