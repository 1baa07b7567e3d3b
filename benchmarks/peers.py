"""Other tools, each in a virtual environment of its own, made where it is not there yet.

Pinned, so that a figure says of what version it is. Knows nothing of what is measured.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINNED = {
    "nvitop": ["nvitop==1.7.2"],
    "aiperf": ["aiperf==0.13.0"],
    "guidellm": ["guidellm==0.8.1", "torch==2.13.0"],
    "hf-mem": ["hf-mem==0.5.6"],
}


def environment(folder: Path, name: str) -> Path:
    """The folder with the programs of a tool's environment; pip's own words where it fails."""
    place = folder / name
    if not (place / "ready").exists():
        print(f"installing {PINNED[name][0]} into {place}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", *PINNED[name]]
        subprocess.run(pip, check=True)
        (place / "ready").touch()
    return place / "bin"
