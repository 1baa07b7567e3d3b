"""What is started for `--serve`: a short name's command, or one as it was typed."""

from __future__ import annotations

import shutil
import socket

from llamatop.catalog import demo_folder
from llamatop.errors import InputError
from llamatop.serve.command import MODEL, Plan, filled, split
from llamatop.serve.names import NAMES, wanted
from llamatop.serve.ready import HOST
from llamatop.settings.config import RunConfig


def plan_for(config: RunConfig) -> Plan:
    """The command of a run's server, on a free port of this machine. Raises InputError."""
    port, text = free_port(), config.serve or ""
    if text.strip() in NAMES:
        return NAMES[text.strip()](wanted(config, port))
    parts, model = split(text), model_path(config.model)
    named = any(MODEL in part for part in parts)
    plan = Plan(filled(parts, model, port), port, model, foretold=named)
    if shutil.which(plan.arguments[0]) is None:
        raise InputError(
            f"--serve: there is no program {plan.arguments[0]} here; install it, correct the "
            f"command, or use a short name: {', '.join(NAMES)}"
        )
    return plan


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def model_path(model: str) -> str:
    """What another program takes for a model: the bundled one is a folder here."""
    return str(demo_folder()) if model == "demo" else model
