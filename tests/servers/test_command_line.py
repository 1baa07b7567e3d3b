"""The program itself on real servers: totals, cancelling, queues, cuts, losses, and secrets."""

from __future__ import annotations

import json
import re
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from llamatop.catalog import demo_folder
from llamatop.events.kinds import TokensCounted
from llamatop.hardware.listening import resident
from llamatop.recording.reader import fold_recording, open_recording
from tests.end_to_end.conftest import Llamatop
from tests.servers.running import Server
from tests.servers.scripted_client import Scripted
from tests.tui.monitor.marking import marks_of
from tests.waiting import until

DEMO = str(demo_folder())


def counters(server: Server) -> dict[str, float]:
    """llama.cpp's own sums since it started."""
    found = re.findall(r"^llamacpp:(\w+) ([\d.e+]+)$", server.get("/metrics"), re.MULTILINE)
    return {name: float(value) for name, value in found}


def run(llamatop: Llamatop, *arguments: str, **env: str) -> dict[str, Any]:
    """The JSON object of a run that ended well."""
    done = llamatop("--record", "--json", *arguments, **env)
    assert done.code == 0, done.err
    return done.json


def test_totals_are_those_of_llama_cpp_itself(llamatop: Llamatop, llamacpp: Server) -> None:
    load = ("--url", llamacpp.url, "--prompt-toks", "30", "--gen-toks", "20")
    seen = [counters(llamacpp)]
    run(llamatop, *load, "--requests", "1", "--out", "one.parquet")
    seen.append(counters(llamacpp))
    told = run(
        llamatop, *load, "--concurrency", "2", "8", "--requests", "8", "--out", "run.parquet"
    )
    seen.append(counters(llamacpp))
    for which, place in (("prompt_tokens_total", 0), ("tokens_predicted_total", 1)):
        one, both = (after[which] - before[which] for before, after in pairwise(seen))
        asked = one - tokens(llamatop.folder / "one.parquet", place)
        assert asked < 200, "what the questions before the first level took"
        assert both == tokens(llamatop.folder / "run.parquet", place) + asked
    watched = fold_recording(str(llamatop.folder / "run.parquet")).session.watched[0]
    for which, value in watched.replicas["0"].told.items():
        if which in ("llamacpp:tokens_predicted", "llamacpp:prompt_tokens", "llamacpp:n_decode"):
            total = which.removeprefix("llamacpp:") + "_total"
            assert value == seen[-1][total], "the last look closes its counters"
    [server] = told["server"]
    assert [server[of] for of in ("name", "model", "tokens_by")] == ["llama.cpp", "demo", "timings"]
    for level in told["levels"]:
        assert (level["outcome"], level["completed"]) == ("ok", 8)
        assert (level["prompt_tokens"], level["output_tokens"]) == (240, 160)
        assert (level["estimated_tokens"], level["short"], level["resent"]) == (0, 0, 0)
    assert llamatop("replay", "run.parquet", "--json").json["levels"] == told["levels"]


def tokens(path: Path, place: int) -> int:
    """Of a recording's requests, warm-ups among them: of prompts (0), of outputs (1)."""
    counted = [e for e in open_recording(path).events if isinstance(e, TokensCounted)]
    return sum(((event.prompt or 0), (event.count or 0))[place] for event in counted)


def test_chat_counts_as_the_server_counts(llamatop: Llamatop, llamacpp: Server) -> None:
    before = counters(llamacpp)
    told = run(llamatop, "--url", llamacpp.url, "--endpoint", "chat", "--gen-toks", "12",
               "--requests", "4", "--out", "run.parquet")  # fmt: skip
    [level] = told["levels"]
    assert (level["completed"], level["output_tokens"]) == (4, 48)
    generated = counters(llamacpp)["tokens_predicted_total"] - before["tokens_predicted_total"]
    assert generated >= 48


def test_what_the_context_cuts_is_told_as_short(llamatop: Llamatop, llamacpp: Server) -> None:
    told = run(llamatop, "--url", llamacpp.url, "--prompt-toks", "2000", "--gen-toks", "100",
               "--requests", "1")  # fmt: skip
    [level] = told["levels"]
    assert (level["completed"], level["short"], level["output_tokens"]) == (1, 1, 48)


