"""Everything that llamatop says of a GPU, measured on the one at hand: one command, offline.

    python benchmarks/gpu.py --minutes 20 --out gpu-results

Leaves recordings and `table.md` in the folder; what the time does not suffice for is listed there.
All weights are random. `--device cpu --small` goes the same way in sizes that a small CPU carries.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamatop.catalog import find
from llamatop.text.formatting import number, percent, size

LLAMATOP = (sys.executable, "-m", "llamatop")
LLAMA, OPT = "meta-llama/Llama-3.1-8B-Instruct", "facebook/opt-1.3b"
SCOUT, OSS = "meta-llama/Llama-4-Scout-17B-16E-Instruct", "openai/gpt-oss-20b"
ENGINES = ("batch", "continuous", "compiled", "threads")
SMALL_MODEL = "demo"
PREDICTED = (
    OSS,
    SCOUT,
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "HuggingFaceTB/SmolLM2-360M-Instruct",
    "Qwen/Qwen3-0.6B",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "meta-llama/Llama-3.2-1B-Instruct",
    OPT,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "meta-llama/Llama-3.2-3B-Instruct",
)
PARTS = ("roofline", "llama", "opt", "scout", "oom", "watching", "predict")
LAST_SECONDS = 20
"""What is left for a run that is asked to stop to write its recording."""
RUN_SECONDS = 240
"""What one run may take: 256 threads warm up for minutes, and each level's step is compiled."""
START_SECONDS = 45
"""With less than this no run is begun: its libraries and its weights take as long."""


@dataclass(frozen=True)
class Run:
    """One `llamatop --record`."""

    part: str
    name: str
    options: tuple[str, ...]
    weights_gb: float = 0.0

    @property
    def room_gb(self) -> float:
        """What it may take of the device, roughly: weights, caches, its context."""
        return 1.4 * self.weights_gb + 6


@dataclass(frozen=True)
class Sizes:
    """What differs between a GPU and a first try on a CPU."""

    levels: tuple[int, ...]
    few: tuple[int, ...]
    prompts: tuple[int, ...]
    tokens: int
    level_seconds: int
    oom_prompt: int


GPU = Sizes((1, 8, 64, 256), (1, 4, 16), (64, 1024), 32, 20, 1536)
TINY = Sizes((1, 2), (1, 2), (16, 32), 4, 5, 64)


def runs(device: str, small: bool) -> list[Run]:
    """All that is recorded, in the order of what one most wants to know."""
    sizes = TINY if small else GPU

    def run(part: str, model: str, engine: str, levels: Sequence[int], *more: str) -> Run:
        slice_ = f"-{more[more.index('--layers') + 1]}-layers" if "--layers" in more else ""
        prompt = f"-{more[more.index('--prompt-toks') + 1]}" if "--prompt-toks" in more else ""
        model = SMALL_MODEL if small else model
        name = f"{part}-{model.rpartition('/')[2]}{slice_}-{engine}{prompt}"
        options = ["--model", model, "--weights", "random", "--engine", engine]
        options += ["--concurrency", *map(str, levels), "--device", device, *more]
        if "--gen-toks" not in more:
            options += ["--gen-toks", str(sizes.tokens)]
        known = find(model)
        known_gb = known.parameters * 2 / 1e9 if known and "--layers" not in more else 15.0
        return Run(part, name, tuple(options), 0.1 if small else known_gb)

    cut = ("--max-time", str(sizes.level_seconds))
    layers = ("1", "2")
    found = [run("llama", LLAMA, engine, sizes.levels, *cut) for engine in ENGINES]
    found += [run("opt", OPT, engine, sizes.levels, *cut) for engine in ENGINES[:2]]
    found += [run("scout", SCOUT, "batch", sizes.levels[:3], *cut, "--layers", n) for n in layers]
    if not (small and device == "cpu"):  # there memory ends nowhere near
        prompt = ("--prompt-toks", str(sizes.oom_prompt), "--gen-toks", "4")
        found.append(run("oom", OPT, "batch", (16,), "--until-oom", *prompt))
    for prompt_toks in sizes.prompts:
        for model in PREDICTED[:1] if small else PREDICTED:
            for engine in ENGINES[:2]:
                if model == SCOUT and engine == "continuous":
                    continue  # chunked attention is not paged
                more = ["--prompt-toks", str(prompt_toks), "--gen-toks", "8"]
                more += ["--layers", "2"] if model == SCOUT else []
                found.append(run("predict", model, engine, sizes.few, *more))
    return found


