"""The command line that does what the start screen shows, so that people learn it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from llamatop.events.sanitize import one_line
from llamatop.settings.config import (
    RunConfig,
    arrival_options,
    lengths_options,
    server_options,
    shared_options,
)
from llamatop.tui.drawing.lines import width_of


def run_command(config: RunConfig) -> list[str]:
    """`llamatop` and its options, each with its values, as the screen's run needs them."""
    plain, served = RunConfig(), server_options(config)
    parts = ["llamatop"]
    for option, value, usual in (
        *((option, _words(option, value), usual) for option, value, usual in served),
        ("--model", _quoted(config.model) if config.model else "", ""),
        ("--weights", config.weights, plain.weights),
        ("--layers", config.layers, None),
        ("--concurrency", " ".join(map(str, config.concurrency)), ""),
        *((option, _quoted(value), None) for option, value, _ in lengths_options(config)),
        ("--requests", config.requests, None),
        ("--engine", plain.engine if config.urls else config.engine, plain.engine),
        ("--dtype", config.dtype, plain.dtype),
        ("--device", config.device, plain.device),
        ("--quantize", config.quantize, plain.quantize),
        ("--offload", config.offload, plain.offload),
        ("--tp", config.tp, plain.tp),
        *shared_options(config),
        *arrival_options(config),
        ("--max-time", config.max_time, None),
        ("--until-ci", config.until_ci, None),
        ("--slo", _slo(config.slo), ""),
        ("--memory", config.memory, None),
        ("--seed", config.seed, plain.seed),
    ):
        if value != usual:
            parts.append(f"{option} {value}")
    if config.until_slo:
        parts += [
            "--until-slo",
            *([] if config.share == plain.share else [f"--share {config.share:g}"]),
        ]
    flags = {"--no-tuning": not config.tuning, "--until-oom": config.until_oom}
    return [*parts, *(flag for flag, given in flags.items() if given)]


def replay_command(path: str) -> list[str]:
    """The command that opens a recording."""
    return ["llamatop replay", _quoted(path)]


def compare_command(paths: Sequence[str]) -> list[str]:
    """The command that sets recordings side by side."""
    return ["llamatop compare", *(_quoted(path) for path in paths), "--tui"]


def _words(option: str, text: str | None) -> str | None:
    """A value as a shell takes it: only addresses are several."""
    if text is None or option != "--url":
        return _quoted(text) if text else text
    return " ".join(map(_quoted, text.split()))


def _slo(targets: dict[str, float]) -> str:
    return ",".join(f"{name}={seconds:g}" for name, seconds in targets.items())


def _quoted(text: str) -> str:
    """As a shell takes it; a name that begins with a dash as a path."""
    return shlex.quote(one_line(f"./{text}" if text.startswith("-") else text))


def wrapped(parts: Sequence[str], width: int) -> list[str]:
    """The command in lines of at most `width` cells where its parts allow, continued with `\\`."""
    lines: list[str] = []
    line = ""
    for part in parts:
        longer = f"{line} {part}" if line else part
        if line and width_of(longer) > width - 2:
            lines.append(f"{line} \\")
            longer = f"  {part}"
        line = longer
    return [*lines, line]
