"""What was done to an engine to be quicker, in words: how weights lie, what was compiled."""

from __future__ import annotations

from llamatop.events.kinds import EngineCompiled, EngineTuned
from llamatop.text.formatting import duration, number


def tuned_words(tuned: EngineTuned) -> str:
    """In one line."""
    if tuned.layout != "packed":
        return f"weights stay as transformers has them: {tuned.reason}"
    gains = ", ".join(f"{number(gain)} x at {requests}" for requests, gain in tuned.gains)
    parts = [
        f"{tuned.packed} of {tuned.layers} linear layers laid out for this processor",
        f"a step is quicker by {gains}" if gains else "",
        f"packed in {duration(tuned.packing_seconds)}",
        tuned.reason,
    ]
    return "; ".join(filter(None, parts))


def tuned_parts(tuned: EngineTuned) -> list[str]:
    """The same in short parts, the most important first."""
    if tuned.layout != "packed":
        return ["plain weights", tuned.reason]
    return [
        "weights laid out",
        *(f"{number(gain)} x at {requests}" for requests, gain in tuned.gains),
        f"{tuned.packed} of {tuned.layers} layers",
    ]


def compiled_words(told: EngineCompiled) -> str:
    """In one line."""
    if told.reason:
        return f"goes on uncompiled: {told.reason}"
    size = f"a step for {told.requests} at once, up to {told.tokens} tokens each"
    if told.seconds is None:
        return f"compiling {size}"
    return f"compiled {size}, in {duration(told.seconds)}"
