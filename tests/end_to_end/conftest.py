"""The program itself, as a person starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LLAMATOP = (sys.executable, "-m", "llamatop")


@dataclass(frozen=True)
class Done:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


class Llamatop:
    """Runs llamatop in an empty folder, without a network's help."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "HF_HOME": str(folder / "hf"),
            "XDG_DATA_HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "LLAMATOP_CACHE": str(cache),
        }

    def __call__(self, *arguments: str, **env: str) -> Done:
        done = subprocess.run(
            [*LLAMATOP, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Started and left running."""
        return subprocess.Popen(
            [*LLAMATOP, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def llamatop(tmp_path: Path, of_all_workers: Path) -> Llamatop:
    """What one call has learnt of this machine the next knows, also another worker's."""
    return Llamatop(tmp_path, of_all_workers / "learnt")
