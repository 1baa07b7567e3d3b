"""What a watch of servers takes, of this machine and of the servers.

    python benchmarks/watch.py cost [--servers 10] [--seconds 60]
    python benchmarks/watch.py turns MODEL.gguf [--turns 12]

`cost`: servers that say what a busy vLLM said, its counters and buckets growing every second, are
watched without a screen; processor time of the watch, and bytes of its recording.
`turns`: one llama.cpp answers requests without pause, in turns of five seconds watched and not;
the ratio of its tokens.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean, stdev

import psutil

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "tests" / "data" / "servers" / "vllm-0.32.0.metrics-fresh.http"
_SAMPLE = re.compile(r"^(vllm:[a-z0-9_]+?(_total|_bucket|_sum|_count)?)(\{.*\}) ([0-9.e+]+)$")
_GAUGES = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
TURN = 5.0


def pages(servers: int) -> None:
    """Serve pages until stdin ends; a port a line on stdout."""
    text = PAGE.read_bytes().partition(b"\r\n\r\n")[2].decode()
    lines = text.splitlines()
    began = time.monotonic()

    def page() -> bytes:
        second, made = int(time.monotonic() - began), []
        chance = random.Random(second)
        for line in lines:
            found = _SAMPLE.match(line)
            if found is None:
                made.append(line)
                continue
            name, kind, labels, value = found.groups()
            if any(name.endswith(gauge) for gauge in _GAUGES):
                value = str(chance.randrange(100) / (100 if "usage" in name else 1))
            elif kind == "_bucket":
                bound = float(re.search(r'le="([^"]+)"', labels)[1])  # type: ignore[index]
                rate = 400 if "inter_token" in name else 8
                value = str(float(int(second * rate * min(1.0, 0.3 + bound))))
            elif kind == "_total":
                value = str(float(second * 411))
            made.append(f"{name}{labels} {value}")
        return "\n".join(made).encode() + b"\n"

    models = json.dumps({"object": "list", "data": [{"id": "m", "owned_by": "vllm"}]}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = page() if self.path == "/metrics" else models
            self.send_response_only(200 if self.path in ("/metrics", "/v1/models") else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    for _ in range(servers):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
    sys.stdin.read()


def cost(servers: int, seconds: int) -> None:
    """See above."""
    command = [sys.executable, __file__, "pages", "--servers", str(servers)]
    with (
        subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as serving,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert serving.stdout is not None and serving.stdin is not None
        urls = [f"http://127.0.0.1:{serving.stdout.readline().strip()}" for _ in range(servers)]
        out = Path(folder) / "watch.parquet"
        watch = [sys.executable, "-m", "llamatop", "attach", "--record", "--max-time", str(seconds)]
        with subprocess.Popen([*watch, "--out", str(out), "--url", *urls], stdout=-3) as running:
            time.sleep(6)  # it has begun, and knows each server
            process, began = psutil.Process(running.pid), time.monotonic()
            before = process.cpu_times()
            time.sleep(seconds - 10)
            after, took = process.cpu_times(), time.monotonic() - began
        share = (after.user + after.system - before.user - before.system) / took
        hourly = out.stat().st_size / seconds * 3600 / servers
        serving.stdin.close()
    print(f"{servers} servers: {share:.1%} of a core, {hourly / 1e6:.2f} MB an hour a server")


def turns(model: str, count: int) -> None:
    """See above."""
    sys.path.insert(0, str(ROOT))
    from llamatop.settings.config import RunConfig  # noqa: PLC0415
    from llamatop.watch.source import Watch  # noqa: PLC0415
    from tests.servers import running  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        server = running.llamacpp(Path(model), Path(folder) / "log", n_parallel=4, n_ctx=8192)
        made, ratios = [0], []
        for _ in range(4):
            threading.Thread(target=_drive, args=(server.url, made), daemon=True).start()
        time.sleep(3)
        for turn in range(count):
            rates = {}
            for watched in (turn % 2 == 0, turn % 2 == 1):
                watch = Watch(RunConfig(engine="attach", urls=(server.url,)))
                if watched:
                    watch.start()
                before, began = made[0], time.monotonic()
                time.sleep(TURN)
                rates[watched] = (made[0] - before) / (time.monotonic() - began)
                watch.close()
            ratios.append(rates[True] / rates[False])
        server.stop()
    half = 2.2 * stdev(ratios) / len(ratios) ** 0.5
    print(f"watched / not: {fmean(ratios):.3f} ± {half:.3f} over {count} pairs of {TURN:g} s")


def _drive(url: str, made: list[int]) -> None:
    asked = {"prompt": "def add(a, b):", "max_tokens": 500, "ignore_eos": True, "stream": True}
    asked["timings_per_token"] = True
    while True:
        request = urllib.request.Request(
            f"{url}/v1/completions",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        last = 0
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                for line in answer:
                    if line.startswith(b"data: {"):
                        now = json.loads(line[6:]).get("timings", {}).get("predicted_n", last)
                        made[0] += now - last
                        last = now
        except OSError:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cost", "turns", "pages"))
    parser.add_argument("model", nargs="?")
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--turns", type=int, default=12)
    args = parser.parse_args()
    if args.what == "pages":
        pages(args.servers)
    elif args.what == "cost":
        cost(args.servers, args.seconds)
    else:
        turns(args.model, args.turns)
