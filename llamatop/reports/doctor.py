"""What works here and what does not: versions, devices, memory counters, terminal, the Hub.

It is what a bug report needs, so it tells no secret and no person: of a token only whether it is
set, of folders nothing above the home folder. Imports none of the libraries it names and asks no
network.
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

_ENGINES = ("torch", "transformers", "accelerate")
_LIBRARIES = (*_ENGINES, "tokenizers", "safetensors", "huggingface-hub", "textual", "textual-serve",
              "polars", "numpy", "msgspec", "aiohttp", "psutil", "nvidia-ml-py")  # fmt: skip
_OPTIONAL = ("bitsandbytes", "xllamacpp", "gguf", "uvloop")
"""What some options need; its absence is no fault."""

_SAYING = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE",
           "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "NO_COLOR")  # fmt: skip
"""Variables that change what a run does, told with their values."""
_SET = ("HF_HOME", "HF_ENDPOINT", "LLAMATOP_MODELS", "LLAMATOP_SERVERS", "LLAMATOP_CACHE",
        "SSL_CERT_FILE", "HTTPS_PROXY", "PYTHONPATH", "LD_PRELOAD")  # fmt: skip
"""Others, whose values may be personal: only that they are set."""


_PACKAGE = Path(__file__).parents[1]
_REPOSITORY = _PACKAGE.parent


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
        _inside,
        _machine,
        _devices,
        _counters,
        _folders,
        _hub,
        _variables,
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
    python = f"{platform.python_implementation()} {platform.python_version()}"
    ours = Finding("llamatop", True, f"{__version__}, {_installed()}, {python}")
    there = (one for one in map(_library, _OPTIONAL) if one.works)
    return [ours, *map(_library, _LIBRARIES), *there]


def _installed() -> str:
    """How this llamatop came here."""
    where = "a checkout" if _REPOSITORY.joinpath("pyproject.toml").is_file() else "a wheel"
    return f"from {where}"


def _inside() -> list[Finding]:
    """What comes along: as many themes, samples and parts of the model as are found."""
    themes = len(list(_shipped("themes", "themes").glob("*.toml")))
    samples = len(list(_shipped("samples", "recordings/samples").glob("*.parquet")))
    model = _PACKAGE.joinpath("catalog/demo/model.safetensors").is_file()
    told = f"{themes} themes, {samples} samples, {'the' if model else 'no'} demo model"
    return [Finding("inside", bool(themes and samples and model), told)]


def _shipped(installed: str, checkout: str) -> Path:
    folder = _PACKAGE / installed
    return folder if folder.is_dir() else _REPOSITORY / checkout


def _library(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed")


def _machine() -> list[Finding]:
    facts, now = host_facts(), memory()
    return [
        Finding("machine", True, f"{facts.system}, {facts.cores} cores, {facts.cpu}"),
        Finding("platform", True, f"{platform.machine()}, {_libc()}"),
        Finding("bfloat16", True, _bfloat16()),
        Finding("memory", True, f"{size(now.available)} available of {size(now.total)}"),
    ]


def _libc() -> str:
    name, number = platform.libc_ver()
    return f"{name} {number}" if name else "its C library is not known"


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
    return [Finding("recordings", works, f"{_homely(folder)}, {size(free)} free")]


def _homely(path: Path) -> str:
    """A folder without whose it is."""
    absolute, home = path.absolute(), Path.home()
    if absolute.is_relative_to(home):
        return str(Path("~", absolute.relative_to(home)))
    return path.name if path.is_absolute() else str(path)


def _variables() -> list[Finding]:
    told = [f"{name}={os.environ[name]}" for name in _SAYING if name in os.environ]
    told += [f"{name} is set" for name in _SET if name in os.environ]
    return [Finding("variables", True, ", ".join(told) or "none that change what a run does")]


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
        Finding("terminal", interactive and term != "dumb", f"TERM={term} {columns}x{rows}{_by()}"),
        Finding("colours", colours in ("truecolor", "24bit"), colours or "256 or fewer"),
        Finding("UTF-8", encoding.lower().replace("-", "") == "utf8", encoding),
    ]


def _by() -> str:
    """What draws it, as far as it says so."""
    program = os.environ.get("TERM_PROGRAM", "")
    within = [name for name in ("TMUX", "STY", "SSH_CONNECTION") if name in os.environ]
    return "".join(f", {one}" for one in (program, *map(str.lower, within)) if one)
