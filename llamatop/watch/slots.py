"""What llama.cpp's `/slots` and Ollama's `/api/ps` say, as facts. Knows no socket and no clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llamatop.events.kinds import SlotFacts


def slots_of(told: Any) -> list[SlotFacts]:
    """The slots of a page of `/slots`; those that make no sense are left out."""
    if not isinstance(told, list):
        return []
    return [_slot(one) for one in told if isinstance(one, dict) and _whole(one.get("id"))]


def _slot(told: dict[str, Any]) -> SlotFacts:
    """A slot that was never used tells its number and context only."""
    following = told.get("next_token")
    following = following[0] if isinstance(following, list) and following else following
    following = following if isinstance(following, dict) else {}
    remaining = _number(following.get("n_remain"))
    return SlotFacts(
        id=told["id"],
        busy=told.get("is_processing") is True,
        task=_number(told.get("id_task")),
        held=_number(told.get("n_prompt_tokens")),
        prompt=_number(told.get("n_prompt_tokens_processed")),
        cached=_number(told.get("n_prompt_tokens_cache")),
        decoded=_number(following.get("n_decoded")),
        remaining=remaining if remaining is not None and remaining >= 0 else None,
        context=_number(told.get("n_ctx")),
    )


def changed(slots: Iterable[SlotFacts], before: dict[int, SlotFacts]) -> tuple[SlotFacts, ...]:
    """Those that differ from before."""
    return tuple(slot for slot in slots if before.get(slot.id) != slot)


def loaded_of(told: Any) -> dict[str, dict[str, float]]:
    """The models of a page of `/api/ps`: by name, what each takes, in bytes."""
    models = told.get("models") if isinstance(told, dict) else None
    models = models if isinstance(models, list) else []
    return {
        str(one["name"]): _sizes(one) for one in models if isinstance(one, dict) and "name" in one
    }


def _sizes(told: dict[str, Any]) -> dict[str, float]:
    names = (("ollama:size_bytes", "size"), ("ollama:size_vram_bytes", "size_vram"))
    sizes = {name: _number(told.get(field)) for name, field in names}
    return {name: float(size) for name, size in sizes.items() if size is not None}


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
