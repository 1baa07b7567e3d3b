"""A child that answers one question, and what becomes of it when nobody waits any more."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ASK = (
    "import sys; from llamatop.predict.child import ask; "
    "ask('tests.predict.sleeper', sys.argv[1], str)"
)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def over(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", ASK, str(path)])
    until(path.exists)
    child = psutil.Process(int(path.read_text()))
    parent.kill()
    parent.wait()
    try:
        until(lambda: over(child))
    finally:
        if not over(child):
            child.kill()
