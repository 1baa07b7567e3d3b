"""A child that answers one question, and what becomes of it when nobody waits any more."""

import subprocess
import sys
from pathlib import Path

import psutil

from tests.waiting import gone, until

ASK = (
    "import sys; from llamatop.predict.child import ask; "
    "ask('tests.predict.sleeper', sys.argv[1], str)"
)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", ASK, str(path)])
    until(path.exists)
    child = psutil.Process(int(path.read_text()))
    parent.kill()
    parent.wait()
    try:
        until(lambda: gone(child))
    finally:
        if not gone(child):
            child.kill()
