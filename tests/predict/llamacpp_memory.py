"""llama.cpp's own server in this process: its peak resident memory after one request a slot.

    python llamacpp_memory.py MODEL.gguf SLOTS CONTEXT PROMPT CACHE_TYPE

CONTEXT is each slot's. Prints `peak BYTES`, as the kernel counts them.
"""

import json
import os
import sys
import threading
import urllib.request
from pathlib import Path

import xllamacpp


def main(model: str, slots: str, context: str, prompt: str, cache_type: str) -> None:
    given = xllamacpp.CommonParams()
    given.model.path, given.n_parallel, given.port = model, int(slots), 0
    given.n_ctx = int(slots) * int(context)
    kind = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{cache_type.upper()}")
    given.cache_type_k = given.cache_type_v = kind
    server = xllamacpp.Server(given)
    asks = [
        threading.Thread(target=ask, args=(server.listening_address, slot, int(prompt)))
        for slot in range(int(slots))
    ]
    for one in asks:
        one.start()
    for one in asks:
        one.join()
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    sys.stdout.write(f"peak {int(peak) * 1024}\n")
    sys.stdout.flush()
    os._exit(0)


def ask(url: str, slot: int, tokens: int) -> None:
    prompt = [300 + (n * 7 + slot * 13) % 3000 for n in range(tokens)]
    body = {"prompt": prompt, "n_predict": 12, "id_slot": slot, "ignore_eos": True}
    asked = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(asked, timeout=120).read()


if __name__ == "__main__":
    main(*sys.argv[1:])
