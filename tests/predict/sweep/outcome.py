"""What became of each type: right, told to be unknown, refused, or wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Row = dict[str, Any]

HARD_SECONDS = 600
"""After so long without a word a worker is ended; it gives each type a share of its own."""
WORKERS = 2
_ROOT = Path(__file__).parents[3]


def sweep(kinds: list[str]) -> list[Row]:
    """A row for each type, in order: two processes, each for half of them, begun again if lost."""
    halves = [kinds[n::WORKERS] for n in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        rows = [row for half in pool.map(lambda half: list(_batch(half)), halves) for row in half]
    return sorted(rows, key=lambda row: kinds.index(row["type"]))


def _batch(kinds: list[str]) -> Iterator[Row]:
    while kinds:
        done = list(_worker(kinds))
        yield from done
        kinds = kinds[len(done) :]
        if kinds:
            yield {"type": kinds.pop(0), "note": "its process ended"}


def _worker(kinds: list[str]) -> Iterator[Row]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.predict.sweep.worker", *kinds],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"},
    )
    assert process.stdout is not None
    timer = threading.Timer(HARD_SECONDS, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            timer.cancel()
            timer = threading.Timer(HARD_SECONDS, process.kill)
            timer.start()
            yield json.loads(line)
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def outcome(row: Row) -> str:  # noqa: PLR0911
    """`right`, `unknown` (null, with the reason), `refused`, `untested`, else what is wrong."""
    if "raised" in row:
        return f"raises {row['raised']}"
    if "refused" in row:
        return "refused" if is_line(row["refused"]) else f"no line: {row['refused']}"
    if "told_parameters" not in row:
        return "untested"
    if "parameters" in row and row["told_parameters"] != row["parameters"]:
        return f"parameters {row['told_parameters']}, really {row['parameters']}"
    if reason := row["unknown"].get("kv_bytes_per_token"):
        return "unknown" if is_line(reason) else f"no line: {reason}"
    if "kv" not in row:
        return "untested"
    for told, really in (("told_kv", "kv"), ("told_beyond", "beyond")):
        if row[told] != row.get(really):
            return f"{really} {row[told]}, really {row.get(really)}"
    return "right"


def is_line(text: str) -> bool:
    """One line that ends as one, and not in the name of what Python raised."""
    ended = text.rstrip(" .:…")
    return "\n" not in text and bool(ended) and not re.search(r"\w*(Error|Iteration):?$", ended)


def table(rows: list[Row], version: str) -> str:
    """For the docs: how many of each, and those that are not right by name."""
    named: dict[str, list[str]] = {}
    for row in rows:
        named.setdefault(outcome(row), []).append(row["type"])
    count = Counter(outcome(row) for row in rows)
    lines = [f"transformers {version}, {len(rows)} types:", "", "| outcome | types | which |"]
    lines.append("| --- | --: | --- |")
    for kind, number in count.most_common():
        which = "all others" if kind == "right" else ", ".join(f"`{one}`" for one in named[kind])
        lines.append(f"| {kind} | {number} | {which} |")
    return "\n".join(lines)
