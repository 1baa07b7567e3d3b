"""The main job: run, record, and read the same figures back from the recording."""

import json
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from llamatop.commands import check
from llamatop.commands.record import record
from llamatop.events.kinds import ModelLoaded
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.run.replay import fold
from llamatop.run.shelf import MOST_REQUESTS
from llamatop.settings.config import RunConfig
from llamatop.settings.lengths import Lengths
from tests.waiting import gone, until

from .conftest import LLAMATOP, Llamatop

SCRIPTED = ("--record", "--engine", "scripted", "--json", "--out", "run.parquet")
TINY = ("--prompt-toks", "16", "--gen-toks", "8", "--requests", "4")


def assert_exact(summary: dict, prompt: int, gen: int) -> None:
    for level in summary["levels"]:
        assert level["outcome"] == "ok"
        assert level["completed"] == level["requests"]
        assert level["prompt_tokens"] == prompt * level["requests"]
        assert level["output_tokens"] == gen * level["requests"]


@pytest.mark.parametrize(
    "engine", ["batch", "threads", pytest.param("continuous", marks=pytest.mark.slow)]
)  # that one answers prompts of a file below
def test_the_bundled_model_on_each_engine(
    llamatop: Llamatop, foretold: Callable[..., None], engine: str
) -> None:
    asked = ("--record", "--model", "demo", "--engine", engine, "--concurrency", "1", "3", *TINY)
    learnt = llamatop.folder / "cache"
    if engine == "batch":  # of a machine and a model of which nothing is known yet
        llamatop.env["LLAMATOP_CACHE"] = str(learnt)
    else:
        foretold(*asked)
    done = llamatop(*asked, "--json", "--out", "run.parquet")
    assert done.code == 0, done.err
    assert len([*learnt.glob("roofline-*.json")]) == (2 if engine == "batch" else 0)
    assert_exact(done.json, 16, 8)
    assert done.json["engine"] == engine
    assert [level["concurrency"] for level in done.json["levels"]] == [1, 3]
    memory = done.json["levels"][0]["peak_memory"]
    assert memory["host_bytes"] > memory["baseline_bytes"] > 100_000_000
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)


@pytest.mark.slow
def test_a_compiled_step(llamatop: Llamatop) -> None:
    asked = ("--record", "--model", "demo", "--engine", "compiled", "--dtype", "float32",
             "--concurrency", "1", "2", *TINY)  # fmt: skip
    done = llamatop(*asked, "--json", "--out", "run.parquet")
    assert done.code == 0, done.err
    assert_exact(done.json, 16, 8)
    assert "uncompiled" not in done.err, done.err
    assert "compiled a step for 1 at once" in done.err
    assert "compiled a step for 2 at once" in done.err
    assert done.json["engine"] == "compiled"
    untold = {"host_bytes": None, "device_bytes": None}
    assert [level["predicted_memory"] for level in done.json["levels"]] == [untold, untold]
    assert "memory not foretold: what compiled code takes is not foretold" in done.err
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["int8", "int4"])
def test_quantised_weights(
    llamatop: Llamatop,
    how: str,
    foretold: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("bitsandbytes")
    asked = ("--record", "--model", "demo", "--quantize", how, "--dtype", "float32",
             "--concurrency", "1", "2", *TINY)  # fmt: skip
    foretold(*asked)
    done = llamatop(*asked, "--json", "--out", "run.parquet")
    assert done.code == 0, done.err
    assert_exact(done.json, 16, 8)
    assert (done.json["quantization"], done.json["dtype"]) == (how, "float32")
    assert all(level["predicted_memory"]["host_bytes"] for level in done.json["levels"])
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)
    again = llamatop("recommend", "run.parquet")
    assert f"--quantize {how}" in again.out
    monkeypatch.setenv("LLAMATOP_CACHE", llamatop.env["LLAMATOP_CACHE"])

    def checked(quantize: str) -> dict[str, Any]:
        check.main(["--model", "demo", "--dtype", "float32", "--quantize", quantize, "--json"])
        return dict(json.loads(capsys.readouterr().out)["models"][0])

    plain, model = checked("none"), checked(how)
    assert model["weights_bytes"] < plain["weights_bytes"]
    assert (model["parameters"], model["quantization"]) == (plain["parameters"], how)
    loaded = next(event for event in open_recording(str(llamatop.folder / "run.parquet")).events
                  if isinstance(event, ModelLoaded))  # fmt: skip
    assert loaded.weights_bytes == model["weights_bytes"]


