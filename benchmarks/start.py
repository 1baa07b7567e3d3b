"""How quickly llamatop is there: `--help` beside bare Python, first paint beside bare Textual.

Each is started by turns, several times, and the best of each is compared: what else the machine
does can only slow a start down. All find their modules compiled, as an installation has them.

    python benchmarks/start.py --rounds 9
    python benchmarks/start.py --peers .peers      # `--help` of nvitop, AIPerf and guidellm too

With `--peers` these are installed first, each into an environment of its own in that folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
from peers import environment

HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("hello, world")
Hello().run()
"""


ENV = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def ended(*arguments: str) -> float:
    """Seconds until a program has ended."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=ENV)
    return time.perf_counter() - began


def helped(program: Path) -> float:
    """Seconds until another program has printed its `--help`."""
    began = time.perf_counter()
    subprocess.run([program, "--help"], check=True, capture_output=True, env=ENV)
    return time.perf_counter() - began


def peers(folder: Path) -> dict[str, Callable[[], float]]:
    """A turn of each."""
    programs = {name: environment(folder, name) / name for name in ("nvitop", "aiperf", "guidellm")}
    return {f"{name} --help": lambda at=at: helped(at) for name, at in programs.items()}


def painted(text: str, *arguments: str) -> float:
    """Seconds until a program has shown `text` in a pseudo-terminal."""
    began = time.perf_counter()
    child = pexpect.spawn(
        sys.executable, list(arguments), dimensions=(36, 120), encoding="utf-8", env=ENV
    )
    child.expect_exact(text, timeout=30)
    seconds = time.perf_counter() - began
    child.close(force=True)
    return seconds


def main() -> None:
    """Print the best of each, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="other tools too, from here")
    args = parser.parse_args()
    turns: dict[str, Callable[[], float]] = {
        "python -c pass": lambda: ended("-c", "pass"),
        "llamatop --help": lambda: ended("-m", "llamatop", "--help"),
        "Textual hello world": lambda: painted("hello, world", "-c", HELLO),
        "llamatop, start screen": lambda: painted("choose what to run", "-m", "llamatop"),
        "llamatop --model demo": lambda: painted(
            "Throughput", "-m", "llamatop", "--model", "demo", "--no-save"
        ),
    }
    if args.peers:
        turns |= peers(args.peers.absolute())
    for turn in turns.values():
        turn()  # what is not compiled yet is now
    best = dict.fromkeys(turns, float("inf"))
    for _ in range(args.rounds):
        for name, turn in turns.items():
            best[name] = min(best[name], turn())
    for name, seconds in best.items():
        drawn = name.startswith("llamatop") and not name.endswith("--help")
        beside = "Textual hello world" if drawn or name.startswith("Textual") else "python -c pass"
        print(f"{name:<24} {seconds * 1000:7.0f} ms   {seconds / best[beside]:.2f} x {beside}")


if __name__ == "__main__":
    main()
