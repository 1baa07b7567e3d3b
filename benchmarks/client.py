"""How exact the client is that drives servers, and what it takes of a core.

Against the scripted server (`tests/servers/scripted_server.py`), which writes down when it sent
each token, on the clock that all processes share. Each part is done on uvloop and without.

timing  256 streams of 20 tokens/s, one event a token: what llamatop recorded, less the truth.
rate    the same at 10,000 events/s in all: missing tokens, and stamps that are late.
cost    CPU per event beside a bare aiohttp loop (`bare.py`), in turns: of the client, with the
        recording, and how much more of a core the screen takes.

    python benchmarks/client.py timing
    python benchmarks/client.py rate --events 10000
    python benchmarks/client.py cost --quads 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pexpect
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))


from llamatop.events.kinds import RequestSent, RunStarted, TokensEmitted
from llamatop.recording.reader import open_recording
from llamatop.run.replay import fold
from tests.servers import running
from tests.servers.running import Server

STREAMS = 256
MILLISECOND = 1e6
LATE = 5.0
"""Milliseconds after which a stamp is told as late."""
LOOPS = ("uvloop", "asyncio")


def env_of(loop: str, folder: Path) -> dict[str, str]:
    """An environment with uvloop, or one whose uvloop cannot be imported."""
    root = str(Path(__file__).parents[1])
    if loop == "uvloop":
        return {**os.environ, "PYTHONPATH": root}
    (folder / "uvloop.py").write_text("raise ImportError('left out')\n")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}"}


def options(server: Server, load: Sequence[str], gen_toks: int, path: Path) -> list[str]:
    """Of llamatop."""
    lengths = ["--gen-toks", str(gen_toks), "--prompt-toks", "16"]
    return ["--url", server.url, *load, *lengths, "--out", str(path)]


null = subprocess.DEVNULL
ALL_AT_ONCE = ("--concurrency", str(STREAMS), "--requests", str(STREAMS))


def record(
    server: Server, env: dict[str, str], load: Sequence[str], gen_toks: int, path: Path
) -> None:
    """Run llamatop headless to its end."""
    command = [sys.executable, "-m", "llamatop", "--record"]
    command += options(server, load, gen_toks, path)
    done = subprocess.run(command, env=env, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    if done.returncode:
        sys.exit(f"llamatop ended with {done.returncode}: {done.stderr[-500:]}")


# Timing


class Stamps:
    """What a recording says of each request beside what the server says; milliseconds."""

    def __init__(self, server: Server, path: Path, gen_toks: int) -> None:
        events = open_recording(path).events
        [started] = [event for event in events if isinstance(event, RunStarted)]
        sent: dict[int, int] = {}
        reads: dict[int, list[tuple[int, int]]] = {}
        for event in events:
            if isinstance(event, RequestSent):
                sent.setdefault(event.request, event.time + started.origin)
            elif isinstance(event, TokensEmitted):
                stamp = event.time + started.origin
                reads.setdefault(event.request, []).append((stamp, event.count))
        self.missing = self.tokens = 0
        self.first: list[float] = []
        """TTFT less that of the server."""
        self.sending: list[float] = []
        """From when llamatop began to send a request to when the server had read it."""
        self.gaps: list[float] = []
        """ITL less the server's."""
        self.late: list[float] = []
        """Each stamp less when the server sent it."""
        self.coalesced = 0
        """Tokens that shared a read with one before them."""
        log = [entry for entry in json.loads(server.get("/log")) if measured(entry, gen_toks)]
        for entry in log:
            request = int(entry["body"]["cache_salt"].rpartition("-")[2])
            self._compare(entry, sent[request], reads[request])

    def _compare(self, entry: dict, sent: int, reads: list[tuple[int, int]]) -> None:
        got = [stamp for stamp, count in reads for _ in range(count)]
        truth = entry["sent"]
        self.tokens += len(truth)
        self.missing += abs(len(truth) - len(got))
        self.coalesced += sum(count - 1 for _, count in reads)
        if len(truth) != len(got):
            return
        first = (got[0] - sent) - (truth[0] - entry["came"])
        self.first.append(first / MILLISECOND)
        self.sending.append((entry["came"] - sent) / MILLISECOND)
        pairs = zip(pairwise(got), pairwise(truth), strict=True)
        self.gaps += [abs((b - a) - (d - c)) / MILLISECOND for (a, b), (c, d) in pairs]
        self.late += [(g - t) / MILLISECOND for g, t in zip(got, truth, strict=True)]


