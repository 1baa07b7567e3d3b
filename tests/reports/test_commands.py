"""The commands on real files: what they print, write and return."""

import json
from pathlib import Path

import polars as pl
import pytest

from llamatop.commands import compare, export, plot, recommend
from llamatop.errors import InputError
from llamatop.events.kinds import RunEnded, RunStarted
from llamatop.recording.writer import Recorder
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import MINUS
from tests.reports.samples import events, stretched, with_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("recordings")
    made = events((1, 2), requests=16)
    for name, told in (
        ("a", made),
        ("slow", stretched(made, 1.1)),
        ("other", with_model(events((1, 2)), "an/other")),
    ):
        recorder = Recorder(where / f"{name}.parquet")
        recorder.write(told)
        recorder.close()
        assert recorder.saved
    return where


def file(folder: Path, name: str) -> str:
    return str(folder / f"{name}.parquet")


def test_plot(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        file(folder, "a"),
        file(folder, "other"),
        "--out",
        str(tmp_path),
        "--format",
        "svg",
    ]
    assert plot.main(arguments) == 0
    told = capsys.readouterr()
    assert told.out.split() == [str(path) for path in map(Path, told.out.split()) if path.exists()]
    assert any("memory-vs-concurrency.svg" in line for line in told.out.splitlines())
    assert "no mbu-vs-concurrency: not measured" in told.err


def test_plot_as_a_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    assert plot.main([file(folder, "a"), file(folder, "slow"), "--html", str(page)]) == 0
    assert "slower: output_tok_s" in page.read_text()
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize("size", ["", "x", "10x10", "1600x100", "99999x99999", "1600"])
def test_sizes_that_cannot_be(folder: Path, size: str) -> None:
    with pytest.raises(InputError, match="--size"):
        plot.main([file(folder, "a"), "--size", size])


def test_a_watch_is_no_run(tmp_path: Path, folder: Path) -> None:
    recorder = Recorder(tmp_path / "w.parquet")
    config = RunConfig(model="", engine="attach", urls=("http://127.0.0.1:8000",))
    host = next(one.host for one in events((1,)) if isinstance(one, RunStarted))
    recorder.write([RunStarted(0, config, host, "0", "2026-01-01T00:00:00Z")])
    recorder.write([RunEnded(1, "stopped")])
    recorder.close()
    assert recorder.saved
    watch = str(tmp_path / "w.parquet")
    for command, arguments in (
        (plot.main, [watch, "--terminal"]),
        (compare.main, [file(folder, "a"), watch]),
        (recommend.main, [watch]),
    ):
        with pytest.raises(InputError, match="w: a watch of servers, with no requests"):
            command(arguments)


def test_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main([file(folder, "a"), file(folder, "a")]) == 0
    out = capsys.readouterr().out
    assert "output_tok_s 0.0 %" in out and "one run each" in out
    slower = [file(folder, "a"), file(folder, "slow"), "--fail-if", "output_tok_s<-5%"]
    assert compare.main(slower) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"verdict: slower: output_tok_s {MINUS}9.1 %")
    assert "failed: output_tok_s<-5%: " in told.err
    assert compare.main([*slower[:2], "--fail-if", "output_tok_s<-20%"]) == 0


