"""Names and removes the temporary folders of offloaded weights; knows no engine and no model.

An engine's process is killed when its run ends, so it is the parent that removes its folder.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path

PREFIX = "llamatop-offload-"


def prefix(pid: int) -> str:
    """Of the folder's name of the engine in that process of this machine."""
    return f"{PREFIX}{platform.node()}-{pid}-"


def remove(pid: int) -> None:
    """Remove the folder of an engine that has ended, if it had one."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix(pid)}*"):
        shutil.rmtree(folder, ignore_errors=True)
