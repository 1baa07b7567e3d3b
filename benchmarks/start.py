"""How quickly llamatop is there: `--help` beside bare Python, first paint beside bare Textual.

Each is started by turns, several times, and the best of each is compared: what else the machine
does can only slow a start down. All find their modules compiled, as an installation has them.

    python benchmarks/start.py --rounds 9
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import pexpect

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
    rounds = parser.parse_args().rounds
    turns = {
        "python -c pass": lambda: ended("-c", "pass"),
        "llamatop --help": lambda: ended("-m", "llamatop", "--help"),
        "Textual hello world": lambda: painted("hello, world", "-c", HELLO),
        "llamatop, start screen": lambda: painted("choose what to run", "-m", "llamatop"),
        "llamatop --model demo": lambda: painted(
            "Throughput", "-m", "llamatop", "--model", "demo", "--no-save"
        ),
    }
    for turn in turns.values():
        turn()  # what is not compiled yet is now
    best = dict.fromkeys(turns, float("inf"))
    for _ in range(rounds):
        for name, turn in turns.items():
            best[name] = min(best[name], turn())
    base = {"llamatop --help": "python -c pass"}
    for name, seconds in best.items():
        beside = base.get(name, "Textual hello world" if "llamatop" in name else name)
        print(f"{name:<24} {seconds * 1000:7.0f} ms   {seconds / best[beside]:.2f} x {beside}")


if __name__ == "__main__":
    main()