def test_weights_offloaded_to_disk(llamatop: Llamatop, foretold: Callable[..., None]) -> None:
    (llamatop.folder / "tmp").mkdir()
    llamatop.env["TMPDIR"] = str(llamatop.folder / "tmp")
    asked = ("--record", "--model", "demo", "--offload", "disk", "--concurrency", "2", *TINY)
    foretold(*asked)
    done = llamatop(*asked, "--json", "--out", "run.parquet")
    assert done.code == 0, done.err
    assert_exact(done.json, 16, 8)
    assert (done.json["offload"], done.json["engine"]) == ("disk", "batch")
    assert "disk offload" in done.err
    for level in done.json["levels"]:
        assert level["peak_memory"]["host_bytes"] and not level["peak_memory"]["baseline_bytes"]
        assert level["predicted_memory"] == {"host_bytes": None, "device_bytes": None}
        assert level["mbu"] is None and level["held_back_by"] is None
    assert not list((llamatop.folder / "tmp").glob("llamatop-offload-*"))
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)
    assert "--offload disk" in llamatop("recommend", "run.parquet").out


def test_recorded_read_and_folded_it_is_the_session(llamatop: Llamatop) -> None:
    done = llamatop(*SCRIPTED, "--concurrency", "1", "4", "--record-text", *TINY)
    assert done.code == 0, done.err
    session = fold(open_recording(str(llamatop.folder / "run.parquet")).events)
    assert all(request.text for request in session.requests.values() if not request.warmup)
    assert done.json["complete"] and done.json["recording"] == "run.parquet"
    assert stat.S_IMODE((llamatop.folder / "run.parquet").stat().st_mode) == 0o600
    assert [file.name for file in llamatop.folder.iterdir()] == ["run.parquet"]


def test_what_is_put_away_while_it_runs_is_in_the_summary(llamatop: Llamatop) -> None:
    """Of a run with more requests at each level than are put away together."""
    requests = MOST_REQUESTS + 40
    asked = ("--concurrency", "16", "24", "--requests", str(requests), "--prompt-toks", "1",
             "--gen-toks", "3")  # fmt: skip
    done = llamatop(*SCRIPTED, *asked, LLAMATOP_SCRIPTED_STEP="0.001")
    assert done.code == 0, done.err
    assert_exact(done.json, 1, 3)
    assert done.err.count(f"ok, {requests} of {requests} requests") == 2
    assert [file.name for file in llamatop.folder.iterdir()] == ["run.parquet"]
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)


def test_text_is_kept_only_when_asked(llamatop: Llamatop) -> None:
    assert llamatop(*SCRIPTED, *TINY).code == 0
    session = fold(open_recording(str(llamatop.folder / "run.parquet")).events)
    assert not any(request.text for request in session.requests.values())


def test_a_table_for_people(llamatop: Llamatop) -> None:
    done = llamatop("--record", "--engine", "scripted", "--concurrency", "2", *TINY)
    assert done.code == 0
    for words in ("requests completed", "average latency", "total throughput", "peak memory"):
        assert words in done.out
    assert re.search(r"TTFT +[\d.]+ ms", done.out)
    assert "concurrency 2: ok, 4 of 4 requests" in done.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_finalises(llamatop: Llamatop, number: int, code: int) -> None:
    process = llamatop.start(*SCRIPTED, "--verbose", "--requests", "9999")
    at_work(process, llamatop.folder)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    replayed = llamatop("replay", "run.parquet", "--json")
    assert replayed.out == out
    assert replayed.json["complete"]
    assert replayed.json["levels"][0]["outcome"] == "stopped"


