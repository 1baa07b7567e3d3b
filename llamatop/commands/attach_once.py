"""`llamatop attach --once`: two looks, a second apart."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from llamatop.events.clock import SECOND
from llamatop.figures.serving import state_of
from llamatop.reports.serving import servers_json, servers_text
from llamatop.reports.summary import SCHEMA
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.session.thinning import Timed
from llamatop.session.watched import Watched
from llamatop.settings.config import RunConfig
from llamatop.watch.source import Watch

PATIENCE = 6.0
"""Seconds that a slow server is waited for."""

APART = int(0.9 * SECOND)
"""Between the two looks (ns), at least: the first comes at once, others at full seconds."""

WINDOW = 2 * SECOND

_STEP = 0.02


def once(config: RunConfig, headers: Mapping[str, Mapping[str, str]], as_json: bool) -> int:
    """Look twice and tell; 0 where any server answered, else 1."""
    watch = Watch(config, headers)
    pump = Pump(watch, Session())
    watch.start()
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until and not _seen_twice(pump.session):
            time.sleep(_STEP)
            pump.step()
    finally:
        watch.close()
    session = pump.session
    if as_json:
        print(json.dumps({"schema": SCHEMA, **servers_json(session, WINDOW)}, indent=1))
    else:
        print(servers_text(session, WINDOW))
    states = (state_of(server, session.now) for server in session.watched.values())
    return 0 if any(state not in ("down", "starting") for state in states) else 1


def _seen_twice(session: Session) -> bool:
    started = session.started
    return started is not None and all(
        _twice(session.watched.get(place, Watched())) for place in range(len(started.config.urls))
    )


def _twice(server: Watched) -> bool:
    """Whether two looks were taken; one that does not tell needs no second."""
    if server.stood is None:
        return False
    if server.stood.state != "up":
        return True
    looks = [replica.samples for replica in server.replicas.values()]
    return all(_apart(samples) for samples in looks) and (
        not server.slot_samples or _apart(server.slot_samples)
    )


def _apart(samples: Sequence[Timed]) -> bool:
    return samples[-1].time - samples[0].time >= APART
