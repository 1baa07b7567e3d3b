"""Files without a timeline: tables, and how they stand beside recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamatop.cli import main
from llamatop.errors import InputError
from llamatop.recording.tables import read_table
from llamatop.reports.compare import UNDECIDED, compare
from llamatop.reports.runs import open_run
from llamatop.reports.tables import run_of_table
from llamatop.reports.terminal import charts
from tests.imports.peers import FOLDER, TABLES, name, table_in
from tests.reports.samples import drawn

VLLM = FOLDER / "vllm-bench-serve-0.32.0" / "mock-error-event.json"
GENAI = FOLDER / "genai-bench-0.0.5" / "mock-error-event"


@pytest.mark.parametrize("path", TABLES, ids=name)
def test_a_table_is_written_and_read_back(path: Path, tmp_path: Path) -> None:
    assert main(["import", str(path), "--out", str(tmp_path)]) == 0
    [file] = tmp_path.glob("*.table.json")
    table = read_table(file)
    assert table == table_in(path)
    assert table.rows
    assert table.notes


def test_figures_are_the_tools_own_to_the_last_digit() -> None:
    [bench] = FOLDER.glob("llama-bench-b*/*.jsonl")
    lines = [json.loads(line) for line in bench.read_text().splitlines()]
    rows = {row.name: row.figures for row in table_in(bench).rows}
    for line in lines:
        if not line["n_prompt"]:
            depth = f" at depth {line['n_depth']}" if line["n_depth"] else ""
            assert rows[f"tg{line['n_gen']}{depth}"]["output_tok_s"] == line["avg_ts"]
    genai = json.loads(next(GENAI.glob("D8*.json")).read_text())
    [row] = table_in(GENAI).rows
    stats = genai["aggregated_metrics"]["stats"]
    assert row.figures["ttft_s.p90"] == stats["ttft"]["p90"]
    assert row.figures["e2e_s.mean"] == stats["e2e_latency"]["mean"]
    assert (row.completed, row.failed) == (12, 4)


def test_what_llama_bench_tried_is_in_the_name_of_each_row(tmp_path: Path) -> None:
    line = json.loads((FOLDER / "llama-bench-b11434" / "out.jsonl").read_text().splitlines()[0])
    tests = [{**line, "n_threads": n, "model_filename": f"m/{n}.gguf"} for n in (1, 2)]
    (tmp_path / "out.json").write_text(json.dumps(tests))
    table = table_in(tmp_path / "out.json")
    assert [row.name for row in table.rows] == ["pp64, -m 1.gguf, -t 1", "pp64, -m 2.gguf, -t 2"]
    assert table.model is None


def test_benchy_json_that_has_nothing_is_no_measurement() -> None:
    table = table_in(FOLDER / "llama-benchy-0.4.0" / "server-killed.json")
    assert all(not row.figures for row in table.rows)


def test_a_table_beside_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(GENAI), "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert (
        main(["compare", str(tmp_path / "mock-error-event.table.json"), str(VLLM), "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)["comparisons"][0]
    first = found["overall"][0]
    assert first["metric"] == "output_tok_s"
    assert first["baseline"] == pytest.approx(52.4, abs=0.1)
    assert (first["low"], first["verdict"]) == (None, UNDECIDED)
    assert first["note"] == "genai-bench's own figure"
    assert any("own figures, not made anew" in warning for warning in found["warnings"])


def test_charts_take_tables() -> None:
    run = run_of_table(table_in(FOLDER / "genai-bench-0.0.5" / "too-long"), "genai")
    sheets = drawn([run])
    assert not isinstance(sheets["throughput-vs-concurrency"], str)
    assert isinstance(sheets["run-over-time"], str)
    for table in TABLES:
        drawn([run, run_of_table(table_in(table), "other")])


def test_a_table_beside_a_recording_in_every_chart(tmp_path: Path) -> None:
    assert main(["import", str(VLLM), "--out", str(tmp_path)]) == 0
    [path] = tmp_path.glob("*.parquet")
    table = run_of_table(table_in(GENAI), "genai")
    for runs in ([open_run(str(path)), table], [table, open_run(str(path))]):
        assert not isinstance(drawn(runs)["run-over-time"], str)
        assert "Throughput" in charts(runs, 80, colour=False)


def test_two_tables_with_samples_have_intervals() -> None:
    [bench] = FOLDER.glob("llama-bench-b*/*.jsonl")
    run = run_of_table(table_in(bench), "bench")
    comparison = compare(run, run)
    rate = next(one for one in comparison.levels if one.metric == "output_tok_s")
    assert rate.change == 0
    assert rate.low is not None


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.table.json"
    for content in ("", "{}", "[1]", '{"tool": "x", "file": "y", "rows": [], "schema": 9}'):
        path.write_text(content)
        with pytest.raises(InputError, match="no table"):
            read_table(path)
