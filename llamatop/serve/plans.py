"""What is started for `--serve`: a command as it was typed, or a short name's."""

from __future__ import annotations

import shutil
import socket

from llamatop.errors import InputError
from llamatop.serve.command import Plan, filled, split
from llamatop.serve.ready import HOST
from llamatop.settings.config import RunConfig


def plan_for(config: RunConfig) -> Plan:
    """The command of a run's server, on a free port of this machine. Raises InputError."""
    port = free_port()
    parts = split(config.serve or "")
    plan = Plan(filled(parts, model_path(config.model), port), port, model_path(config.model))
    if shutil.which(plan.arguments[0]) is None:
        raise InputError(
            f"--serve: there is no program {plan.arguments[0]} here; install it, or correct the "
            "command"
        )
    return plan


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def model_path(model: str) -> str:
    """What another program takes for a model: the bundled one is a folder here."""
    from llamatop.catalog import demo_folder  # noqa: PLC0415

    return str(demo_folder()) if model == "demo" else model
