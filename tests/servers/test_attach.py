"""llama.cpp watched while somebody else drives it; killed and back; two as a cluster."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from bisect import bisect_right
from pathlib import Path

import pytest

from llamatop.events.clock import SECOND
from llamatop.figures.serving import decoded, slot_tokens, so_far, state_of
from llamatop.hardware.listening import listener, resident, tree
from llamatop.recording.reader import fold_recording
from llamatop.recording.writer import Recorder
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.watch.found import find
from llamatop.watch.source import Watch
from tests.end_to_end.conftest import Llamatop
from tests.servers.running import Server
from tests.waiting import until


class Client:
    """Sends answers of so many tokens, one after another, and counts what streams back."""

    def __init__(self, server: Server, tokens: int) -> None:
        self.tokens = 0
        self.counted: list[tuple[int, int]] = [(0, 0)]
        """`time.monotonic_ns`, and how many had come by then."""
        self.answers = 0
        self._stop = threading.Event()
        self._server, self._each = server, tokens
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            asked = {
                "prompt": "def add(a, b):",
                "max_tokens": self._each,
                "ignore_eos": True,
                "stream": True,
                "timings_per_token": True,
            }
            request = urllib.request.Request(
                self._server.url + "/v1/completions",
                json.dumps(asked).encode(),
                {"Content-Type": "application/json"},
            )
            last = 0
            with urllib.request.urlopen(request, timeout=60) as answer:
                for line in answer:
                    if line.startswith(b"data: {"):
                        made = json.loads(line[6:]).get("timings", {}).get("predicted_n", last)
                        self.tokens += made - last
                        last = made
                        self.counted.append((time.monotonic_ns(), self.tokens))
            self.answers += 1

    def by(self, moment: int) -> int:
        """Tokens that had come by a moment (`time.monotonic_ns`)."""
        return self.counted[bisect_right(self.counted, (moment, 1 << 62)) - 1][1]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


class Watching:
    """A watch with its recording."""

    def __init__(self, path: Path, *servers: Server) -> None:
        config = RunConfig(engine="attach", urls=tuple(server.url for server in servers))
        self.recorder = Recorder(path)
        self.watch = Watch(config)
        self.pump = Pump(self.watch, Session(), [self.recorder])
        self.watch.start()

    @property
    def session(self) -> Session:
        return self.pump.session

    def until(self, condition: object, seconds: float = 60) -> None:
        assert callable(condition)
        until(lambda: (self.pump.step(), condition())[1], seconds)

    def state(self, server: int) -> str:
        watched = self.session.watched.get(server)
        return state_of(watched, self.session.now) if watched is not None else ""

    def close(self) -> None:
        self.watch.stop()
        self.until(lambda: self.watch.ended)
        self.watch.close()
        self.recorder.close()


def test_tokens_agree_with_the_clients(
    llamacpp: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that a client counted, however short the watch: the last look closes it."""
    monkeypatch.setattr("llamatop.watch.source.HURRIED", 60 * SECOND)
    watching = Watching(tmp_path / "w.parquet", llamacpp)
    watching.until(lambda: watching.state(0) == "up")
    client = Client(llamacpp, 300)
    watching.until(lambda: client.answers >= 2)
    client.stop()
    watching.close()
    told = slot_tokens(watching.session.watched[0], None)
    assert told is not None and told[0] == client.tokens
    folded = fold_recording(str(tmp_path / "w.parquet")).session
    assert folded.watched == watching.session.watched
    assert folded == watching.session


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_minute_of_counters_agrees_with_what_the_clients_counted(
    llamacpp: Server, tmp_path: Path
) -> None:
    """Within 2 %: what the slots and `tokens_predicted` say, and decode steps times busy slots.

    The latter stand still until an answer ends, so answers are short.
    """
    watching = Watching(tmp_path / "w.parquet", llamacpp)
    clients = [Client(llamacpp, 100) for _ in range(3)]
    watching.until(lambda: all(client.answers >= 2 for client in clients), 120)
    began = watching.watch.clock.now()
    watching.until(lambda: watching.session.now >= began + 63 * SECOND, 120)
    server = watching.session.watched[0]
    origin, replica = watching.watch.clock.origin, server.replicas["0"]
    for series, so_far_ in (
        (server.slot_samples, lambda look: so_far(replica, look)[0]),
        (replica.samples, lambda look: decoded(replica, look)),
    ):
        first = next(look for look in series if look.time >= began)
        last = next(look for look in series if look.time >= first.time + 60 * SECOND)
        told = so_far_(last) - so_far_(first)
        counted = sum(c.by(origin + last.time) - c.by(origin + first.time) for c in clients)
        assert told == pytest.approx(counted, rel=0.02), f"{told / counted - 1:+.2%}"
    for client in clients:
        client.stop()
    watching.close()