def measured(entry: dict, gen_toks: int) -> bool:
    """Whether it is a request of the level: warm-ups and questions are shorter."""
    return entry["body"].get("max_tokens") == gen_toks


def spread(values: Sequence[float]) -> str:
    """p50, p99, most."""
    if not values:
        return "none"
    p50, p99 = np.percentile(np.abs(values), [50, 99])
    return f"p50 {p50:6.3f}  p99 {p99:7.3f}  most {max(map(abs, values)):7.2f} ms"


def timing(server: Server, folder: Path, rate: float, loops: Sequence[str], seconds: float) -> None:
    """Print how far the recorded times are from the true ones; `rate`: tokens/s of a stream.

    Requests arrive as a Poisson process, so that on average all streams are open at once. Then
    all at once, which is how a level in a closed loop begins.
    """
    arrivals = ["--rate", f"{STREAMS / seconds:.3f}", "--requests", str(3 * STREAMS)]
    arrivals += ["--concurrency", str(2 * STREAMS)]  # more than ever are open
    for loop in loops:
        stamps, says = compared(server, folder, loop, arrivals, rate=rate, seconds=seconds)
        late = sum(value > LATE for value in stamps.late)
        print(f"{loop:8} {STREAMS} streams of {rate:g} tokens/s, arriving by and by: "
              f"{stamps.tokens:,} tokens, {stamps.missing} missing, {late} stamps "
              f"later than {LATE:g} ms, {stamps.coalesced} shared a read")  # fmt: skip
        print(f"  TTFT     off by  {spread(stamps.first)}")
        print(f"   of it, sending  {spread(stamps.sending)}")
        print(f"  ITL      off by  {spread(stamps.gaps)}")
        print(f"  a stamp  late by {spread(stamps.late)}")
        print(f"  the client says  {says}", flush=True)
        stamps, says = compared(server, folder, loop, ALL_AT_ONCE, rate=rate, seconds=seconds)
        print(f"{'':8} all at once: {stamps.missing} missing")
        print(f"  TTFT     off by  {spread(stamps.first)}")
        print(f"  the client says  {says}", flush=True)


def compared(
    server: Server, folder: Path, loop: str, load: Sequence[str], *, rate: float, seconds: float
) -> tuple[Stamps, str]:
    """One run beside the truth, and what it says itself of how late it was."""
    script = {"ttft": 0.2, "interval": 1 / rate, "spread": STREAMS, "counts": "token_ids"}
    server.post("/script", {"script": script})
    path, gen_toks = folder / f"{time.monotonic_ns()}.parquet", round(seconds * rate)
    record(server, env_of(loop, folder), load, gen_toks, path)
    return Stamps(server, path, gen_toks), level(path)


def level(path: Path) -> str:
    """What llamatop says itself of how late it was."""
    from llamatop.reports.summary import summary  # noqa: PLC0415

    [told] = summary(fold(open_recording(path).events), None)["levels"]
    return json.dumps(told.get("client"))


# Cost


class Used:
    """Seconds of processor time of processes, between two looks."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        self._processes = processes
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        times = {name: process.cpu_times() for name, process in self._processes.items()}
        return {name: time.user + time.system for name, time in times.items()}

    def since(self) -> dict[str, float]:
        """Seconds of each since the last look."""
        before, self._before = self._before, self._now()
        return {name: now - before[name] for name, now in self._before.items()}


def parts_of(process: psutil.Process) -> dict[str, psutil.Process]:
    """llamatop's processes: `client` sends and reads, `main` records and draws, `probe` looks."""
    parts = {"main": process}
    for child in process.children(recursive=True):
        line = " ".join(child.cmdline())
        parts["client" if "engines.host" in line else "probe"] = child
    return parts