def test_a_killed_server_costs_what_was_in_flight_and_nothing_measured(
    llamatop: Llamatop, own_llamacpp: Server
) -> None:
    running = llamatop.start("--record", "--json", "--url", own_llamacpp.url, "--concurrency", "2",
                             "--gen-toks", "200", "--requests", "12", "--alert", "running>0",
                             "--cost-per-hour", "3.6", "--out", "run.parquet")  # fmt: skip
    until(lambda: counters(own_llamacpp)["tokens_predicted_total"] > 1200, 60)
    held = resident(own_llamacpp.processes())
    own_llamacpp.kill()
    own_llamacpp.start()
    out, err = running.communicate(timeout=100)
    told = json.loads(out)
    [level] = told["levels"]
    assert level["failed"] == 2, err
    assert level["completed"] == 10
    assert 10 * 200 <= level["output_tokens"] < 12 * 200
    assert held is not None
    assert held / 2 < level["peak_memory"]["host_bytes"] < 2 * held, "the server's, not ours"
    assert ": running>0, it is " in err, "a limit that is broken is told at once"
    cost = level["cost_per_million_tokens"]
    assert cost == pytest.approx(1000 / level["output_tok_s"])
    parts = [value for name, value in level["ttft_parts_s"].items() if name != "shared"]
    assert None not in parts and sum(parts) == pytest.approx(level["ttft_s"]["mean"])
    [watched] = told["servers"]
    assert (watched["name"], len(watched["replicas"][0]["slots"])) == ("llama.cpp", 2)
    marks = {kind for _, kind in marks_of(open_recording(llamatop.folder / "run.parquet").events)}
    assert {"alert", "failure", "found"} <= marks
    assert llamatop("replay", "run.parquet", "--json").json == told


def test_stopped_by_hand_the_servers_slots_are_free(
    llamatop: Llamatop, own_llamacpp: Server
) -> None:
    running = llamatop.start("--record", "--json", "--url", own_llamacpp.url, "--concurrency", "2",
                             "--gen-toks", "1500", "--out", "run.parquet")  # fmt: skip
    until(lambda: busy(own_llamacpp) == 2, 60)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    until(lambda: busy(own_llamacpp) == 0)
    assert (llamatop.folder / "run.parquet").exists()


def busy(server: Server) -> int:
    """Slots of a llama.cpp that compute."""
    return sum(slot["is_processing"] for slot in json.loads(server.get("/slots")))


def test_totals_of_transformers_serve_are_exact(
    llamatop: Llamatop, transformers_serve: Server
) -> None:
    told = run(llamatop, "--url", transformers_serve.url, "--model", DEMO, "--tokenizer", DEMO,
               "--prompt-toks", "40", "--gen-toks", "12",
               "--concurrency", "3", "--requests", "6")  # fmt: skip
    [server], [level] = told["server"], told["levels"]
    assert (server["name"], server["tokens_by"]) == ("transformers", "usage")
    assert (level["completed"], level["estimated_tokens"]) == (6, 0)
    assert (level["prompt_tokens"], level["output_tokens"]) == (240, 72)


def test_a_key_is_sent_and_stands_nowhere(llamatop: Llamatop, scripted: Scripted) -> None:
    secret, hub = "sk-a-key-that-nobody-may-see", "hf_a-token-that-nobody-may-see"
    refusal = json.dumps({"error": {"message": f"key {secret} is wrong"}})
    scripted.plays(
        *[{}] * 8, status=401, body=refusal, counts="token_ids"
    )  # the first requests are answered, the rest are refused with the key in their words
    done = llamatop("--record", "--json", "--url", scripted.url, "--requests", "12",
                    "--gen-toks", "4", "--out", "run.parquet", OPENAI_API_KEY=secret,
                    HF_TOKEN=hub)  # fmt: skip
    assert hub not in json.dumps(scripted.log()), "it is for the Hub alone"
    for command in (["plot", "--html", "page.html"], ["export", "--format", "perfetto"]):
        drawn = llamatop(command[0], "run.parquet", *command[1:], OPENAI_API_KEY=secret)
        assert drawn.code == 0, drawn.err
        assert secret not in drawn.out + drawn.err
    assert any(
        entry["headers"].get("authorization") == f"Bearer {secret}" for entry in scripted.log()
    )
    assert secret not in done.out + done.err and hub not in done.out + done.err
    assert json.loads(done.out)["levels"][0]["failed"] > 0
    written = [path for path in llamatop.folder.rglob("*") if path.is_file()]
    assert written
    for canary in (secret, hub):
        assert not [path for path in written if canary.encode() in path.read_bytes()]
    replayed = llamatop("replay", "run.parquet", "--json")
    assert secret not in replayed.out + replayed.err


def test_a_server_that_lists_no_model_asks_for_one_in_one_line(
    llamatop: Llamatop, scripted: Scripted
) -> None:
    scripted.plays(models={"object": "list", "data": []})
    done = llamatop("--record", "--url", scripted.url)
    assert done.code == 2
    assert "--model" in done.err
    assert len(done.err.strip().splitlines()) == 1
