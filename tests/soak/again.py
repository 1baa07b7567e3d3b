"""The same again and again: models, engines, servers and watchers that come and go."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from llamatop.engines.host import SCRIPTED_STEP
from llamatop.events.kinds import RunEnded
from llamatop.predict.prepare import prepare
from llamatop.recording.follower import Follower, follow
from llamatop.recording.writer import Recorder
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.checks import checked
from llamatop.settings.config import RunConfig, whole_prompts
from llamatop.watch.source import Watch
from tests.recording.test_crash import numbered
from tests.servers import running
from tests.soak.told import Facts, Held, Part, given_back, rest
from tests.waiting import gone, until
from tests.watch.pages import serving

PATIENCE = 120.0
"""Seconds that anything may take on a busy machine."""


def models(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """One model after another, each traced anew and let go at once: one prediction at a time."""
    before, me = Held.now(), psutil.Process()
    for number in range(done, args.times):
        config = RunConfig(model="demo", engine="batch", prompt_toks=10 + number)
        live = LiveRun(config, prepare=prepare)
        live.start()
        pump, end = Pump(live, Session()), time.monotonic() + 1.5
        until(lambda pump=pump, end=end: (pump.step(), time.monotonic() >= end)[1])
        live.close()
        alive = [one for one in me.children(recursive=True) if not gone(one)]
        yield {"done": 1, "most_left": len(alive)}
        until(lambda: all(map(gone, me.children(recursive=True))), PATIENCE)
        if args.over():
            break
    yield before.kept()


def engines(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """An engine killed in each level: each is told, and the next one runs."""
    os.environ[SCRIPTED_STEP] = "0.02"
    before, count = Held.now(), args.times - done
    live = LiveRun(RunConfig(engine="scripted", concurrency=(2,) * count, gen_toks=500))
    pump, killed = Pump(live, Session()), set[int]()
    live.start()

    def step() -> bool:
        pump.step()
        level, flying = pump.session.level, pump.session.active.values()
        begun = level is not None and level.ended is None and any(r.tokens for r in flying)
        if begun and level is not None and level.id not in killed and live._engine is not None:
            killed.add(level.id)
            os.kill(live._engine.pid, signal.SIGKILL)
        failed = [one for one in pump.session.levels.values() if one.outcome == "failed"]
        return live.ended or len(failed) > told

    for told in range(count):
        until(step, PATIENCE)
        outcomes = [one.outcome for one in pump.session.levels.values() if one.ended is not None]
        yield {"done": 1, "failed": int(outcomes == ["failed"] * (told + 1))}
        if args.over():
            live.stop()
            break
    until(lambda: (pump.step(), live.ended)[1], PATIENCE)
    live.close()
    yield before.kept()


def servers(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """A server killed while it is driven and watched, and started again: lost, found, gone on."""
    before = Held.now()
    server = running.scripted(folder / "server.log")
    server.post("/script", {"script": {"interval": 0.02}})
    config = RunConfig(
        engine="server", urls=(server.url,), model="", gen_toks=50, concurrency=(4,), endless=True
    )
    live = LiveRun(checked(whole_prompts(config)))
    pump = Pump(live, Session())
    live.start()

    def seen(holds: Callable[[], object]) -> None:
        until(lambda: (pump.step(), holds())[1], PATIENCE)

    def completed() -> int:
        return sum(one.state == "done" for one in pump.session.requests.values())

    try:
        seen(lambda: completed() > 4)
        for _ in range(done, args.times):
            server.kill()
            seen(lambda: pump.session.away)
            server.start()
            so_far = completed()
            seen(lambda so_far=so_far: not pump.session.away and completed() > so_far)
            yield {"done": 1, "found": 1}
            if args.over():
                break
    finally:
        live.stop()
        seen(lambda: live.ended)
        live.close()
        server.stop()
    yield before.kept()


def watchers(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """A watcher of a server and a follower of a recording that is being made: come and gone."""
    before = Held.now()
    recorder = Recorder(folder / "followed.parquet")
    with serving() as pages:
        pages.say("/v1/models", "vllm-0.32.0.v1-models.http")
        pages.say("/metrics", "vllm-0.32.0.metrics-fresh.http")
        for number in range(done, args.times):
            watch = Watch(checked(RunConfig(engine="server", urls=(pages.url,), model="")))
            pump = Pump(watch, Session())
            watch.start()
            until(lambda pump=pump: (pump.step(), _told(pump.session))[1], PATIENCE)
            watch.stop()
            until(lambda pump=pump, watch=watch: (pump.step(), watch.ended)[1], PATIENCE)
            watch.close()
            recorder.write(numbered(10, number * 10))
            follower = _joined(recorder.path)
            until(lambda follower=follower: follower.take(), PATIENCE)
            follower.close()
            if number == done:
                before = Held.now()  # polars has begun its threads
            yield {"done": 1}
            if args.over():
                break
    recorder.write([RunEnded(10**12, "ok")])
    recorder.close()
    yield before.kept()


def _joined(path: Path) -> Follower:
    """Who follows a recording, once it can be followed."""
    found: list[Follower] = []
    until(lambda: found or found.extend(filter(None, [follow(path)])), PATIENCE)
    return found[0]


def _told(session: Session) -> bool:
    return any(server.replicas for server in session.watched.values())


PARTS = {
    "engines": Part(
        lambda args: args.times,
        engines,
        lambda facts: given_back(facts) and facts["failed"] == facts["done"],
        lambda facts: (
            f"{facts['done']:.0f} engines killed, {facts['failed']:.0f} told as failed "
            f"levels; {rest(facts)}"
        ),
    ),
    "models": Part(
        lambda args: args.times,
        models,
        given_back,
        lambda facts: (
            f"{facts['done']:.0f} models, at most {facts['most_left']:.0f} processes "
            f"alive when one was let go; {rest(facts)}"
        ),
    ),
    "servers": Part(
        lambda args: args.times,
        servers,
        lambda facts: given_back(facts) and facts["found"] == facts["done"],
        lambda facts: f"{facts['done']:.0f} times lost, {facts['found']:.0f} found; {rest(facts)}",
    ),
    "watchers": Part(
        lambda args: args.times,
        watchers,
        given_back,
        lambda facts: (
            f"{facts['done']:.0f} of a server and of a recording come and gone; {rest(facts)}"
        ),
    ),
}
"""By name."""