@contextmanager
def bare(server: Server, env: dict[str, str], gen_toks: int) -> Iterator[psutil.Process]:
    """The bare loop, running."""
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), server.url, "--reuse"]
    command += ["--concurrency", str(STREAMS), "--requests", str(STREAMS)]
    child = subprocess.Popen(
        [*command, "--gen-toks", str(gen_toks)], env=env, stdout=subprocess.DEVNULL
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


@contextmanager
def headless(
    server: Server, env: dict[str, str], gen_toks: int, folder: Path
) -> Iterator[psutil.Process]:
    """llamatop with a recording and no screen, running."""
    command = [sys.executable, "-m", "llamatop", "--record"]
    command += options(server, ALL_AT_ONCE, gen_toks, folder / f"{time.monotonic_ns()}.parquet")
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


@contextmanager
def on_screen(
    server: Server, env: dict[str, str], gen_toks: int, folder: Path
) -> Iterator[psutil.Process]:
    """llamatop with its screen and a recording, running on a pseudo-terminal that is read."""
    given = options(server, ALL_AT_ONCE, gen_toks, folder / f"{time.monotonic_ns()}.parquet")
    child = pexpect.spawn(
        sys.executable, ["-m", "llamatop", *given], dimensions=(36, 120), env=env, timeout=60
    )
    reader = subprocess.Popen(["cat"], stdin=child.child_fd, stdout=null, stderr=null)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.close(force=True)
        reader.kill()
        reader.wait()


def turn(server: Server, rate: float, started: object, seconds: float) -> dict[str, float]:
    """Microseconds per event of each process, over so many seconds in which all streams run."""
    script = {"ttft": 0.2, "interval": 1 / rate, "spread": STREAMS, "counts": "token_ids"}
    server.post("/script", {"script": script})
    with started as process:  # type: ignore[attr-defined]
        wait_until_all_run(server)
        used = Used(parts_of(process))
        before, began = json.loads(server.get("/sums")), time.monotonic()
        time.sleep(seconds)
        took, after = used.since(), json.loads(server.get("/sums"))
        passed = time.monotonic() - began
        if after["open"] < STREAMS:
            sys.exit("streams ended within a turn")
    events = after["events"] - before["events"]
    return {name: cpu / events * 1e6 for name, cpu in took.items()} | {
        "core": took["main"] / passed,
        "events": events / passed,
    }


def wait_until_all_run(server: Server) -> None:
    """Until all streams are open and the rush of their beginning is over."""
    end = time.monotonic() + 60
    while json.loads(server.get("/sums"))["open"] < STREAMS:
        if time.monotonic() > end:
            sys.exit("the streams did not all begin")
        time.sleep(0.1)
    time.sleep(2)


def cost(
    server: Server, folder: Path, rate: float, loops: Sequence[str], *, seconds: float, quads: int
) -> None:
    """Print CPU per event of the bare loop and of llamatop, in turns."""
    gen_toks = round((seconds + 6) * rate)
    for loop in loops:
        env = env_of(loop, folder)
        turns: dict[str, list[dict[str, float]]] = {"bare": [], "headless": [], "screen": []}
        for order in (["bare", "headless", "screen"], ["screen", "headless", "bare"]) * quads:
            for what in order:
                started = {
                    "bare": lambda: bare(server, env, gen_toks),  # noqa: B023
                    "headless": lambda: headless(server, env, gen_toks, folder),  # noqa: B023
                    "screen": lambda: on_screen(server, env, gen_toks, folder),  # noqa: B023
                }[what]()
                turns[what].append(turn(server, rate, started, seconds))
        report(loop, turns)


def report(loop: str, turns: dict[str, list[dict[str, float]]]) -> None:
    """Medians of the turns, and what they come to."""

    def median(what: str, part: str) -> float:
        return statistics.median(turn[part] for turn in turns[what])

    base = median("bare", "main")
    client, main = median("headless", "client"), median("headless", "main")
    more = median("screen", "core") - median("headless", "core")
    print(f"{loop:8} {median('bare', 'events'):,.0f} events/s; µs of CPU per event:")
    for what in turns:
        told = ("main", "client", "probe") if what != "bare" else ("main",)
        print(f"  {what:10}", ", ".join(f"{part} {median(what, part):.1f}" for part in told))
    print(f"  client / bare                {client / base:.2f}")
    print(f"  client, recording / bare     {(client + main) / base:.2f}")
    print(f"  the screen, of a core more   {more:.1%}", flush=True)


def main() -> None:
    """Do one part, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=("timing", "rate", "cost"))
    parser.add_argument("--events", type=float, default=10_000, help="a second in all, of `rate`")
    parser.add_argument("--loop", choices=LOOPS, help="only this one")
    parser.add_argument("--seconds", type=float, default=6, help="of a stream, or of a turn")
    parser.add_argument("--quads", type=int, default=1, help="turns there and back, of `cost`")
    args = parser.parse_args()
    loops = [args.loop] if args.loop else LOOPS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = running.scripted(folder / "server.log")
        try:
            if args.part == "timing":
                timing(server, folder, 20, loops, args.seconds)
            elif args.part == "rate":
                timing(server, folder, args.events / STREAMS, loops, args.seconds)
            else:
                cost(server, folder, 20, loops, seconds=args.seconds, quads=args.quads)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
