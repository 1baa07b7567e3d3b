"""What is said of a run that is slower than it need be. From its events alone."""

from __future__ import annotations

from llamatop.hardware.processor import FASTER, SLOW_BFLOAT16
from llamatop.session.reducer import Session


def slow_dtype(session: Session) -> str:
    """Nobody asked for bfloat16, and the processor does not compute it itself; else empty."""
    model, started = session.model, session.started
    if model is None or started is None or started.config.dtype != "auto":
        return ""
    slow = model.device == "cpu" and model.dtype == "bfloat16" and started.host.bfloat16 is False
    return f"{SLOW_BFLOAT16}; --dtype {FASTER}" if slow else ""
