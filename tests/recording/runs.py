"""Events to record: a scripted run, and strategies for every kind."""

from __future__ import annotations

import builtins
import typing

import msgspec
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    KINDS,
    AdmissionPaused,
    DeviceAllocated,
    DeviceSampled,
    EngineCompiled,
    EngineTuned,
    Event,
    HostFacts,
    HostSampled,
    LevelEnded,
    LevelStarted,
    MachineMeasured,
    MemoryPredicted,
    ModelLoaded,
    ModelLoading,
    ModelTraced,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
    RunStarted,
    Tick,
    TokensEmitted,
)
from llamatop.settings.config import RunConfig


def started(model: str = "demo") -> RunStarted:
    host = HostFacts("Linux", "a cpu", 2, None, "3.11")
    return RunStarted(0, RunConfig(model=model), host, "0.1.0", "2026-11-23T00:00:00Z", 7)


def loaded(**changes: object) -> ModelLoaded:
    facts = ModelLoaded(
        time=SECOND,
        engine="scripted",
        engine_reason="",
        device="cpu",
        device_name="a cpu",
        dtype="float32",
        weights="trained",
        parameters=4_000_000,
        weights_bytes=16_000_000,
        versions={"torch": "2.13.0"},
    )
    return msgspec.structs.replace(facts, **changes)


def request(id: int, start: int, tokens: int, level: int = 0) -> list[Event]:
    """A whole request: one token a millisecond."""
    return [
        RequestQueued(start, id, level, 128, tokens),
        RequestAdmitted(start + 1000, id, level),
        *(TokensEmitted(start + 10**6 * (n + 1), id, 1, f"w{n} ") for n in range(tokens)),
        RequestFinished(start + 10**6 * (tokens + 1), id, "length"),
    ]


def run(requests: int = 8, tokens: int = 16) -> list[Event]:
    """A run from its start to its end, with something of nearly everything in it."""
    events: list[Event] = [
        started(),
        MachineMeasured(1, "cpu", "float32", 4.5e10, 1.8e11),
        ModelLoading(2, "weights", 5, None),
        loaded(),
        EngineTuned(
            time=2,
            layout="packed",
            packed=3,
            layers=4,
            gains=((2, 1.5),),
            measuring_seconds=0.1,
            packing_seconds=0.2,
        ),
        EngineCompiled(2, 2, 192, 1.5, ""),
        ModelTraced(
            time=3,
            parameters=9,
            active_parameters=9,
            read_bytes=16,
            expert_bytes=0,
            experts=0,
            experts_per_token=0,
            attention_width=64,
            caches=((128, None), (64, 4096)),
            kv_bytes_per_token=192,
        ),
        MemoryPredicted(SECOND, 0, 900, None, {"weights": 16_000_000}),
        LevelStarted(SECOND, 0, 2, requests),
    ]
    for id in range(requests):
        begin = 2 * SECOND + id * SECOND // 10
        events += request(id, begin, tokens)
        events += [HostSampled(begin, 1, 2, 3, (0.5, 99.9)), Tick(begin + SECOND // 20)]
    events += [
        RequestQueued(3 * SECOND, requests, 0, 128, 4),
        RequestFailed(3 * SECOND, requests, "no memory"),
        RequestQueued(3 * SECOND, requests + 1, 0, 128, 4),
        RequestCancelled(3 * SECOND, requests + 1),
        DeviceSampled(3 * SECOND, 0, "a gpu", utilization=12.5, throttle=("sw_power_cap",)),
        DeviceAllocated(3 * SECOND, 0, 5, 6),
        AdmissionPaused(3 * SECOND, True),
        LevelEnded(4 * SECOND, 0, "ok", 1000),
        RunEnded(5 * SECOND, "ok"),
    ]
    return events


def without_text(events: list[Event]) -> list[Event]:
    return [
        TokensEmitted(e.time, e.request, e.count) if isinstance(e, TokensEmitted) else e
        for e in events
    ]


def _values(hint: typing.Any, name: str = "") -> st.SearchStrategy[typing.Any]:
    """Anything of a type; what goes to a column of 32 bits fits it."""
    parts = typing.get_args(hint)
    match typing.get_origin(hint):
        case builtins.tuple if parts[-1] is not Ellipsis:
            return st.tuples(*map(_values, parts))
        case builtins.tuple:
            return st.lists(_values(parts[0]), max_size=4).map(tuple)
        case builtins.dict:
            return st.dictionaries(_values(parts[0]), _values(parts[1]), max_size=3)
        case typing.Literal:
            return st.sampled_from(parts)
        case None:
            return _scalars(hint, name)
    return st.one_of(*(_values(part, name) for part in parts))


def _scalars(hint: typing.Any, name: str) -> st.SearchStrategy[typing.Any]:
    if hint is int:
        bits = 31 if name in ("request", "count") else 63
        return st.integers(-(2**bits), 2**bits - 1)
    if hint is float:
        return st.floats(allow_nan=False)
    return structs(hint) if issubclass(hint, msgspec.Struct) else st.from_type(hint)


def structs(kind: type) -> st.SearchStrategy[typing.Any]:
    """Any value of a struct, within what its columns hold."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: _values(hints[name], name) for name in kind.__struct_fields__})


any_event: st.SearchStrategy[Event] = st.one_of(*(structs(kind) for kind in KINDS.values()))