class Bench:
    """Runs what there is time for, and keeps the table up to date on the way."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._out: Path = args.out
        self._deadline = time.monotonic() + 60 * args.minutes - LAST_SECONDS
        self._notes: list[str] = []
        self._blocks: dict[str, list[str]] = {}
        self._left: list[str] = []
        self._out.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds."""
        return self._deadline - time.monotonic()

    def go(self) -> None:
        """Part after part."""
        wanted = runs(self._args.device, self._args.small)
        for part in self._args.parts:
            mine = [run for run in wanted if run.part == part]
            if part == "roofline":
                self._roofline()
            elif part == "watching":
                self._watching()
            elif part == "predict":
                self._beside(mine)
            else:
                for run in mine:
                    self._one(run)
            self._write()

    def _roofline(self) -> None:
        call = [*LLAMATOP, "roofline", "--json", "--device", self._args.device]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            self._notes.append(f"roofline: {done.stderr.strip()}")
            return
        roof = json.loads(done.stdout)
        read, best = roof["read_bytes_s"] / 1e9, roof["bandwidth_bytes_s"] / 1e9
        self._notes.append(f"{roof['device']}, torch {roof['torch']}")
        self._notes.append(f"memory: read {number(read)} GB/s, best kernel {number(best)} GB/s")
        for dtype, of in roof["dtypes"].items():
            self._notes.append(
                f"{dtype}: matrix x vector {number(of['matvec_bytes_s'] / 1e9)} GB/s, "
                f"matrix x matrix {number(of['matmul_flop_s'] / 1e12)} TFLOP/s"
            )

    def _watching(self) -> None:
        """The screen beside no screen; `watching.py` says how."""
        small = self._args.small
        script = Path(__file__).with_name("watching.py")
        call = [
            sys.executable,
            str(script),
            "--model",
            SMALL_MODEL,
            "--pairs",
            "1" if small else "3",
        ]
        call += ["--gen-toks", "8" if small else "512", "--requests", "4" if small else "32"]
        call += ["--device", self._args.device]
        if self.left < START_SECONDS:
            self._left.append("watching")
            return
        try:
            done = subprocess.run(
                call, capture_output=True, text=True, check=False, timeout=self.left
            )
        except subprocess.TimeoutExpired as over:
            self._notes.append(f"watching: cut off\n{_text(over.stdout)}")
            return
        self._notes.append(f"watching: {(done.stdout or done.stderr).strip()}")

    def _one(self, run: Run) -> None:
        if self.left < START_SECONDS:
            self._left.append(run.name)
            return
        child = self._start(run)
        until = self.left - RUN_SECONDS
        while child.poll() is None and self.left > max(until, 0):
            time.sleep(0.2)
        self._end(run, child)

    def _beside(self, wanted: list[Run]) -> None:
        """Several at a time, as the device has room: peaks are a process's own, speeds are not."""
        waiting, going = list(wanted), list[tuple[Run, subprocess.Popen[bytes]]]()
        while waiting or going:
            for run, child in [pair for pair in going if pair[1].poll() is not None]:
                going.remove((run, child))
                self._end(run, child)
            if self.left <= 0:
                for run, child in going:
                    self._end(run, child)
                self._left += [run.name for run in waiting]
                return
            room = self._args.room_gb - sum(run.room_gb for run, _ in going)
            fitting = [run for run in waiting if run.room_gb <= room or not going]
            if fitting and len(going) < self._args.beside and self.left > START_SECONDS:
                waiting.remove(fitting[0])
                going.append((fitting[0], self._start(fitting[0])))
            elif not going:
                self._left += [run.name for run in waiting]
                return
            time.sleep(0.2)

    def _start(self, run: Run) -> subprocess.Popen[bytes]:
        print(f"{run.name} ({self.left:.0f} s left)", flush=True)
        call = [*LLAMATOP, "--record", *run.options, "--out", str(self._path(run))]
        with self._path(run).with_suffix(".log").open("wb") as log:
            return subprocess.Popen(call, stdout=log, stderr=log)

    def _end(self, run: Run, child: subprocess.Popen[bytes]) -> None:
        """Let it finish its recording, and take its figures."""
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
        path = self._path(run)
        if path.exists() or path.with_name(path.name + ".journal").exists():
            self._blocks.setdefault(run.part, []).extend(rows(run, path))
        else:
            lines = path.with_suffix(".log").read_text(errors="replace").strip().splitlines()
            self._notes.append(f"{run.name}: no recording; {lines[-1] if lines else 'no output'}")
        self._write()

    def _path(self, run: Run) -> Path:
        return self._out / f"{run.name}.parquet"

    def _write(self) -> None:
        lines = [f"- {note}" for note in self._notes]
        for part, block in self._blocks.items():
            lines += ["", f"## {part}", "", *HEAD, *block]
        if self._left:
            lines += ["", "Not run, for want of time: " + ", ".join(self._left)]
        partial = self._out / "table.tmp"
        partial.write_text("\n".join([*lines, ""]), encoding="utf-8")
        partial.replace(self._out / "table.md")


HEAD = (
    "| run | C | outcome | requests | tok/s | TTFT p50 | ITL p50 | peak | predicted | error "
    "| MBU | MFU | held back by |",
    "| --- | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |",
)


def rows(run: Run, path: Path) -> Iterator[str]:
    """A line of the table for each level of a recording."""
    call = [*LLAMATOP, "replay", str(path), "--json"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"| {run.name} | | {done.stderr.strip()} |"
        return
    for level in json.loads(done.stdout)["levels"]:
        alone = run.part != "predict"
        yield "| " + " | ".join([run.name, *_cells(level, alone)]) + " |"


def _cells(level: dict[str, Any], alone: bool) -> list[str]:
    """`alone`: nothing ran beside it, so its speeds mean something."""
    where = "device_bytes" if level["peak_memory"]["device_bytes"] is not None else "host_bytes"
    found, said = level["peak_memory"][where], level["predicted_memory"][where]
    speeds = [number(level["output_tok_s"]), _ms(level["ttft_s"]), _ms(level["itl_s"])]
    shares = [percent(level["mbu"]), percent(level["mfu"]), level["held_back_by"] or ""]
    return [
        str(level["concurrency"]),
        level["outcome"],
        f"{level['completed']}/{level['requests']}",
        *(speeds if alone else [""] * 3),
        size(found),
        size(said),
        f"{said / found - 1:+.2%}" if said and found else "",
        *(shares if alone else [""] * 3),
    ]


def _ms(spread: dict[str, float | None]) -> str:
    return "" if spread["p50"] is None else f"{spread['p50'] * 1e3:.1f} ms"


def _text(output: bytes | str | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def main() -> int:
    """Measure until done or out of time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the way")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--beside", type=int, default=6, help="predicted runs at a time")
    parser.add_argument("--room-gb", type=float, default=76, help="of the device, for these")
    args = parser.parse_args()
    Bench(args).go()
    print((args.out / "table.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
