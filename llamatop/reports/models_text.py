"""The list of what can be run here, as a table and as one JSON object, each with what it needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llamatop.reports.fit import Fit
from llamatop.reports.models import GGUF, RUN_BY, Choice
from llamatop.settings.config import RunConfig
from llamatop.text.cells import cells, padded
from llamatop.text.formatting import UNKNOWN, count, size

Row = tuple[Choice, Fit]


def models_json(rows: Sequence[Row]) -> str:
    """All choices; sizes in bytes, None where they are not known."""
    return json.dumps({"schema": 1, "models": [_object(*row) for row in rows]}, indent=1)


def models_table(rows: Sequence[Row], config: RunConfig) -> str:
    """All choices for a person to read, and for what run it is that they fit."""
    widest = max(cells(choice.model) for choice, _ in rows)
    head = (
        f"{'model':<{widest}} {'params':>7} {'weights':>8} {'context':>10} {'needs':>8}  "
        f"{'fit':<12}  source"
    )
    lines = [
        f"{padded(choice.model, widest)} {count(choice.parameters):>7} "
        f"{size(choice.weights_bytes):>8} {_tokens(choice.context):>10} {size(fit.needed):>8}  "
        f"{fit.verdict:<12}  {choice.source}"
        for choice, fit in rows
    ]
    gguf = any(choice.source == GGUF for choice, _ in rows)
    shape = f"{config.prompt_toks} tokens in, {config.gen_toks} out"
    known = next((fit.available for _, fit in rows if fit.available is not None), None)
    return "\n".join(
        [
            head,
            *lines,
            "",
            f"fit: one request, {shape}, in the {size(known)} available; see also: llamatop check",
            "built-in: the architecture, with --weights random or downloaded when it is run",
            *(["gguf: " + RUN_BY.format(model="FILE")] if gguf else []),
        ]
    )


def _object(choice: Choice, fit: Fit) -> dict[str, Any]:
    return {
        **asdict(choice),
        "verdict": None if fit.verdict == "unknown" else fit.verdict,
        "needed_bytes": fit.needed,
        "available_bytes": fit.available,
        "estimated": fit.estimated,
    }


def _tokens(context: int | None) -> str:
    return UNKNOWN if context is None else f"{context:,}"