def test_compare_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [file(folder, name) for name in ("a", "slow", "other")]
    assert compare.main([*files, "--json", "--fail-if", "request_s@1<-5%"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert [one["run"] for one in told["comparisons"]] == ["slow", "other"]
    first = told["comparisons"][0]["overall"][0]
    assert first["metric"] == "output_tok_s"
    assert first["verdict"] == "slower"
    assert first["low"] < first["change"] < first["high"]
    assert [one["held"] for one in told["fail_if"]] == [True, False]


def test_recommend(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [file(folder, "a"), file(folder, "other")]
    assert recommend.main(files) == 0
    told = capsys.readouterr().out
    assert "for throughput: concurrency 2" in told
    assert "for latency" in told
    assert "an/other" in told
    assert recommend.main([*files, "--slo", "ttft=9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["goal"] for one in found["recommendations"]] == ["throughput", "latency", "slo"]
    assert found["recommendations"][2]["command"].endswith("--slo ttft=9")
    with pytest.raises(InputError, match="--slo"):
        recommend.main([*files, "--goal", "slo"])


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet"])
def test_export(
    folder: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([file(folder, "a"), "--format", form, "--out", str(tmp_path)]) == 0
    names = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert names == {f"a-{table}.{form}" for table in ("events", "requests", "levels")}
    assert names == {path.name for path in tmp_path.iterdir()}


def test_export_to_stdout(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    arguments = [file(folder, "a"), "--format", "csv", "--out", "-"]
    assert export.main([*arguments, "--table", "levels"]) == 0
    assert capfdbinary.readouterr().out.count(b"\n") == 3
    with pytest.raises(InputError, match="which table"):
        export.main(arguments)


def test_an_exported_parquet_opens_as_it_is(folder: Path, tmp_path: Path) -> None:
    export.main([file(folder, "a"), "--format", "parquet", "--out", str(tmp_path)])
    assert pl.read_parquet(tmp_path / "a-requests.parquet").height == 1 + 16 + 2 + 16


@pytest.mark.parametrize("command", [plot, compare, recommend])
def test_a_missing_recording(command: object, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.parquet")
    with pytest.raises(InputError):
        command.main([missing, missing])  # type: ignore[attr-defined]


def test_plot_draws_goodput_by_the_targets_given(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [file(folder, "a"), "--out", str(tmp_path), "--format", "png", "--size", "800x500"]
    assert plot.main(args) == 0
    assert not (tmp_path / "goodput-vs-concurrency.png").exists()
    assert "goodput" not in capsys.readouterr().err, "nobody asked for it"
    assert plot.main([*args, "--slo", "ttft=9"]) == 0
    assert (tmp_path / "goodput-vs-concurrency.png").exists()
    with pytest.raises(InputError, match="--slo"):
        plot.main([*args, "--slo", "speed=9"])


@pytest.mark.parametrize("command", [plot, recommend])
def test_targets_that_are_empty_are_no_targets_forgotten(command: object, folder: Path) -> None:
    """A script's variable that is not set must not pass for no targets at all."""
    with pytest.raises(InputError, match="--slo"):
        command.main([file(folder, "a"), "--slo", ""])  # type: ignore[attr-defined]


def test_a_page_needs_a_name(folder: Path) -> None:
    with pytest.raises(InputError, match="names no file"):
        plot.main([file(folder, "a"), "--html", ""])


def test_the_compare_screen_needs_a_terminal_and_few_enough_recordings(folder: Path) -> None:
    with pytest.raises(InputError, match="needs a terminal"):
        compare.main([file(folder, "a"), file(folder, "slow"), "--tui"])
    with pytest.raises(InputError, match="at most 6"):
        compare.main([file(folder, "a")] * 7 + ["--tui"])
    with pytest.raises(InputError, match="no --json"):
        compare.main([file(folder, "a"), file(folder, "slow"), "--tui", "--json"])


def test_a_model_that_two_recordings_have_is_told_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recommend.main([file(folder, "a"), file(folder, "slow"), file(folder, "other")])
    lines = capsys.readouterr().out.splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("model  "))
    models = [line.split("  ")[0] for line in lines[head + 1 : head + 4]]
    assert len(set(models)) == 3 and models[2] == "an/other"


def test_groups_of_recordings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, slow = file(folder, "a"), file(folder, "slow")
    assert compare.main([a, a, "--against", slow, slow, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert found["run"] == "slow, slow"
    assert found["overall"][0]["verdict"] == "slower"
    assert "needs" in found["overall"][0]
    with pytest.raises(InputError, match="--against"):
        compare.main([a])
