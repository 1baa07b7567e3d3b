"""What lies between client and server, as JSON and in words. Computes no figure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llamatop.figures.between import FirstToken, Told
from llamatop.figures.cost import per_million
from llamatop.text.formatting import duration, number, percent, whole

if TYPE_CHECKING:
    from llamatop.figures.levels import LevelFigures

SHARED = "the server's own times are of others' requests too"
"""Said where they exceed what ours took, and so tell nothing of ours."""

NAMES = {
    "held": "held",
    "late": "sent late",
    "connect": "connect",
    "queue": "queue",
    "prefill": "prefill",
    "rest": "rest",
}
"""Parts of the time to the first token in words, in order of time."""

_SHOWN = 0.0001
"""Seconds below which the client's own parts are not worth a word."""


def between_json(figures: LevelFigures, price: float | None) -> dict[str, Any]:
    """What a level on servers has more: means in seconds, and what the servers told."""
    if figures.served is None:
        return {}
    first, told = figures.first_token, figures.told
    return {
        "ttft_parts_s": None if first is None else {**first.parts(), "shared": first.shared},
        "by_server": None if told is None else _told_json(told),
        "cost_per_million_tokens": per_million(price, figures.output_rate),
    }


def _told_json(told: Told) -> dict[str, float | None]:
    values = asdict(told)
    return {
        "generation_tok_s": values["generation_rate"],
        "running_mean": values["running"],
        "waiting_max": values["waiting"],
        "kv_usage_max": values["kv_usage"],
        "preempted": values["preempted"],
    }


def between_rows(figures: LevelFigures, price: float | None) -> list[tuple[str, str]]:
    """The same in words, a name and a value each; only what is known."""
    rows = []
    if figures.first_token is not None:
        rows.append(("TTFT, mean", first_token_words(figures.first_token)))
    if figures.told is not None and (words := told_words(figures.told)):
        rows.append(("the server told", words))
    cost = per_million(price, figures.output_rate)
    if cost is not None:
        rows.append(("cost", f"{number(cost)} per million tokens"))
    return rows


def first_token_words(first: FirstToken) -> str:
    """`520 ms = queue 401 ms + prefill 110 ms + rest 8.2 ms`."""
    parts = [
        f"{NAMES[name]} {duration(seconds)}"
        for name, seconds in first.parts().items()
        if seconds is not None and (seconds >= _SHOWN or name in ("queue", "prefill"))
    ]
    told = f"{duration(first.ttft)} = {' + '.join(parts)}"
    return f"{told}; {SHARED}" if first.shared else told


def told_words(told: Told) -> str:
    """What servers told of a stretch."""
    parts = [
        (told.generation_rate, f"{number(told.generation_rate)} tok/s"),
        (told.running, f"{number(told.running)} running"),
        (told.waiting, f"{whole(told.waiting)} waiting at most"),
        (told.kv_usage, f"KV cache {percent(told.kv_usage)} at most"),
        (told.preempted or None, f"{whole(told.preempted)} preempted"),
    ]
    return ", ".join(words for value, words in parts if value is not None)
