"""A run's answer in at most three sentences: what one user gets, how many at once it carries, and
what holds it back. Every number in them is one of the summary's table. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.levels import LevelFigures
from llamatop.figures.targets import SHARE, kept_share
from llamatop.reports.capacity import capacity, capacity_line
from llamatop.reports.knee import knee, usable
from llamatop.reports.servers import ROUGH
from llamatop.session.reducer import Session
from llamatop.text.formatting import duration, number, percent

_HELPS = {
    "memory bandwidth": "fewer bytes for each token would help: a narrower dtype, --quantize, or "
    "more requests at once",
    "arithmetic": "shorter prompts or a faster device would help, more requests at once would not",
    "overhead": "more requests at once share it",
    "queueing": "requests wait for a place: more at once, or fewer arrivals, would help",
    "memory capacity": "fewer at once, shorter requests or a narrower dtype would fit",
    "other processes": "run it again when nothing else runs, or leave them their cores "
    "(OMP_NUM_THREADS): threads that share one wait for one another",
}
"""What would help against what holds a level back."""

_NO_MORE = "more requests at once did not help; another engine, or a compiled step, might"
"""Against overhead, where levels above were tried."""


def answer(session: Session, levels: Sequence[LevelFigures]) -> list[str]:
    """The sentences; none where nothing was completed, or another tool ran it."""
    done = [one for one in levels if one.completed and one.e2e is not None]
    if not done or session.imported is not None:
        return []
    least = min(done, key=lambda one: one.concurrency)
    told = [_one_user(least), _how_many(session, done), _held_back(done)]
    return [sentence for sentence in told if sentence]


def _one_user(least: LevelFigures) -> str:
    """Of an open loop at the rate that was asked for: there is no number of users."""
    first = least.ttft.p50 if least.ttft else None
    pace = least.tpot.p50 if least.tpot else None
    rest = f", then one every {duration(pace)}" if pace is not None else ""
    got = f"after {duration(first)}{rest} (p50)."
    if least.asked_rate is not None:
        return f"At {number(least.asked_rate)} requests/s the first token comes {got}"
    who = "One user" if least.concurrency == 1 else f"Each of {least.concurrency} users"
    return f"{who} gets the first token {got}"


def _how_many(session: Session, done: Sequence[LevelFigures]) -> str:
    """Within the targets where there are some; else where throughput stops growing."""
    slo = session.started.config.slo if session.started else {}
    found = capacity(session)
    if found is not None:
        told = capacity_line(found, slo)
        return f"{told[0].upper()}{told[1:]}."
    targets = ", ".join(f"{name} {duration(value)}" for name, value in slo.items())
    if slo:
        falling = sorted(done, key=lambda one: one.concurrency, reverse=True)
        most = next((one for one in falling if _keeps(session, one, slo)), None)
        if most is None:
            return f"No level kept {targets} for {SHARE:.0%} of its requests."
        return f"It carries {most.concurrency} at once within {targets}: {_rate(most)}."
    bend = knee(done)
    if bend is not None:
        return f"Throughput bends at {bend.concurrency} at once: {_rate(bend)}."
    best = max(done, key=lambda one: one.output_rate or 0.0)
    if len(done) == 1 and best.asked_rate is not None:
        return f"It makes {_rate(best)} with {best.concurrency} in flight at most."
    grows = len(done) > 1 and best is max(done, key=lambda one: one.concurrency)
    still = ", and it still grows there" if grows and usable(best) else ""
    return f"{best.concurrency} at once make {_rate(best)}{still}."


def _keeps(session: Session, one: LevelFigures, slo: dict[str, float]) -> bool:
    share = kept_share(session.levels[one.level].requests, slo)
    return share is not None and share >= SHARE


def _rate(one: LevelFigures) -> str:
    return f"{ROUGH if one.estimated else ''}{number(one.output_rate)} tok/s"


def _held_back(done: Sequence[LevelFigures]) -> str:
    """Of the level with the most throughput."""
    best = max(done, key=lambda one: one.output_rate or 0.0)
    if best.contention.notable:
        return f"Careful: {best.contention.words}; {_HELPS['other processes']}."
    if best.held_back_by is None:
        return ""
    near = f" at MBU {percent(best.mbu)}" if best.mbu is not None else ""
    above = any(one.concurrency > best.concurrency for one in done)
    more = best.held_back_by == "overhead" and above
    helps = _NO_MORE if more else _HELPS[best.held_back_by]
    return f"It is held back by {best.held_back_by}{near}: {helps}."