def test_a_signal_while_it_finalises_leaves_the_recording_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    close = Recorder.close

    def interrupted(recorder: Recorder) -> None:
        signal.raise_signal(signal.SIGINT)
        close(recorder)

    monkeypatch.setattr(Recorder, "close", interrupted)
    config = RunConfig(engine="scripted", requests=1, gen_toks=2)
    assert record(config, str(tmp_path / "run.parquet"), keep_text=False, as_json=True) == 130
    assert json.loads(capsys.readouterr().out)["complete"]
    assert [file.name for file in tmp_path.iterdir()] == ["run.parquet"]


def at_work(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until a request is done, which `--verbose` tells, and something was recorded."""
    assert process.stderr is not None
    while "warm-up" not in (line := process.stderr.readline()):
        assert line, "it has ended"
    sizes = [folder / "run.parquet.journal-wal", folder / "run.parquet.journal"]
    until(lambda: sum(file.stat().st_size for file in sizes if file.exists()) > 20_000)


@pytest.mark.slow  # it holds where nothing else runs
def test_the_children_of_a_killed_run_are_gone_within_a_second(llamatop: Llamatop) -> None:
    process = llamatop.start(*SCRIPTED, "--verbose", "--requests", "9999")
    at_work(process, llamatop.folder)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    until(lambda: all(gone(child) for child in children), 1)
    process.wait()


def test_kill_loses_at_most_a_second(llamatop: Llamatop) -> None:
    process = llamatop.start(*SCRIPTED, "--verbose", "--requests", "9999")
    at_work(process, llamatop.folder)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    killed = time.monotonic_ns()
    until(lambda: all(gone(child) for child in children))
    process.wait()
    replayed = llamatop("replay", "run.parquet", "--json")
    assert replayed.code == 0 and "recovered" in replayed.err
    assert replayed.json["complete"] is False
    session = fold(open_recording(str(llamatop.folder / "run.parquet")).events)
    assert session.started
    assert killed - (session.started.origin + session.now) < 1_000_000_000


def test_a_killed_engine_is_told_and_kept(llamatop: Llamatop) -> None:
    process = llamatop.start(*SCRIPTED, "--verbose", "--requests", "9999")
    at_work(process, llamatop.folder)
    engine = next(
        child
        for child in psutil.Process(process.pid).children()
        if "engines.host" in " ".join(child.cmdline())
    )
    engine.kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert llamatop("replay", "run.parquet", "--json").out == out
    told, (level,) = (run := json.loads(out)), run["levels"]
    assert told["error"].startswith("the engine was killed by SIGKILL in level 1 (concurrency 1), ")
    assert f"llamatop: {told['error']}\n" in err
    assert told["complete"] is False
    assert (level["outcome"], level["reason"]) == ("failed", "killed by SIGKILL")
    shown = llamatop("show", "run.parquet")
    assert (shown.code, shown.out.splitlines()[0]) == (0, told["error"])
    replayed = llamatop("replay", "run.parquet")
    assert (replayed.code, replayed.out) == (0, shown.out)
    assert "no terminal" in replayed.err and "llamatop show" in replayed.err
    several = llamatop("show", "run.parquet", "run.parquet", "--json")
    assert several.json == {"schema": 1, "runs": [told, told]}


def test_a_sweep_goes_on_after_a_failed_level(llamatop: Llamatop) -> None:
    sweep = ("--concurrency", "1", "2", "--requests", "9999", "--max-time", "1.5")
    process = llamatop.start(*SCRIPTED, "--verbose", *sweep)
    at_work(process, llamatop.folder)
    engines_of(process.pid)[0].kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    replayed = llamatop("replay", "run.parquet", "--json")
    assert replayed.out == out
    first, second = replayed.json["levels"]
    assert (first["outcome"], first["ended_by"]) == ("failed", None)
    assert (second["outcome"], second["ended_by"]) == ("ok", "time")
    assert second["concurrency"] == 2 and second["completed"] > 0


def engines_of(pid: int) -> list[psutil.Process]:
    """The engine processes of a run."""
    children = psutil.Process(pid).children()
    return [child for child in children if "engines.host" in " ".join(child.cmdline())]


@pytest.mark.parametrize(
    "engine",
    ["continuous", *(pytest.param(e, marks=pytest.mark.slow) for e in ("batch", "threads"))],
)
def test_prompts_of_a_file_on_each_engine(
    llamatop: Llamatop, foretold: Callable[..., None], engine: str
) -> None:
    (llamatop.folder / "p.jsonl").write_text(
        '{"prompt": "What sets the pace of decoding?", "output_tokens": 3}\n'
        '{"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 5}\n'
        '"Once upon a time there was a prompt"\n'
    )
    asked = ("--record", "--model", "demo", "--engine", engine, "--concurrency", "2",
             "--prompts", "p.jsonl", "--gen-toks", "8", "--requests", "6")  # fmt: skip
    foretold(*asked)
    done = llamatop(*asked, "--json", "--out", "run.parquet")
    assert done.code == 0, done.err
    (level,) = done.json["levels"]
    assert (level["completed"], level["output_tokens"]) == (6, 2 * (3 + 5 + 8))
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)


def test_a_level_that_ends_by_its_interval(llamatop: Llamatop) -> None:
    done = llamatop(*SCRIPTED, "--concurrency", "2", "--until-ci", "0.3", "--prompt-toks", "1:9",
                    "--gen-toks", "normal:4,1", LLAMATOP_SCRIPTED_STEP="0.003")  # fmt: skip
    assert done.code == 0, done.err
    assert "120 s per level" in done.err and "ended by its interval" in done.err
    (level,) = done.json["levels"]
    known = level["steady_tok_s"]
    assert (level["outcome"], level["ended_by"]) == ("ok", "interval")
    assert level["completed"] == level["requests"] >= 40
    assert known["high"] - known["low"] <= 2 * 0.3 * known["mean"]
    assert level["steady_from_s"] >= 0
    session = fold(open_recording(str(llamatop.folder / "run.parquet")).events)
    assert session.started
    assert session.started.config.prompt_lengths == Lengths("uniform", 1, 9)
    assert session.started.config.gen_lengths == Lengths("normal", 4, 1)
    assert llamatop("replay", "run.parquet", "--json").out == done.out


@pytest.mark.parametrize(
    ("where", "code"),
    [(">&-", 0), (">&- 2>&-", 0), (">/dev/full", 1), ("<&- | cat", 0), ("| head -0", 0)],
)
def test_a_summary_that_goes_nowhere(llamatop: Llamatop, where: str, code: int) -> None:
    done = subprocess.run(
        f"{' '.join([*LLAMATOP, *SCRIPTED, *TINY])} {where}",
        shell=True,
        cwd=llamatop.folder,
        env=llamatop.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert llamatop("replay", "run.parquet", "--json").json["complete"]


def test_a_recording_that_was_cut_off_says_so_in_the_summary_too(llamatop: Llamatop) -> None:
    long = ["--concurrency", "8", "--requests", "8", "--gen-toks", "100"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 20; exec "$@"', "sh", *LLAMATOP, *SCRIPTED, *long],
        cwd=llamatop.folder,
        env=llamatop.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "recording stopped: " in done.stderr
    told, (level,) = (run := json.loads(done.stdout)), run["levels"]
    assert (told["complete"], level["completed"]) == (False, 8)
    assert (done.returncode, told["error"]) == (1, f"recording stopped: {_why(done.stderr)}")
    assert "; it goes as far as " in told["error"]
    assert told["recording"] == "run.parquet"
    recovered = llamatop("replay", told["recording"], "--json").json
    assert not recovered["complete"]


@pytest.mark.slow
def test_a_full_disk_is_told_with_the_recording_that_stopped(
    llamatop: Llamatop, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        out = str(disk / "full.parquet")
        long = ["--concurrency", "16", "--requests", "400", "--gen-toks", "100", "--out", out]
        done = llamatop(*SCRIPTED, *long, LLAMATOP_SCRIPTED_STEP="0.001")
        assert done.code == 1
        assert (done.json["recording"], done.json["complete"]) == (out, False)
        assert "disk is full; it goes as far as " in done.json["error"]
        assert sum(level["completed"] for level in done.json["levels"]) == 400, "the run went on"
        moved = Path(shutil.copytree(disk, tmp_path / "moved"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert not llamatop("replay", str(moved / "full.parquet"), "--json").json["complete"]


def _why(err: str) -> str:
    """Why a recording stopped, by the last that was said of it."""
    return err.strip().rpartition("llamatop: recording stopped: ")[2]


def test_a_terminal_that_cannot_spell_it(llamatop: Llamatop) -> None:
    llamatop.env["PYTHONIOENCODING"] = "ascii"
    spoken = [argument for argument in SCRIPTED if argument != "--json"]
    done = llamatop(*spoken, "--until-ci", "0.5", *TINY)
    assert done.code == 0, done.err
    assert "before its interval was as narrow" in done.out


def test_verbose_tells_of_each_request_and_what_libraries_print(llamatop: Llamatop) -> None:
    done = llamatop(*SCRIPTED, "--concurrency", "2", "--verbose", *TINY)
    assert done.code == 0, done.err
    assert done.err.count(": done, 8 of 8 tokens, TTFT ") == 4
    assert done.err.count("warm-up ") == 2
    assert done.json["levels"][0]["completed"] == 4


def test_who_gives_a_rate_and_a_time_is_told_what_else_ends_a_level(llamatop: Llamatop) -> None:
    timed = ("--rate", "100", "--max-time", "60", "--gen-toks", "1", "--prompt-toks", "1")
    done = llamatop(*SCRIPTED, *timed)
    assert "--rate: 8 x concurrency requests per level at most (--requests)" in done.err
    (level,) = done.json["levels"]
    assert (level["requests"], level["ended_by"]) == (8, "requests")
    other = (*SCRIPTED[:-1], "other.parquet")
    assert "--rate:" not in llamatop(*other, *timed, "--requests", "2").err


def test_the_same_plan_several_times(llamatop: Llamatop) -> None:
    done = llamatop(*SCRIPTED, "--concurrency", "1", "2", "--requests", "2", "--gen-toks", "2",
                    "--runs", "2")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["schema"] == 1
    runs = done.json["runs"]
    assert [run["recording"] for run in runs] == ["run.1.parquet", "run.2.parquet"]
    orders = [[level["concurrency"] for level in run["levels"]] for run in runs]
    assert sorted(orders) == [[1, 2], [2, 1]]
    replayed = llamatop("replay", "run.2.parquet", "--json")
    assert replayed.json == runs[1]


def test_until_the_targets_break(llamatop: Llamatop) -> None:
    """A scripted prefill of 100 tokens takes 50 ms whatever runs beside it; a queue of an open loop
    is what breaks the target."""
    done = llamatop(*SCRIPTED, "--until-slo", "--slo", "ttft=0.2", "--rate", "20", "--concurrency",
                    "1", "--requests", "6", "--prompt-toks", "8", "--gen-toks", "2")  # fmt: skip
    assert done.code == 0, done.err
    found = done.json["capacity"]
    assert found["broken_by"] == "ttft"
    rates = [level["asked_request_s"] for level in done.json["levels"]]
    assert len(rates) >= 2 and len({*rates}) == len(rates)
    assert found["rate"] in rates
    assert llamatop("replay", "run.parquet", "--json").json == done.json
