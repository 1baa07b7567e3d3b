"""What a watch of servers takes, of this machine and of the servers.

    python benchmarks/watch.py cost [--servers 10] [--seconds 60]
    python benchmarks/watch.py looks MODEL.gguf [--looks 500]
    python benchmarks/watch.py turns MODEL.gguf [--turns 60]

`cost`: servers that say what a busy vLLM said, its counters and buckets growing every second, are
watched without a screen; processor time of the watch, and bytes of its recording.
`looks`: what a look costs a llama.cpp whose four slots are idle or busy, and what it costs us:
processor time of many looks in a row, less that of as many seconds without.
`turns`: one llama.cpp on one thread answers short requests without pause, in turns of two seconds
watched and not, by turns first; the ratios of its tokens per second and of its processor time a
token, with 95 % intervals over the pairs.
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
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import exp, log
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "tests" / "data" / "servers" / "vllm-0.32.0.metrics-fresh.http"
_SAMPLE = re.compile(r"^(vllm:[a-z0-9_]+?(_total|_bucket|_sum|_count)?)(\{.*\}) ([0-9.e+]+)$")
_GAUGES = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
TURN = 2.0


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


def looks(model: str, count: int) -> None:
    """See above."""
    sys.path.insert(0, str(ROOT))
    from llamatop.events.clock import MonotonicClock  # noqa: PLC0415
    from llamatop.watch.server import WatchedServer  # noqa: PLC0415

    with _llamacpp(model) as server:
        process = server.processes()[-1]
        made, stop = [0], threading.Event()
        for busy in (False, True):
            if busy:
                _load(server.url, made, stop)
            watched = WatchedServer(0, server.url, MonotonicClock())
            watched.look()
            ours, theirs, began = time.thread_time(), _spent(process), time.monotonic()
            for _ in range(count):
                watched.look()
            took = time.monotonic() - began
            ours, theirs = time.thread_time() - ours, _spent(process) - theirs
            alone = _spent(process)
            time.sleep(took)
            alone = _spent(process) - alone
            per = 1000 * max(theirs - alone, 0.0) / count
            print(
                f"{'busy' if busy else 'idle'}: a look takes {1000 * took / count:.1f} ms, of the "
                f"server {per:.2f} ms of a core more than without (at one a second {per / 10:.3f} "
                f"%), of the watch {1000 * ours / count:.2f} ms ({100 * ours / count:.3f} %)"
            )
        stop.set()


def turns(model: str, count: int) -> None:
    """See above."""
    sys.path.insert(0, str(ROOT))
    from llamatop.settings.config import RunConfig  # noqa: PLC0415
    from llamatop.watch.source import Watch  # noqa: PLC0415

    with _llamacpp(model) as server:
        made, stop, process = [0], threading.Event(), server.processes()[-1]
        speeds: list[float] = []
        costs: list[float] = []
        _load(server.url, made, stop)
        for turn in range(count):
            rate, cost = {}, {}
            for watched in (turn % 2 == 0, turn % 2 == 1):
                watch = Watch(RunConfig(engine="attach", urls=(server.url,)))
                if watched:
                    watch.start()
                before, spent, began = made[0], _spent(process), time.monotonic()
                time.sleep(TURN)
                tokens = made[0] - before
                rate[watched] = tokens / (time.monotonic() - began)
                cost[watched] = (_spent(process) - spent) / tokens
                watch.close()
            speeds.append(log(rate[True] / rate[False]))
            costs.append(log(cost[True] / cost[False]))
        stop.set()
    print(f"watched / not, {count} pairs of {TURN:g} s, 95 %:")
    print(f"tokens per second                   {_interval(speeds)}")
    print(f"the server's processor time a token {_interval(costs)}")


def _interval(logs: list[float]) -> str:
    half = 2.0 * stdev(logs) / len(logs) ** 0.5
    low, middle, high = (exp(fmean(logs) + by) for by in (-half, 0.0, half))
    return f"{middle:.4f} ({low:.4f} to {high:.4f})"


@contextmanager
def _llamacpp(model: str) -> Iterator[Any]:
    """One on one thread: more wait for one another without sleeping."""
    from tests.servers import running  # noqa: PLC0415

    threads = {"cpuparams__n_threads": 1, "cpuparams_batch__n_threads": 1}
    with tempfile.TemporaryDirectory() as folder:
        shape = {"n_parallel": 4, "n_ctx": 8192, **threads}
        server = running.llamacpp(Path(model), Path(folder) / "log", **shape)
        try:
            yield server
        finally:
            server.stop()


def _spent(process: psutil.Process) -> float:
    """Processor seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _load(url: str, made: list[int], stop: threading.Event) -> None:
    """Four streams, until it is stopped; begun when they run."""
    for _ in range(4):
        threading.Thread(target=_drive, args=(url, made, stop), daemon=True).start()
    time.sleep(3)


def _drive(url: str, made: list[int], stop: threading.Event) -> None:
    asked = {"prompt": "def add(a, b):", "max_tokens": 100, "ignore_eos": True, "stream": True}
    asked["timings_per_token"] = True
    while not stop.is_set():
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
    parser.add_argument("what", choices=("cost", "looks", "turns", "pages"))
    parser.add_argument("model", nargs="?")
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--looks", type=int, default=500)
    args = parser.parse_args()
    if args.what == "pages":
        pages(args.servers)
    elif args.what == "cost":
        cost(args.servers, args.seconds)
    elif args.what == "looks":
        looks(args.model, args.looks)
    else:
        turns(args.model, args.turns)
