"""What works here and what does not: versions, devices, memory counters, terminal, the Hub.

Imports none of the libraries it names and asks no network; says of a token only whether it is set.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llamatop import __version__
from llamatop.hardware import nvidia
from llamatop.hardware.host import host_facts, memory
from llamatop.hardware.memory import oom_kills, peak_bytes, reset_peak
from llamatop.hardware.processor import FASTER, SLOW_BFLOAT16, cpu_has_bfloat16
from llamatop.recording.default_path import default_path
from llamatop.text.formatting import size

_LIBRARIES = ("torch", "transformers", "accelerate", "textual", "polars", "huggingface-hub")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    works: bool
    detail: str


def findings() -> list[Finding]:
    """Everything that was looked at, in the order in which a person would ask."""
    looks: tuple[Callable[[], list[Finding]], ...] = (
        _versions,
        _machine,
        _devices,
        _counters,
        _folders,
        _hub,
        _terminal,
    )
    return [finding for look in looks for finding in look()]


def doctor_json() -> dict[str, object]:
    """The findings as one JSON object."""
    return {"schema": 1, "findings": [asdict(finding) for finding in findings()]}


def doctor_table() -> str:
    """The findings for a person to read."""
    return "\n".join(
        f"{'ok' if finding.works else '--'}  {finding.what:<18} {finding.detail}"
        for finding in findings()
    )


def _versions() -> list[Finding]:
    ours = Finding("llamatop", True, f"{__version__}, Python {platform.python_version()}")
    return [ours, *map(_library, _LIBRARIES)]


def _library(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed")


def _machine() -> list[Finding]:
    facts, now = host_facts(), memory()
    return [
        Finding("machine", True, f"{facts.system}, {facts.cores} cores, {facts.cpu}"),
        Finding("bfloat16", True, _bfloat16()),
        Finding("memory", True, f"{size(now.available)} available of {size(now.total)}"),
    ]


def _bfloat16() -> str:
    known = cpu_has_bfloat16()
    if known is None:
        return "N/A: this system does not say whether the processor computes it"
    if known:
        return "the processor computes it itself"
    return f"{SLOW_BFLOAT16}; {FASTER}"


def _devices() -> list[Finding]:
    nvml = nvidia.open_nvml()
    devices = [] if nvml is None else nvidia.sample(nvml, 0)
    if not devices:
        return [Finding("NVIDIA devices", False, "none that NVML tells of")]
    return [
        Finding(f"device {one.device}", True, f"{one.name}, {size(one.total_bytes)}")
        for one in devices
    ]


def _counters() -> list[Finding]:
    peaks = reset_peak() and peak_bytes() is not None
    detail = "of each level, by the kernel" if peaks else "by samples: the kernel counts none"
    kills = oom_kills() is not None
    return [
        Finding("memory peaks", peaks, detail),
        Finding("out-of-memory", kills, "told apart" if kills else "cannot be told from a kill"),
    ]


def _folders() -> list[Finding]:
    folder = default_path("x").parent
    existing = next(
        place for place in (folder, *folder.absolute().parents) if os.access(place, os.F_OK)
    )
    works = os.access(existing, os.W_OK)
    free = shutil.disk_usage(existing).free
    return [Finding("recordings", works, f"{folder}, {size(free)} free")]


def _hub() -> list[Finding]:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    token = "HF_TOKEN" in os.environ or os.access(home / "token", os.R_OK)
    detail = "a token is set" if token else "no token: gated models need `hf auth login`"
    return [Finding("Hugging Face", token, detail)]


def _terminal() -> list[Finding]:
    columns, rows = shutil.get_terminal_size()
    term, colours = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "")
    encoding = locale.getpreferredencoding(False)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    return [
        Finding("terminal", interactive and term != "dumb", f"TERM={term} {columns}x{rows}"),
        Finding("colours", colours in ("truecolor", "24bit"), colours or "256 or fewer"),
        Finding("UTF-8", encoding.lower().replace("-", "") == "utf8", encoding),
    ]
