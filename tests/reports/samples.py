"""Runs for the tests of reports: made up, deterministic, at once."""

from array import array
from collections.abc import Sequence

import msgspec
import numpy as np

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, LevelEnded, LevelStarted, MemoryPredicted, RunStarted
from llamatop.reports.charts.files import SLIDE, charts
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.charts.theme import LIGHT
from llamatop.reports.runs import Run, run_of
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request
from llamatop.settings.config import RunConfig


def events(
    concurrency: Sequence[int] = (1, 2, 4), *, model: str = "demo", seed: int = 0,
    requests: int | None = None, behaviour: Script | None = None,
) -> list[Event]:  # fmt: skip
    config = RunConfig(
        model=model, engine="scripted", concurrency=tuple(concurrency), requests=requests,
        seed=seed, text=False,
    )  # fmt: skip
    return script(config, behaviour)


def run(*args: object, name: str = "run", **options: object) -> Run:
    return run_of(fold(events(*args, **options)), name)  # type: ignore[arg-type]


def drawn(runs: Sequence[Run], size: tuple[int, int] = SLIDE) -> dict[str, Sheet | str]:
    """Every chart by its name, or why it is not drawn."""
    return {name: draw() for name, draw in charts(runs, LIGHT, size).items()}


def chart(name: str, *runs: Run) -> Sheet:
    """One chart alone, which there must be something to draw in."""
    sheet = charts(runs, LIGHT)[name]()
    assert isinstance(sheet, Sheet)
    return sheet


def stretched(of: list[Event], factor: float) -> list[Event]:
    """The same events, every time so many times as late: a slow-down made by hand."""
    return [msgspec.structs.replace(event, time=int(event.time * factor)) for event in of]


def with_memory(of: list[Event], oom: Sequence[int] = ()) -> list[Event]:
    """With predictions and peaks that grow with the concurrency; some levels out of memory."""
    result: list[Event] = []
    concurrency = 0
    for event in of:
        told = event
        if isinstance(event, LevelStarted):
            concurrency = event.concurrency
            guess = 16_000_000_000 + concurrency * 200_000_000
            result.append(MemoryPredicted(event.time, event.level, guess, None))
        if isinstance(event, LevelEnded):
            told = msgspec.structs.replace(
                event,
                host_peak_bytes=16_100_000_000 + concurrency * 190_000_000,
                outcome="oom" if concurrency in oom else "ok",
            )
        result.append(told)
    return result


def with_config(of: list[Event], **changes: object) -> list[Event]:
    """The same run, asked for in other words."""
    return [
        msgspec.structs.replace(e, config=msgspec.structs.replace(e.config, **changes))
        if isinstance(e, RunStarted)
        else e
        for e in of
    ]


def with_model(of: list[Event], model: str) -> list[Event]:
    return with_config(of, model=model)


def level_of(
    latencies: Sequence[Sequence[float]], concurrency: int, *, level: int = 0, prompt: int = 128
) -> Level:
    """A closed loop of requests whose tokens come after the given gaps (seconds)."""
    made = Level(level, concurrency, len(latencies), 0, 0, "ok")
    slots = [0] * concurrency
    for number, gaps in enumerate(latencies):
        slot = slots.index(min(slots))
        start = slots[slot]
        times = array("q", (start + np.cumsum(gaps) * SECOND).astype(np.int64).tobytes())
        slots[slot] = times[-1]
        made.requests.append(
            Request(
                number, level, prompt, len(gaps), False, start, start, times[-1], "done", "",
                len(gaps), times, array("i", [1]) * len(gaps),
            )
        )  # fmt: skip
    return made


def session_of(levels: Sequence[Level]) -> Session:
    session = Session()
    session.levels = {level.id: level for level in levels}
    return session


def drawn_again(session: Session, seed: int, waves: bool = False) -> Session:
    """Every level's completed requests drawn with replacement and put end to end again.

    With `waves`, as many that ran together are drawn at once as the concurrency.
    """
    random = np.random.default_rng(seed)
    levels = []
    for level in session.levels.values():
        done = [request for request in level.requests if request.state == "done"]
        size = level.concurrency if waves else 1
        begins = random.choice(len(done) // size, len(done) // size) * size
        picked = [done[begin + place] for begin in begins for place in range(size)]
        gaps = [np.diff([one.scheduled, *one.times]) / SECOND for one in picked]
        levels.append(level_of(gaps, level.concurrency, level=level.id))
    return session_of(levels)