def test_killed_and_back(own_llamacpp: Server, llamacpp: Server, tmp_path: Path) -> None:
    watching = Watching(tmp_path / "w.parquet", own_llamacpp, llamacpp)
    watching.until(lambda: watching.state(0) == watching.state(1) == "up")
    own_llamacpp.post("/v1/completions", {"prompt": "a", "max_tokens": 8, "ignore_eos": True})
    counted = watching.session.watched[0].replicas["0"].told
    watching.until(lambda: counted["llamacpp:tokens_predicted"] >= 8)
    own_llamacpp.kill()
    watching.until(lambda: watching.state(0) == "down")
    assert watching.state(1) in ("up", "restarted"), "the other goes on"
    own_llamacpp.start()
    watching.until(lambda: watching.state(0) == "restarted")
    tokens = slot_tokens(watching.session.watched[0], 5 * SECOND)
    assert tokens is None or tokens[0] >= 0
    watching.close()


def test_it_is_found_by_what_it_answers(llamacpp: Server, scripted_server: Server) -> None:
    started = time.monotonic()
    found = find([scripted_server.url, llamacpp.url, "http://127.0.0.1:9"])
    assert time.monotonic() - started < 20, "within a second on a machine that is not busy"
    by_url = {one.url: one for one in found}
    one = by_url[llamacpp.url]
    assert (one.identity.name, one.identity.model, one.identity.context) == (
        "llama.cpp", "demo", 2048)  # fmt: skip
    assert one.running is not None


def test_its_memory_is_found_by_its_port(llamacpp: Server) -> None:
    process = listener(llamacpp.port)
    assert process is not None and process.pid in {one.pid for one in llamacpp.processes()}
    weighed, told = resident(tree(process)), process.memory_info().rss
    assert weighed is not None and weighed == pytest.approx(told, rel=0.2)


def test_attach_once(llamatop: Llamatop, llamacpp: Server) -> None:
    done = llamatop("attach", "--url", llamacpp.url, "http://127.0.0.1:9", "--once", "--json")
    assert done.code == 0, done.err
    one, other = done.json["servers"]
    assert (one["name"], one["state"], one["total"]["running"]) == ("llama.cpp", "up", 0)
    assert [slot["state"] for slot in one["replicas"][0]["slots"]] == ["idle"] * 4
    assert other["state"] == "down" and other["total"]["running"] is None
    nobody = llamatop("attach", "--url", "http://127.0.0.1:9", "--once", "--json")
    assert nobody.code == 1 and nobody.json["servers"][0]["replicas"] == []


def test_a_watch_is_recorded_and_summed_up_again(llamatop: Llamatop, llamacpp: Server) -> None:
    done = llamatop(
        "attach",
        "--url",
        llamacpp.url,
        "--record",
        "--max-time",
        "3",
        "--out",
        "w.parquet",
        "--json",
    )
    assert done.code == 0, done.err
    assert done.json["engine"] == "attach" and done.json["complete"]
    assert done.json["levels"] == [] and len(done.json["servers"]) == 1
    again = llamatop("replay", "w.parquet", "--json")
    assert again.json == done.json
