from __future__ import annotations

import math

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamatop.events.kinds import (
    KINDS,
    Event,
    HostSampled,
    LevelEnded,
    ModelLoaded,
    RequestFailed,
    RequestQueued,
    Tick,
    TokensEmitted,
)
from llamatop.recording.schema import COLUMNS, events_of, from_blob, table_of, to_blob
from tests.recording import runs


def there_and_back(events: list[Event], keep_text: bool = True) -> list[Event]:
    back, misfits = events_of(from_blob(to_blob(table_of(events, keep_text))))
    assert misfits == 0
    return back


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(runs.any_event, max_size=8))
def test_any_events_come_back_as_they_were(events: list[Event]) -> None:
    assert there_and_back(events) == events


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_comes_back(kind: type[Event]) -> None:
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(runs.structs(kind))
    def check(event: Event) -> None:
        assert there_and_back([event]) == [event]

    check()


def test_numbers_that_json_lacks_come_back() -> None:
    event = HostSampled(1, 2, 3, 4, (math.nan, math.inf), engine_cpu_percent=-math.inf)
    (back,) = there_and_back([event])
    assert isinstance(back, HostSampled)
    assert math.isnan(back.cpu_percent[0])
    assert (back.cpu_percent[1], back.engine_cpu_percent) == (math.inf, -math.inf)


def test_text_is_left_out_unless_asked_for() -> None:
    events: list[Event] = [TokensEmitted(1, 2, 3, "secret"), RequestFailed(2, 2, "why")]
    table = table_of(events, keep_text=False)
    assert table["text"].null_count() == 2
    assert events_of(table)[0] == [TokensEmitted(1, 2, 3), RequestFailed(2, 2, "why")]


def test_tokens_and_ticks_need_no_payload() -> None:
    assert table_of([TokensEmitted(1, 2, 3), Tick(4)], True)["payload"].null_count() == 2


def test_lone_surrogates_are_replaced() -> None:
    events: list[Event] = [TokensEmitted(1, 2, 3, "a\ud800b"), RequestFailed(2, 2, "\udfff")]
    assert there_and_back(events) == [
        TokensEmitted(1, 2, 3, "a\ufffdb"),
        RequestFailed(2, 2, "\ufffd"),
    ]


def test_a_number_beyond_its_column_is_refused() -> None:
    with pytest.raises((OverflowError, TypeError, pl.exceptions.PolarsError)):
        table_of([TokensEmitted(1, 2**31, 1)], True)


def row(**values: object) -> pl.DataFrame:
    blank = dict.fromkeys(COLUMNS)
    return pl.DataFrame([{**blank, "time_ns": 1, **values}], schema=COLUMNS)


def test_kinds_and_fields_of_a_later_version_are_passed_over() -> None:
    payload = '{"level": 0, "outcome": "ok", "colour": {"of": ["a", "bear"]}}'
    table = pl.concat([row(kind="Dreamed"), row(kind="LevelEnded", payload=payload)])
    assert events_of(table) == ([LevelEnded(1, 0, "ok")], 0)


def test_missing_fields_take_their_defaults() -> None:
    table = row(
        kind="RequestQueued", request=3, payload='{"level":1,"prompt_tokens":2,"max_tokens":4}'
    )
    assert events_of(table) == ([RequestQueued(1, 3, 1, 2, 4, warmup=False)], 0)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "RequestQueued", "request": 3},
        {"kind": "RequestQueued", "request": 3, "payload": "{"},
        {"kind": "RequestQueued", "request": 3, "payload": "[]"},
        {"kind": "RequestQueued", "request": 3, "payload": '{"level":"a"}'},
        {"kind": "RequestFinished", "payload": '{"reason":"stop"}'},
        {"kind": "ModelRefused", "payload": '{"error":' + "[" * 100_000},
        {"kind": "TokensEmitted", "request": 1},
        {"kind": "TokensEmitted", "count": 1},
        {"kind": "Tick", "time_ns": None},
        {"kind": "LevelEnded", "payload": '{"level":0,"outcome":"sideways"}'},
    ],
)
def test_a_row_that_does_not_fit_is_counted_and_left_out(values: dict[str, object]) -> None:
    table = pl.concat([row(kind="Tick"), row(**values), row(kind="Tick")])
    assert events_of(table) == ([Tick(1), Tick(1)], 1)


def test_payload_is_plain_json() -> None:
    (payload,) = table_of([runs.loaded()], True)["payload"]
    fields = msgspec.json.decode(payload)
    assert fields["engine"] == "scripted"
    assert set(fields) == set(ModelLoaded.__struct_fields__) - {"time"}
