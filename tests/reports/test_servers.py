"""What summaries, comparisons and recommendations say of servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from llamatop.engines.scripted import script
from llamatop.events.kinds import RequestFailed, RequestFinished, ServerKnown
from llamatop.figures.levels import level_figures
from llamatop.recording.default_path import default_path, named_after
from llamatop.recording.reader import fold_recording, open_recording
from llamatop.recording.writer import Recorder
from llamatop.reports.export import levels_table, requests_table
from llamatop.reports.fairness import warnings
from llamatop.reports.recommend import command_of, recommend
from llamatop.reports.run_text import table
from llamatop.reports.runs import GUESSED, facts, labels, run_of
from llamatop.reports.servers import CLIENT, NOT_HERE, sampling
from llamatop.reports.summary import summary
from llamatop.settings.config import RunConfig
from tests.served import MS, TWO, served, served_events, session_of, weighed

TIMES = "\N{MULTIPLICATION SIGN}"


def test_a_summary_has_the_keys_that_the_command_line_promises() -> None:
    told = summary(session_of(served_events(short_every=5)), None)
    assert (told["engine"], told["model"]) == ("server", "tiny")
    assert (told["device"], told["dtype"], told["weights"], told["parameters"]) == (None,) * 4
    [server] = told["server"]
    assert server == {
        "url": "http://127.0.0.1:8080", "name": "llama.cpp", "version": "b11549", "model": "tiny",
        "context": 2048, "tokens_by": "usage", "notes": [],
    }  # fmt: skip
    level = told["levels"][0]
    assert level["short"] > 0 and level["resent"] == level["estimated_tokens"] == 0
    assert level["client"] == {"late_s_p99": 0.0002, "lag_s_p99": 0.0001}
    assert level["ttfa_s"] == dict.fromkeys(("mean", "p50", "p90", "p99"))
    assert level["peak_memory"] == dict.fromkeys(("host_bytes", "baseline_bytes", "device_bytes"))
    assert "server" not in summary(session_of(script(RunConfig(engine="scripted"))), None)


def test_the_peak_of_a_server_that_runs_here_is_its_own_and_no_clients() -> None:
    session = session_of(weighed(served_events(), 5 * 10**9))
    for level, told in zip(session.levels.values(), summary(session, None)["levels"], strict=True):
        assert level.ended is not None
        within = [one for one in session.host if level.started <= one.time <= level.ended]
        assert within and told["peak_memory"]["host_bytes"] == within[-1].server_bytes
        assert told["peak_memory"]["device_bytes"] is None
    assert " 5.00 GB of the server's processes" in table(session)


def test_what_a_server_holds_of_accelerators_is_told_beside() -> None:
    session = session_of(weighed(served_events(), 5 * 10**9, device=71 * 10**9))
    for told in summary(session, None)["levels"]:
        assert told["peak_memory"]["device_bytes"] == 71 * 10**9
    assert "71.0 GB device, 5.00 GB of the server's processes" in table(session)


def test_a_summary_for_people_says_why_there_is_no_memory() -> None:
    text = table(session_of(served_events(served(urls=TWO), short_every=5, resend_every=3)))
    assert "tiny, llama.cpp b11549 at one.example:8000, llama.cpp b11549 at two" in text
    assert NOT_HERE in text and "~" not in text and CLIENT not in text
    assert "ended with fewer tokens than asked" in text and "sent again" in text


def test_why_requests_failed_stands_in_the_summary() -> None:
    events = list(served_events())
    errors = iter(["the connection was closed", "HTTP 500", "the connection was closed"])
    for place, event in enumerate(events):
        if isinstance(event, RequestFinished) and event.request > 8:
            if (error := next(errors, None)) is None:
                break
            events[place] = RequestFailed(event.time, event.request, error)
    text = table(session_of(events))
    assert "3 failed" in text
    assert f"failed               2 {TIMES} the connection was closed\n" in text
    assert f"                       1 {TIMES} HTTP 500\n" in text
    assert TIMES not in table(session_of(served_events()))


def test_every_figure_that_rests_on_a_guess_is_marked() -> None:
    text = table(session_of(served_events(counted=False)))
    rows = {row.split("  ")[1].strip(): row for row in text.splitlines() if row.startswith("  ")}
    for name in ("requests completed", "total throughput", "TPOT", "ITL"):
        assert "~" in rows[name], name
    for name in ("average latency", "TTFT", "E2E"):
        assert "~" not in rows[name], name


def test_a_guess_is_told_wherever_runs_are_shown() -> None:
    guess = run_of(session_of(served_events(counted=False)), "guess")
    sure = run_of(session_of(served_events()), "sure")
    assert GUESSED in facts(guess) and GUESSED not in facts(sure)
    assert f"guess: {GUESSED}" in warnings(guess, sure, [])
    [first, *_] = recommend([guess], "throughput").reasons
    assert first.startswith("~") and not recommend([sure], "throughput").reasons[0].startswith("~")


def test_a_client_that_is_late_is_told() -> None:
    assert CLIENT in table(session_of(served_events(late=9 * MS)))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ('{"model":"a","temperature":0,"max_tokens":9}', "temperature 0"),
        ('{"top_p":0.9,"temperature":1.0}', "temperature 1.0 top_p 0.9"),
        ('{"max_tokens":9}', "as the server has it"),
        ('{"generation_config":"{\\"eos_token_id\\":-1}"}', "as the server has it"),
        ('{"generation_config":"{\\"eos_token_id\\":-1,\\"do_sample\\":true}"}',
         'generation_config {"do_sample": true}'),
        ("", ""),
        ("{", "not known"),
        ("[]", "not known"),
    ],
)  # fmt: skip
def test_sampling_is_what_changes_the_tokens(sent: str, told: str) -> None:
    assert sampling(sent) == told


def test_another_sampling_makes_a_comparison_unfair() -> None:
    events = served_events()
    warm = [
        replace(event, sent='{"temperature":1}') if isinstance(event, ServerKnown) else event
        for event in events
    ]
    ours, theirs = run_of(session_of(events), "a"), run_of(session_of(warm), "b")
    told = "\n".join(warnings(ours, theirs, []))
    assert "other sampling" in told and "temperature 0 and temperature 1" in told
    assert "other sampling" not in "\n".join(warnings(ours, ours, []))


def test_runs_on_servers_are_told_apart_by_them() -> None:
    one, other = (
        run_of(session_of(served_events(served(urls=(url,)))), name)
        for url, name in zip(TWO, "ab", strict=True)
    )
    assert labels([one, other]) == ["one.example:8000", "two.example:8443"]
    assert one.setup["server"] == "llama.cpp" and one.setup["sampling sent"] == "temperature 0"
    assert "weights" not in one.setup


def test_a_recommendation_s_command_drives_the_server_again() -> None:
    config = served(urls=TWO, endpoint="chat", headers=(("X-Team", "TEAM"),), timeout=5.0)
    command = command_of(config, 8, run_of(session_of(served_events(config)), "run"))
    assert command.startswith(f"llamatop --record --url {TWO[0]} {TWO[1]} --endpoint chat")
    assert "--header X-Team=TEAM --timeout 5" in command
    assert "--engine" not in command and "--model" not in command


def test_a_recording_says_the_same_and_is_named_after_the_model(tmp_path: Path) -> None:
    events = served_events(short_every=4, reasoning=5)
    start = tmp_path / default_path("127.0.0.1:8080").name
    recorder = Recorder(start, named=named_after)
    recorder.write(events)
    recorder.close()
    assert recorder.error is None
    assert recorder.path.name == f"{start.name[:17]}-tiny.parquet" and recorder.path.exists()
    assert list(tmp_path.iterdir()) == [recorder.path]
    live = summary(session_of(events), "x")
    again = summary(fold_recording(str(recorder.path)).session, "x")
    assert json.dumps(live) == json.dumps(again)
    assert open_recording(recorder.path).facts["model"] == "tiny"


def test_a_model_that_was_named_keeps_its_name() -> None:
    assert session_of(served_events(served(model="mine"))).model_name == "mine"
    assert session_of(served_events()[:2]).model_name == "127.0.0.1:8080"
    assert RunConfig().called == "demo"


def test_levels_of_servers_are_exported() -> None:
    session = session_of(served_events(short_every=5, resend_every=7, reasoning=3))
    [levels], [requests] = list(levels_table(session)), list(requests_table(session))
    own = level_figures(session, session.levels[0]).served
    assert own is not None
    row = levels.row(0, named=True)
    assert (row["short"], row["resent"]) == (own.short, own.resent)
    assert row["client_late_s_p99"] == 0.0002 and row["ttfa_s_p50"] is not None
    first = requests.filter(requests["level"] == 0).row(0, named=True)
    assert first["server"] == 0 and first["sent_ns"] - first["due_ns"] == MS // 5
    assert first["connected_ns"] < first["status_ns"] < first["first_event_ns"] < first["end_ns"]
    assert first["tokens_by"] == "usage" and requests["short"].sum() > 0
