"""What tuning chose, in words: how the weights lie, and what that gains."""

from __future__ import annotations

from llamatop.events.kinds import EngineTuned
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
