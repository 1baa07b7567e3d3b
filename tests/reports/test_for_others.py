"""What other programs read: a trace, metrics of Prometheus, a table of Markdown."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from llamatop.cli import main
from llamatop.engines.scripted import Script, script
from llamatop.errors import InputError
from llamatop.events.kinds import DeviceSampled, HostSampled
from llamatop.figures.levels import level_figures
from llamatop.reports import perfetto
from llamatop.reports.markdown import markdown
from llamatop.reports.openmetrics import parsed, text
from llamatop.reports.runs import run_of
from llamatop.reports.tally import Tally
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig
from tests.reports.raw import RECORDINGS
from tests.reports.samples import events, with_model
from tests.waiting import until

SWEEP = RECORDINGS / "samples" / "demo-sweep-cpu.parquet"


def test_a_trace_has_what_perfetto_needs() -> None:
    session = fold(events((2, 4)))
    told = json.loads("".join(perfetto.parts(perfetto.trace(session))))["traceEvents"]
    assert {type(one["ts"]) for one in told if "ts" in one} <= {int, float}
    spans = [one for one in told if one["ph"] in "be"]
    assert all(type(one["id"]) is int and one["cat"] for one in spans)
    for request in session.requests.values():
        own = [s for s in spans if s["cat"] == "request" and s["id"] == request.id]
        names = [one["name"] for one in own]
        assert names[0] == names[-1] == "request"
        assert sum(one["ph"] == "b" for one in own) * 2 == len(own)
        outer = own[0]["ts"], own[-1]["ts"]
        assert all(outer[0] <= one["ts"] <= outer[1] for one in own)
        assert set(names) <= {"request", "queue", "prefill", "decode"}
    rates = [one for one in told if one["ph"] == "C" and "tok/s" in one["args"]]
    tokens = sum(one["args"]["tok/s"] for one in rates) / 10
    assert tokens == pytest.approx(sum(request.tokens for request in session.requests.values()))


def test_a_trace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    session = fold(events((4,)))
    monkeypatch.setattr(perfetto, "MOST_REQUESTS", 5)
    monkeypatch.setattr(perfetto, "MOST_STEPS", 3)
    told = list(perfetto.trace(session))
    assert perfetto.left_out(session) == len(session.requests) - len(
        {one["id"] for one in told if one.get("cat") == "request"}
    )
    assert len([one for one in told if one["ph"] == "C" and "tok/s" in one["args"]]) <= 4


def samples(page: str) -> dict[tuple[str, str], float]:
    """Each sample by its name and its labels."""
    return {
        (one.name, json.dumps(one.labels, sort_keys=True)): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def test_metrics_are_what_the_summary_says() -> None:
    told = events((2, 4))
    tally, session = Tally(), fold(told)
    for start in range(0, len(told), 7):
        tally.write(told[start : start + 7])
    found = samples(text(tally))
    for level in session.levels.values():
        figures = level_figures(session, level)
        at = json.dumps({"concurrency": str(level.concurrency)})
        done = json.dumps({"concurrency": str(level.concurrency), "outcome": "completed"})
        assert found["llamatop_requests_total", done] == figures.completed
        assert found["llamatop_output_tokens_total", at] == figures.output_tokens
        for name, spread in (
            ("time_to_first_token", figures.ttft),
            ("inter_token_latency", figures.itl),
            ("time_per_output_token", figures.tpot),
            ("request_latency", figures.e2e),
        ):
            assert spread is not None
            number = found[f"llamatop_{name}_seconds_count", at]
            total = found[f"llamatop_{name}_seconds_sum", at]
            assert number == spread.count
            assert total / number == pytest.approx(spread.mean)


def test_a_run_can_be_scraped(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "llamatop", "--record", "--engine", "scripted", "--concurrency", "2",
        "--requests", "200", "--listen", "127.0.0.1:0", "--out", str(tmp_path / "a.parquet"),
    ]  # fmt: skip
    with Popen(command, stderr=PIPE, stdout=PIPE, text=True) as run:
        assert run.stderr is not None
        address = next(line for line in run.stderr if "metrics at" in line).split()[-1]

        def counted() -> bool:
            asked = Request(address, headers={"Accept": "application/openmetrics-text"})
            with urlopen(asked, timeout=60) as page:
                found = samples(page.read().decode())
            return found.get(("llamatop_concurrency", "{}")) == 2

        until(counted)
        run.terminate()
        run.communicate(timeout=60)
    assert run.returncode == 143


def test_where_to_listen() -> None:
    assert parsed("9400") == parsed(":9400") == ("127.0.0.1", 9400)
    assert parsed("0.0.0.0:1") == ("0.0.0.0", 1)
    assert parsed("[::1]:9400") == ("::1", 9400)
    for bad in ("host", "host:", "1:x", "a:70000", "a:-1"):
        with pytest.raises(InputError, match="HOST:PORT"):
            parsed(bad)


def test_markdown_is_a_table_that_holds_together() -> None:
    run = run_of(fold(with_model(events((1, 2), behaviour=Script()), "a|b*c")))
    lines = markdown(run).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    assert lines[0].startswith("**a\\|b\\*c")
    assert any(line.startswith("- machine: ") for line in lines)
    assert any(line.startswith("- command: `llamatop --record") for line in lines)


def test_the_command_in_markdown_is_the_run_s_own() -> None:
    config = RunConfig(
        engine="scripted", concurrency=(1, 2), requests=3, max_time=60.0, until_ci=0.05,
        slo={"ttft": 0.5, "tpot": 0.05}, seed=7,
    )  # fmt: skip
    [command] = [
        line for line in markdown(run_of(fold(script(config)))).splitlines() if "command:" in line
    ]
    assert command.endswith(
        "--concurrency 1 2 --requests 3 --max-time 60 --until-ci 0.05 --slo ttft=0.5,tpot=0.05 "
        "--seed 7`"
    )


@pytest.mark.parametrize("form", ["perfetto", "openmetrics", "markdown"])
def test_export_writes_each(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(SWEEP), "--format", form, "--out", str(tmp_path)]) == 0
    [file] = tmp_path.iterdir()
    assert file.stat().st_size > 500
    capsys.readouterr()
    assert main(["export", str(SWEEP), "--format", form, "--out", "-"]) == 0
    assert capsys.readouterr().out == file.read_text()
    assert main(["export", str(SWEEP), "--format", form, "--table", "levels"]) == 2


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = (Path(__file__).parents[2] / "docs" / "grafana-dashboard.json").read_text()
    asked = {
        name for panel in json.loads(dashboard)["panels"] for target in panel["targets"]
        for name in re.findall(r"llamatop_\w+", target["expr"])
    }  # fmt: skip
    tally = Tally()
    tally.write([*events((2,)), HostSampled(1, 1, 1, 1, engine_bytes=1),
                 DeviceSampled(1, 0, "GPU", 1, 1, 1.0, 1.0, 1.0)])  # fmt: skip
    assert asked <= {name for name, _ in samples(text(tally))}
