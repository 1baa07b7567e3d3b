"""Where memory ended: from hand-made events to the summary and the chart."""

import msgspec

from llamatop.events.kinds import (
    EngineLost,
    Event,
    HostFacts,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    Outcome,
    RequestFailed,
    RequestQueued,
    RunEnded,
    RunStarted,
    TokensEmitted,
)
from llamatop.figures.levels import memory_ended_in
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.frontier import MemoryEnd, memory_end, memory_end_line
from llamatop.reports.run_text import table
from llamatop.reports.runs import run_of
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from tests.recording.runs import loaded
from tests.reports.samples import drawn, events, with_memory

HOST = HostFacts("Linux", "a CPU", 2, 16_000_000_000, "3.11")
CONFIG = RunConfig(model="demo", until_oom=True, memory=900)


def started() -> list[Event]:
    return [RunStarted(0, CONFIG, HOST, "0.1.0", "2026-11-24T00:00:00")]


def level(id: int, concurrency: int, outcome: Outcome, tokens: tuple[int, ...]) -> list[Event]:
    """A level whose requests came so far; they are lost unless it is ok."""
    told: list[Event] = [LevelStarted(1, id, concurrency, None)]
    for i, count in enumerate(tokens):
        request = id * 100 + i
        told.append(RequestQueued(2, request, id, 8, 4))
        if count:
            told.append(TokensEmitted(3, request, count))
        if outcome != "ok":
            told.append(RequestFailed(4, request, "no memory"))
    return [*told, LevelEnded(5, id, outcome, host_peak_bytes=800)]


def session(*levels: list[Event], ended: Outcome = "oom") -> Session:
    return fold([*started(), *(e for one in levels for e in one), RunEnded(9, ended)])


def test_the_phase_is_what_the_lost_requests_were_at() -> None:
    for tokens, phase in (((0, 0), "prefill"), ((3, 1), "decode"), ((1, 0), "prefill and decode"),
                          ((), None)):  # fmt: skip
        one = session(level(0, 2, "oom", tokens))
        assert memory_ended_in(one, one.levels[0]) == phase
    fine = session(level(0, 2, "ok", (1, 1)))
    assert memory_ended_in(fine, fine.levels[0]) is None


def test_the_frontier_is_between_what_works_and_what_does_not() -> None:
    one = session(level(0, 4, "ok", (1,)), level(1, 8, "oom", (0,)), level(2, 6, "oom", (2,)),
                  level(3, 5, "ok", (1,)))  # fmt: skip
    assert memory_end(one) == MemoryEnd(works=5, fails=6, phase="decode", limit_bytes=900)
    told = "memory ends at 6 requests at once (in decode), 5 work, with 900 B for the engine"
    assert table(one).endswith(told)
    assert summary(one, None)["memory_end"]["fails"] == 6
    assert [one["memory_ended_in"] for one in summary(one, None)["levels"]][1] == "prefill"


def test_memory_that_ended_in_the_load_or_not_at_all() -> None:
    lost = fold([*started(), EngineLost(1, 70, "out of memory: …"), RunEnded(2, "oom")])
    assert memory_end(lost) == MemoryEnd(None, None, "load", 900)
    assert "while the model was loaded" in table(lost)
    enough = memory_end(session(level(0, 1, "ok", (1,)), ended="ok"))
    assert enough == MemoryEnd(1, None, None, 900)
    assert memory_end_line(enough).startswith("memory did not end: 1 request at once")
    assert memory_end(fold(events((1,)))) is None


def test_a_level_out_of_memory_says_only_what_was_measured() -> None:
    text = table(fold([*started(), loaded(), *level(0, 6, "oom", (0,))]))
    assert "concurrency 6: out of memory in prefill" in text
    assert "peak memory          800 B" in text and "TTFT" not in text


def test_the_cliff_is_drawn_at_what_was_allocated() -> None:
    of = with_memory(events((1, 2, 4)), oom=(4,))
    limited = [
        msgspec.structs.replace(e, memory_limit=16_800_000_000) if isinstance(e, ModelLoaded) else e
        for e in of
    ]
    sheets = drawn([run_of(fold(limited))])
    for name in ("memory-vs-concurrency", "memory-predicted-vs-measured"):
        sheet = sheets[name]
        assert isinstance(sheet, Sheet)
        assert "memory limit" in {entry.label for entry in sheet.entries}
        crosses = [line for line in sheet.figure.axes[0].lines if line.get_marker() == "x"]
        points = [(x, y) for line in crosses for x, y in zip(*line.get_data(), strict=True)]
        assert points == [(4, 16.86)]
